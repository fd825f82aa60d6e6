/* The instruction set as a compile-time choice: vector width, tile shape, and the few operations that
 * vector extensions leave open.  isa.c is compiled once per instruction set with TN_ISA set. */
#ifndef TN_VECTOR_H
#define TN_VECTOR_H

#include <string.h>

#define TN_PASTE_(a, b) a##_##b
#define TN_PASTE(a, b) TN_PASTE_(a, b)

#if defined(TN_ISA_avx512)
#define VBYTES 64
#define TILE_VECTORS 1 /* no wider than the rows of c that tensors have */
#define REAL_ROWS 24 /* 24 accumulators of 32 registers */
#define COMPLEX_ROWS 12 /* 12 x 2 */
#elif defined(TN_ISA_avx2)
#define VBYTES 32
#define TILE_VECTORS 2
#define REAL_ROWS 6 /* 6 x 2 accumulators, 2 of b and 2 of a fill the 16 registers */
#define COMPLEX_ROWS 3 /* 3 x 4 */
#elif defined(TN_ISA_neon) || defined(__aarch64__)
#define VBYTES 16
#define TILE_VECTORS 2
#define REAL_ROWS 8
#define COMPLEX_ROWS 6
#else
#define VBYTES 16
#define TILE_VECTORS 2
#define REAL_ROWS 4
#define COMPLEX_ROWS 2
#endif

/* Steps of a packed tile in one round of its loop: instructions count where a core is shared. */
#if defined(TN_ISA_avx2)
#define STEPS_AT_ONCE 4
#else
#define STEPS_AT_ONCE 1
#endif

/* The tile for fewer rows than hide the latency of an addition. */
#define WIDE_VECTORS 4
#define BROAD_VECTORS 8
#if defined(TN_ISA_avx512) || defined(__aarch64__)
#define WIDE_ROWS 4
#else
#define WIDE_ROWS 2
#endif

enum { LINE_BYTES = 64 }; /* of memory */

/* Stores that pass by the caches, for results too large to stay there. */
#if defined(TN_LOWERED) /* tests on a CPU without these vectors: the same road, plain stores */
#define STREAMS 1
#define STREAM_END() ((void)0)
#define STREAM(to, x) (*(__typeof__((x) + (x)) *)(to) = (x)) /* a sum has no qualifiers */
#elif defined(__x86_64__)
#include <immintrin.h>
#define STREAMS 1
#define STREAM_END() _mm_sfence()
#if VBYTES == 64
#define STREAM(to, x) _mm512_stream_si512((void *)(to), (__m512i)(x))
#elif VBYTES == 32
#define STREAM(to, x) _mm256_stream_si256((__m256i *)(to), (__m256i)(x))
#else
#define STREAM(to, x) _mm_stream_si128((__m128i *)(to), (__m128i)(x))
#endif
#else
#define STREAMS 0
#define STREAM_END() ((void)0)
#define STREAM(to, x) ((void)(x))
#endif

/* What a tile fetches on its way: operands of later blocks, or the columns to its right. */
enum { FETCH_AHEAD, FETCH_RIGHT };

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* Hides how x was computed, so that it gets a register of its own. */
#define OPAQUE(x) __asm__("" : "+r"(x))
/* How assembly names a register that holds a vector. */
#if defined(TN_ISA_avx512)
#define REGISTER "v"
#elif defined(__x86_64__)
#define REGISTER "x"
#elif defined(__aarch64__)
#define REGISTER "w"
#endif
/* The same of a vector, which would else be loaded again for its second use; and keeping one in its register
 * up to here.  Lowered vectors are in several. */
#if defined(REGISTER) && !defined(TN_LOWERED)
#define OPAQUE_VECTOR(x) __asm__("" : "+" REGISTER(x))
#define HOLD(x) __asm__("" : : REGISTER(x))
#else
#define OPAQUE_VECTOR(x) ((void)0)
#define HOLD(x) ((void)0)
#endif
#define MIN(x, y) ((x) < (y) ? (x) : (y))
#define MAX(x, y) ((x) > (y) ? (x) : (y))

#endif
