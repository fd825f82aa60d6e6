/* Random and written-down tensor networks, and their value by the definition. */
#ifndef NETWORK_H
#define NETWORK_H

#include "support.h"

enum { MAX_TENSORS = 8, MAX_INDICES = 9, MAX_IDS = MAX_TENSORS * 6 };

typedef struct {
    tn_network net; /* points into this struct */
    int64_t starts[MAX_TENSORS + 1], ids[MAX_IDS], sizes[MAX_INDICES], output[MAX_INDICES],
        sliced[MAX_INDICES], steps[2 * MAX_TENSORS];
    int64_t input_strides[MAX_IDS], output_strides[MAX_INDICES];
    layout inputs[MAX_TENSORS], result;
    char *blocks[MAX_TENSORS];    /* contents of the operands */
    const char *data[MAX_TENSORS]; /* their first elements */
} network;

/* Two to eight tensors (sometimes one) with repeated, shared, dangling and output indices, up to
 * three of them sliced, any strides, contracted in any order. */
void network_random(network *g, rng *r, int dtype);
/* A tensor of six indices that meets small ones, step by step, mostly not on its first two indices; up
 * to two indices are sliced. */
void network_stem(network *g, rng *r, int dtype);
/* An equation like "ab,bc->ac" with the extents of a, b, ...; operands are contracted from the
 * left, and the indices in `sliced` are sliced.  make fills the operands. */
void network_parse(network *g, const char *equation, const int64_t *sizes, const char *sliced,
                   int dtype, value (*make)(int, rng *));
/* A ring of eight matrices of so many rows, in two halves of four that meet at the end. */
void network_ring(network *g, int64_t extent, int dtype, value (*make)(int, rng *));
void network_free(network *g);

/* The element of the result at each index of the output, in C order; free() it. */
value *network_value(const network *g);
/* The product of the cotangent, in C order of the result, and all operands but v, summed at each element of
 * v, in C order; free() it. */
value *network_gradient(const network *g, int64_t v, const value *cotangent);
int64_t network_elements(const network *g); /* of the result */
/* Offset of element i, counted in C order, in the block of the result. */
int64_t network_place(const network *g, int64_t i);

#endif
