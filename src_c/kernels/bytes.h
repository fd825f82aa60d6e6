/* Bytes to lanes and back, which compilers do one by one. */
#ifndef TN_BYTES_H
#define TN_BYTES_H

#include "vector.h"

#if defined(__AVX2__) && VBYTES == 32 && !defined(TN_LOWERED)
ALWAYS_INLINE __m256i widen_bytes(const char *p, int lane) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return lane == 4 ? _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p))
                     : _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
}

ALWAYS_INLINE void narrow_to_bytes(char *p, __m256i x, int lane) {
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m128i first = _mm_setr_epi8(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    __m128i low = _mm256_castsi256_si128(lane == 4 ? x : _mm256_permutevar8x32_epi32(x, even));
    low = _mm_shuffle_epi8(low, first);
    if (lane == 4)
        low = _mm_unpacklo_epi32(low, _mm_shuffle_epi8(_mm256_extracti128_si256(x, 1), first));
    memcpy(p, &low, lane == 4 ? 8 : 4);
}
#define WIDEN_BYTES(p, lane) widen_bytes(p, lane)
#define NARROW_TO_BYTES(p, x, lane) narrow_to_bytes(p, (__m256i)(x), lane)

#elif defined(__AVX512F__) && VBYTES == 64 && !defined(TN_LOWERED)
ALWAYS_INLINE __m512i widen_bytes(const char *p, int lane) {
    return lane == 4 ? _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p))
                     : _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)p));
}

ALWAYS_INLINE void narrow_to_bytes(char *p, __m512i x, int lane) {
    const __m128i low = lane == 4 ? _mm512_cvtepi32_epi8(x) : _mm512_cvtepi64_epi8(x);
    memcpy(p, &low, lane == 4 ? 16 : 8);
}
#define WIDEN_BYTES(p, lane) widen_bytes(p, lane)
#define NARROW_TO_BYTES(p, x, lane) narrow_to_bytes(p, (__m512i)(x), lane)
#endif

#endif
