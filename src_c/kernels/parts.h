/* Parts of vectors, for rows that are shorter: 8, 16 or 32 bytes, repeated until they fill one. */
#ifndef TN_PARTS_H
#define TN_PARTS_H

#include "shuffle.h"
#include "vector.h"

typedef double whole_vector __attribute__((vector_size(VBYTES)));
typedef double vector_16 __attribute__((vector_size(16)));
typedef double vector_32 __attribute__((vector_size(32)));
typedef double unaligned_16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef double unaligned_32 __attribute__((vector_size(32), aligned(1), may_alias));

ALWAYS_INLINE whole_vector load_part(const int bytes, const char *p) {
#if VBYTES > 16
    if (bytes > 8) {
        const vector_16 pair = *(const unaligned_16 *)p;
        vector_32 four = JOIN_2(vector_32, pair, pair);
#if VBYTES == 64
        if (bytes == 32) four = *(const unaligned_32 *)p;
        return JOIN_4(whole_vector, four, four);
#else
        return four;
#endif
    }
#endif
    double x;
    memcpy(&x, p, sizeof x);
#if VBYTES == 64
    return (whole_vector){x, x, x, x, x, x, x, x};
#elif VBYTES == 32
    return (whole_vector){x, x, x, x};
#else
    return (whole_vector){x, x};
#endif
}

/* The largest part that a row of so many bytes has; two of them cover it. */
ALWAYS_INLINE int64_t largest_part(int64_t bytes) { return bytes >= 32 ? 32 : bytes >= 16 ? 16 : 8; }

#endif
