/* Passes over large arrays that NumPy would make several of, on all threads: bias and relu, the gradient
 * of relu, curves and their gradients, a step of Adam.  What is computed of an entry depends on nothing but that entry, so bits do
 * not depend on threads. */
#include "kernels/curves.h"

#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BLOCK = 16384, STRIP = 256 };      /* entries of a task, and of those computed at a time */
static const int64_t PARALLEL = 1 << 17; /* entries from which on several threads are faster */

typedef struct {
    int dtype, rectify;
    int64_t n, columns;
    char *out, *total, *squares;
    const char *x, *y;
    double beta_1, beta_2, epsilon, rate, parameter;
    tn_curve_kernel *curve;
} job;

static void run(const job *j, tn_task task, int threads) {
    const int64_t tasks = (j->n + BLOCK - 1) / BLOCK;
    tn_parallel_for(j->n < PARALLEL ? 1 : threads, tasks, task, (void *)j);
}

/* Roots of whole vectors, where compilers see errno in the way. */
static void take_roots_f32(float *x, int n) {
    int i = 0;
#ifdef __SSE2__
    for (; i + 4 <= n; i += 4) _mm_storeu_ps(x + i, _mm_sqrt_ps(_mm_loadu_ps(x + i)));
#endif
    for (; i < n; i++) x[i] = sqrtf(x[i]);
}

static void take_roots_f64(double *x, int n) {
    int i = 0;
#ifdef __SSE2__
    for (; i + 2 <= n; i += 2) _mm_storeu_pd(x + i, _mm_sqrt_pd(_mm_loadu_pd(x + i)));
#endif
    for (; i < n; i++) x[i] = sqrt(x[i]);
}

/* R is the type of the entries. */
#define DEFINE(R, NAME)                                                                               \
    static void add_bias_##NAME(const job *j, int64_t first, int64_t last) {                          \
        R *restrict y = (R *)j->out;                                                                  \
        const R *restrict bias = (const R *)j->x;                                                     \
        for (int64_t row = first; row < last; row++) {                                                \
            R *restrict at = y + row * j->columns;                                                    \
            if (j->rectify)                                                                           \
                for (int64_t c = 0; c < j->columns; c++) {                                            \
                    const R sum = at[c] + bias[c];                                                    \
                    at[c] = sum < 0 ? 0 : sum; /* NaN stays */                                        \
                }                                                                                     \
            else                                                                                      \
                for (int64_t c = 0; c < j->columns; c++) at[c] += bias[c];                            \
        }                                                                                             \
    }                                                                                                 \
    static void mask_##NAME(const job *j, int64_t first, int64_t last) {                              \
        R *restrict out = (R *)j->out;                                                                \
        const R *restrict g = (const R *)j->x, *restrict y = (const R *)j->y;                         \
        for (int64_t i = first; i < last; i++) out[i] = y[i] > 0 ? g[i] : 0;                          \
    }                                                                                                 \
    static void adam_##NAME(const job *j, int64_t first, int64_t last) {                              \
        R *restrict w = (R *)j->out, *restrict total = (R *)j->total;                                 \
        R *restrict squares = (R *)j->squares;                                                        \
        const R *restrict g = (const R *)j->x;                                                        \
        const R beta_1 = (R)j->beta_1, beta_2 = (R)j->beta_2;                                         \
        const R epsilon = (R)j->epsilon, rate = (R)j->rate;                                           \
        R roots[STRIP];                                                                               \
        for (int64_t i = first; i < last; i += STRIP) {                                               \
            const int n = last - i < STRIP ? (int)(last - i) : STRIP;                                 \
            for (int k = 0; k < n; k++) {                                                             \
                total[i + k] = total[i + k] * beta_1 + g[i + k];                                      \
                roots[k] = squares[i + k] = squares[i + k] * beta_2 + g[i + k] * g[i + k];            \
            }                                                                                         \
            take_roots_##NAME(roots, n);                                                              \
            for (int k = 0; k < n; k++) w[i + k] -= total[i + k] / (roots[k] + epsilon) * rate;       \
        }                                                                                             \
    }
DEFINE(float, f32)
DEFINE(double, f64)
#undef DEFINE

/* A task: its part of n units, by the function of the dtype. */
#define TASK(NAME, UNITS)                                                                             \
    static void NAME##_task(void *given, int64_t task, int worker) {                                  \
        const job *j = given;                                                                         \
        const int64_t first = task * BLOCK / (UNITS), end = (task + 1) * BLOCK;                       \
        const int64_t last = (end < j->n ? end : j->n) / (UNITS);                                     \
        (void)worker;                                                                                 \
        (j->dtype == TN_F32 ? NAME##_f32 : NAME##_f64)(j, first, last);                               \
    }
TASK(add_bias, j->columns)
TASK(mask, 1)
TASK(adam, 1)
#undef TASK

void tn_add_bias(int dtype, char *y, const char *bias, int64_t rows, int64_t columns, int rectify,
                 int threads) {
    const job j = {.dtype = dtype, .rectify = rectify, .n = rows * columns, .columns = columns,
                   .out = y, .x = bias};
    run(&j, add_bias_task, threads);
}

void tn_relu_gradient(int dtype, const char *g, const char *y, char *out, int64_t n, int threads) {
    const job j = {.dtype = dtype, .n = n, .out = out, .x = g, .y = y};
    run(&j, mask_task, threads);
}

void tn_adam(int dtype, char *w, const char *g, char *total, char *squares, int64_t n, double beta_1,
             double beta_2, double epsilon, double rate, int threads) {
    const job j = {.dtype = dtype, .n = n, .out = w, .total = total, .squares = squares, .x = g,
                   .beta_1 = beta_1, .beta_2 = beta_2, .epsilon = epsilon, .rate = rate};
    run(&j, adam_task, threads);
}

static void curve_task(void *given, int64_t task, int worker) {
    const job *j = given;
    const int64_t size = tn_itemsize(j->dtype), first = task * BLOCK, left = j->n - first;
    (void)worker;
    j->curve(j->y ? j->y + first * size : NULL, j->x + first * size, j->out + first * size,
             left < BLOCK ? left : BLOCK, j->parameter);
}

void tn_curve(int dtype, int curve, double parameter, const char *g, const char *x, char *out, int64_t n,
              int threads) {
    const tn_curve_kernels *kernels = tn_get_curve_kernels(dtype);
    const job j = {.dtype = dtype, .n = n, .out = out, .x = x, .y = g, .parameter = parameter,
                   .curve = (g ? kernels->slope : kernels->value)[curve]};
    const int64_t many = PARALLEL / 4; /* of which each takes longer than to read it */
    tn_parallel_for(n < many ? 1 : threads, (n + BLOCK - 1) / BLOCK, curve_task, (void *)&j);
}
