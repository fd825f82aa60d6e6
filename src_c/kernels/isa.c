/* Compiled once per instruction set, with -DTN_ISA=name -DTN_ISA_name and that set's flags. */
#include "../tn.h"
#include "vector.h"
#include "walk.h"

#include <math.h>

/* Lanes 0 L 1 L+1 ... of (x, y): the low and the high half of x and y interleaved; and lanes
 * 0 2 4 ... and 1 3 5 ..., which undo it. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, index_type, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define SHUFFLE(x, y, index_type, ...) __builtin_shuffle(x, y, (index_type){__VA_ARGS__})
#endif
#define LOW_2 0, 2
#define HIGH_2 1, 3
#define EVEN_2 0, 2
#define ODD_2 1, 3
#define EVEN_4 0, 2, 4, 6
#define ODD_4 1, 3, 5, 7
#define EVEN_8 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_8 1, 3, 5, 7, 9, 11, 13, 15
#define EVEN_16 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_16 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW_4 0, 4, 1, 5
#define HIGH_4 2, 6, 3, 7
#define LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31

typedef int32_t index_32 __attribute__((vector_size(VBYTES)));
typedef int64_t index_64 __attribute__((vector_size(VBYTES)));

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

#define NAME f32
#define R float
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 1
#include "dtype.h"

#define NAME f64
#define R double
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 1
#include "dtype.h"

#if VBYTES == 64
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, index_32, LOW_16)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, index_32, HIGH_16)
#define EVEN_LANES(x, y) SHUFFLE(x, y, index_32, EVEN_16)
#define ODD_LANES(x, y) SHUFFLE(x, y, index_32, ODD_16)
#elif VBYTES == 32
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, index_32, LOW_8)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, index_32, HIGH_8)
#define EVEN_LANES(x, y) SHUFFLE(x, y, index_32, EVEN_8)
#define ODD_LANES(x, y) SHUFFLE(x, y, index_32, ODD_8)
#else
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, index_32, LOW_4)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, index_32, HIGH_4)
#define EVEN_LANES(x, y) SHUFFLE(x, y, index_32, EVEN_4)
#define ODD_LANES(x, y) SHUFFLE(x, y, index_32, ODD_4)
#endif
#define NAME c64
#define R float
#define COMPLEX 1
#define BOOLEAN 0
#define FLOATING 1
#include "dtype.h"

#undef INTERLEAVE_LOW
#undef INTERLEAVE_HIGH
#undef EVEN_LANES
#undef ODD_LANES
#if VBYTES == 64
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, index_64, LOW_8)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, index_64, HIGH_8)
#define EVEN_LANES(x, y) SHUFFLE(x, y, index_64, EVEN_8)
#define ODD_LANES(x, y) SHUFFLE(x, y, index_64, ODD_8)
#elif VBYTES == 32
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, index_64, LOW_4)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, index_64, HIGH_4)
#define EVEN_LANES(x, y) SHUFFLE(x, y, index_64, EVEN_4)
#define ODD_LANES(x, y) SHUFFLE(x, y, index_64, ODD_4)
#else
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, index_64, LOW_2)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, index_64, HIGH_2)
#define EVEN_LANES(x, y) SHUFFLE(x, y, index_64, EVEN_2)
#define ODD_LANES(x, y) SHUFFLE(x, y, index_64, ODD_2)
#endif
#define NAME c128
#define R double
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
