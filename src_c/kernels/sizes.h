/* Arithmetic of extents and bytes. */
#ifndef TN_SIZES_H
#define TN_SIZES_H

#include <stdint.h>

static inline int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }
static inline int64_t larger(int64_t x, int64_t y) { return x > y ? x : y; }
static inline int64_t parts_of(int64_t x, int64_t unit) { return (x + unit - 1) / unit; }

#endif
