/* Functions of every entry in vectors, compiled once per instruction set as isa.c is. */
#include "curves.h"
#include "vector.h"

#include <string.h>

#define NAME f32
#define R float
#define I int32_t
#define SINGLE 1
#include "curve.h"

#define NAME f64
#define R double
#define I int64_t
#define SINGLE 0
#include "curve.h"

extern const tn_curve_kernels *const TN_PASTE(tn_curve_kernels_of, TN_ISA)[2];
const tn_curve_kernels *const TN_PASTE(tn_curve_kernels_of, TN_ISA)[2] = {
    &curve_kernels_f32,
    &curve_kernels_f64,
};
