/* What the references are made of: one value type for every element type, and random layouts.
 * Compiled without sanitizers: it would take longer than all that is tested. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "../../src_c/tn.h"
#include "check.h"

/* Integers and bool use the bits, the others re and im. */
typedef struct {
    uint64_t bits;
    double re, im;
} value;

value value_get(int dtype, const char *at);
void value_put(int dtype, char *at, value x);
value value_add(int dtype, value x, value y);
value value_multiply(int dtype, value x, value y);
/* Any integer (overflow wraps), or a small one that floating point sums stay exact with. */
value value_random(int dtype, rng *r);
/* With bits all over the fraction, so that rounding shows the order of sums. */
value value_rough(int dtype, rng *r);
value value_one(int dtype);
/* Sum over the n points at (sa, sb) of a times b, or of a alone if b is absent. */
value value_dot(int dtype, const char *a, const char *b, const tn_dim *points, int64_t n);
/* The same in more digits, and what rounding errors are measured by: the sum of |a| |b|. */
typedef struct {
    long double re, im, size;
} precise;
precise precise_dot(int dtype, const char *a, const char *b, const tn_dim *points, int64_t n);
int is_floating(int dtype);
const char *dtype_name(int dtype);

/* By the definition of binary16, without bit tricks; narrowing rounds to nearest even. */
double half_value(uint16_t h);
uint16_t half_nearest(double x);

enum { MAX_AXES = 24 };

/* Where the elements of an array lie in a block of `bytes`: at base + sum of index * stride. */
typedef struct {
    int n;
    int64_t extent[MAX_AXES], stride[MAX_AXES];
    int64_t base, bytes;
} layout;

/* Strides for l->n axes of l->extent: contiguous, permuted, or padded, misaligned and reversed;
 * with broadcast some are zero. */
void layout_random(layout *l, rng *r, int64_t itemsize, int broadcast);
void layout_contiguous(layout *l, int64_t itemsize);

/* A block of exactly l->bytes whose elements come from make; the gaps are 0xff. */
char *array_random(const layout *l, int dtype, rng *r, value (*make)(int, rng *));

void *allocate(int64_t bytes); /* ends the process when there is no memory */

#endif
