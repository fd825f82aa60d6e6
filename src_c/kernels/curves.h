/* Functions of every entry that isa_curves.c computes in vectors, and entrywise.c in chunks. */
#ifndef TN_CURVES_H
#define TN_CURVES_H

#include "../tn.h"

/* out = f(x) for n numbers, or where there is g its derivative times g; see tn_curve. */
typedef void tn_curve_kernel(const char *g, const char *x, char *out, int64_t n, double parameter);

typedef struct {
    tn_curve_kernel *value[TN_CURVES], *slope[TN_CURVES];
} tn_curve_kernels;

/* Of the instruction set in use. */
const tn_curve_kernels *tn_get_curve_kernels(int dtype);

#endif
