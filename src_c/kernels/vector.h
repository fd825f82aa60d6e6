/* The instruction set as a compile-time choice: vector width, tile rows, and the few operations
 * that vector extensions leave open.  isa.c is compiled once per instruction set with TN_ISA set. */
#ifndef TN_VECTOR_H
#define TN_VECTOR_H

#include <string.h>

#define TN_PASTE_(a, b) a##_##b
#define TN_PASTE(a, b) TN_PASTE_(a, b)

#if defined(TN_ISA_avx512)
#define VBYTES 64
#define REAL_ROWS 12 /* 12 x 2 accumulators of 32 registers */
#define COMPLEX_ROWS 12
#elif defined(TN_ISA_avx2)
#define VBYTES 32
#define REAL_ROWS 6 /* 6 x 2 accumulators, 2 of b and 2 of a fill the 16 registers */
#define COMPLEX_ROWS 6
#elif defined(__aarch64__)
#define VBYTES 16
#define REAL_ROWS 8
#define COMPLEX_ROWS 8
#else
#define VBYTES 16
#define REAL_ROWS 4
#define COMPLEX_ROWS 4
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define MIN(x, y) ((x) < (y) ? (x) : (y))

#endif
