/* Compiled once per instruction set, with -DTN_ISA=name -DTN_ISA_name and that set's flags. */
#include "../tn.h"
#include "vector.h"
#include "walk.h"
#include "boxes.h"
#include "fetch.h"
#include "tiles.h"
#include "heights.h"
#include "tiling.h"
#include "lane_plan.h"

#include <math.h>

/* Lanes of two vectors x, y of L lanes each are numbered 0 .. 2L-1.  Exchanging a bit of the lane with
 * the choice of vector is one stage of a transposition. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (__typeof__((x) < (y))){__VA_ARGS__})
#endif
#define EXCHANGE_LOW(l, bit, L) (((l) & (bit)) ? (L) + (l) - (bit) : (l))
#define EXCHANGE_HIGH(l, bit, L) (((l) & (bit)) ? (L) + (l) : (l) + (bit) < (L) ? (l) + (bit) : (l))
#define INTERLEAVE_LOW(l, bit, L) (((l) & ~3) + ((l) >> 1) % 2 + ((l) & 1) * (L))
#define INTERLEAVE_HIGH(l, bit, L) (INTERLEAVE_LOW(l, bit, L) + 2)
#define PARTNER(l, bit, L) ((l) ^ (bit))
#define WITHOUT(l, bit, L) ((l) & ~(bit))
#define WITH(l, bit, L) ((l) | (bit))
#define LANES_2(f, bit, L) f(0, bit, L), f(1, bit, L)
#define LANES_4(f, bit, L) LANES_2(f, bit, L), f(2, bit, L), f(3, bit, L)
#define LANES_8(f, bit, L)                                                     \
    LANES_4(f, bit, L), f(4, bit, L), f(5, bit, L), f(6, bit, L), f(7, bit, L)
#define LANES_16(f, bit, L)                                                        \
    LANES_8(f, bit, L), f(8, bit, L), f(9, bit, L), f(10, bit, L), f(11, bit, L), \
        f(12, bit, L), f(13, bit, L), f(14, bit, L), f(15, bit, L)
#define SIGNS_2 -1, 1
#define SIGNS_4 SIGNS_2, SIGNS_2
#define SIGNS_8 SIGNS_4, SIGNS_4
#define SIGNS_16 SIGNS_8, SIGNS_8

/* As many lanes as a macro says. */
#define LANES_OF(count, f, bit) LANES_OF_(count, f, bit)
#define LANES_OF_(count, f, bit) LANES_##count(f, bit, count)
#define OTHER_HALF(l, bit, L) (((l) ^ (bit)) % (L)) /* valid also where there is no such bit */
#define LANE(l, bit, L) (l)
#define ALTERNATE(l, bit, L) (((l) & (bit)) ? 1 : -1)

#define SWAP_PARTS(x) SHUFFLE(x, x, LANES(PARTNER, 1))
#define REAL_PARTS(x) SHUFFLE(x, x, LANES(WITHOUT, 1))
#define IMAGINARY_PARTS(x) SHUFFLE(x, x, LANES(WITH, 1))
#define NEGATE_REAL ((V){SIGNS})

#define NAME bool
#define R uint8_t
#define COMPLEX 0
#define BOOLEAN 1
#define FLOATING 0
#include "dtype.h"

#define NAME u8
#define R uint8_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

#define NAME u16
#define R uint16_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

#define NAME u32
#define R uint32_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

#define NAME u64
#define R uint64_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

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
#include "dtype.h"

#undef SQUARE_LANES
#define SQUARE_LANES LANES
#define NAME c64
#define R float
#define R_BYTES 4
#define COMPLEX 1
#define BOOLEAN 0
#define FLOATING 1
#include "dtype.h"

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
#include "dtype.h"

#define NAME c128
#define R double
#define R_BYTES 8
#define COMPLEX 1
#define BOOLEAN 0
#define FLOATING 1
#include "dtype.h"

extern const tn_kernels *const TN_PASTE(tn_kernels_of, TN_ISA)[TN_DTYPES];
const tn_kernels *const TN_PASTE(tn_kernels_of, TN_ISA)[TN_DTYPES] = {
    [TN_BOOL] = &kernels_bool, [TN_U8] = &kernels_u8,   [TN_U16] = &kernels_u16,
    [TN_U32] = &kernels_u32,   [TN_U64] = &kernels_u64, [TN_F32] = &kernels_f32,
    [TN_F64] = &kernels_f64,   [TN_C64] = &kernels_c64, [TN_C128] = &kernels_c128,
};
