/* Kernels of sliding windows, compiled once per instruction set as isa.c is. */
#include "sliding.h"
#include "vector.h"
#include "bytes.h"

#include <math.h>

#include "slide_places.h"

#define NAME f32
#define R float
#define I int32_t
#include "slide.h"

#define NAME f64
#define R double
#define I int64_t
#include "slide.h"

extern const tn_window_kernels *const TN_PASTE(tn_window_kernels_of, TN_ISA)[2];
const tn_window_kernels *const TN_PASTE(tn_window_kernels_of, TN_ISA)[2] = {
    &window_kernels_f32,
    &window_kernels_f64,
};
