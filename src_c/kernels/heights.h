/* How direct products are cut into tiles, for all types of elements. */
#ifndef TN_HEIGHTS_H
#define TN_HEIGHTS_H

#include <stdint.h>

enum {
    DIRECT_NEAR = 16 << 10, /* bytes of b that stay in L1 besides the rest */
    DIRECT_FAR = 1 << 20,   /* and that do not stay in L2 */
    DIRECT_STRIPS = 32      /* of a product of many rows, at most */
};

/* The rows of the next tile: what is left after it is none or enough to keep the multipliers busy. */
static inline int direct_height(int64_t left, int tallest) {
    static const uint8_t heights[] = {24, 16, 12, 8, 7, 6, 5, 4, 3, 2, 1};
    const int enough = tallest < 8 ? tallest / 2 : 4;
    if (left >= tallest + enough) return tallest;
    int i = 0;
    while (heights[i] > tallest || (left != heights[i] && left < heights[i] + enough)) i++;
    return heights[i];
}

#endif
