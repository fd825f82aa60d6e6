/* Kernels of sliding windows, compiled once per instruction set as isa.c is. */
#include "sliding.h"
#include "vector.h"
#include "bytes.h"
#include "shuffle.h"

#include <math.h>

#include "slide_places.h"

#if VBYTES == 64
#define LANES_F32 16
#define LANES_F64 8
#elif VBYTES == 32
#define LANES_F32 8
#define LANES_F64 4
#else
#define LANES_F32 4
#define LANES_F64 2
#endif
/* Each second lane of two vectors in two steps: those of each 16 bytes of both side by side, half by half,
 * then these halves in order; and the lanes of two vectors in turns. */
#define HALF(L) (8 * (L) / VBYTES) /* lanes of 8 bytes */
#define SECOND_NEAR(l, odd, L)                                                                   \
    ((l) / (2 * HALF(L)) * 2 * HALF(L) + (l) % HALF(L) * 2 % (2 * HALF(L)) + (odd) +             \
     ((l) / HALF(L) % 2 ? (L) : 0))
#define SECOND_FAR(l, none, L)                                                                   \
    ((l) / ((L) / 2) * HALF(L) + (l) % ((L) / 2) / HALF(L) * 2 * HALF(L) + (l) % HALF(L) + (none))
#define IN_TURNS(l, first, L) ((l) / 2 + (first) + (l) % 2 * (L))

#define NAME f32
#define R float
#define I int32_t
#define LANES LANES_F32
#include "slide.h"

#define NAME f64
#define R double
#define I int64_t
#define LANES LANES_F64
#include "slide.h"

extern const tn_window_kernels *const TN_PASTE(tn_window_kernels_of, TN_ISA)[2];
const tn_window_kernels *const TN_PASTE(tn_window_kernels_of, TN_ISA)[2] = {
    &window_kernels_f32,
    &window_kernels_f64,
};
