/* Includes KERNELS, the name of a file, once per floating point type. */
#if VBYTES == 64
#define LANES(f, bit) LANES_16(f, bit, 16)
#define REALS 16
#define HALF_REALS 8
#define QUARTER_REALS 4
#define EIGHTH_REALS 2
#define SIGNS SIGNS_16
#elif VBYTES == 32
#define LANES(f, bit) LANES_8(f, bit, 8)
#define REALS 8
#define HALF_REALS 4
#define QUARTER_REALS 2
#define EIGHTH_REALS 2
#define SIGNS SIGNS_8
#else
#define LANES(f, bit) LANES_4(f, bit, 4)
#define REALS 4
#define HALF_REALS 2
#define QUARTER_REALS 2
#define EIGHTH_REALS 2
#define SIGNS SIGNS_4
#endif
#if VBYTES == 64
#define SQUARE_LANES(f, bit) LANES_8(f, bit, 8)
#else
#define SQUARE_LANES LANES
#endif
#define NAME f32
#define ASSEMBLED (VBYTES >= 32)
#define R float
#define R_BYTES 4
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 1
#include KERNELS

#undef SQUARE_LANES
#define SQUARE_LANES LANES
#define NAME c64
#define R float
#define R_BYTES 4
#define COMPLEX 1
#define BOOLEAN 0
#define FLOATING 1
#include KERNELS

#undef LANES
#undef REALS
#undef HALF_REALS
#undef QUARTER_REALS
#undef EIGHTH_REALS
#undef SIGNS
#if VBYTES == 64
#define LANES(f, bit) LANES_8(f, bit, 8)
#define REALS 8
#define HALF_REALS 4
#define QUARTER_REALS 2
#define EIGHTH_REALS 2
#define SIGNS SIGNS_8
#elif VBYTES == 32
#define LANES(f, bit) LANES_4(f, bit, 4)
#define REALS 4
#define HALF_REALS 2
#define QUARTER_REALS 2
#define EIGHTH_REALS 2
#define SIGNS SIGNS_4
#else
#define LANES(f, bit) LANES_2(f, bit, 2)
#define REALS 2
#define HALF_REALS 2
#define QUARTER_REALS 2
#define EIGHTH_REALS 2
#define SIGNS SIGNS_2
#endif
#define NAME f64
#define R double
#define R_BYTES 8
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 1
#include KERNELS

#define NAME c128
#define R double
#define R_BYTES 8
#define COMPLEX 1
#define BOOLEAN 0
#define FLOATING 1
#include KERNELS
