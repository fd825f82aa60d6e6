/* How many small products, alike but for their place along one long axis, are multiplied in vectors along
 * that axis: which rows of elements they read and write, and where these wait meanwhile.
 *
 * The long axis is the last of the batch; an operand that does not have it has stride 0 there.  A row is
 * the elements of one point of the other axes. */
#ifndef TN_LANE_PLAN_H
#define TN_LANE_PLAN_H

#include "tiling.h"

enum {
    TN_LANE_ROWS = 256,        /* of one operand, at most */
    TN_LANE_BYTES = 16 << 10,  /* of all rows that wait */
    TN_LANES = 128             /* elements of a row, at most */
};

/* The rows of one operand, the nearest in memory one after the other. */
typedef struct {
    int moved;                 /* gathered before they are multiplied, or scattered after it */
    int64_t start, count;      /* start: where the first of them waits */
    tn_move rows[TN_LANE_ROWS]; /* in memory, and where they wait */
    int32_t run[TN_LANE_ROWS]; /* so many rows from here on are neighbours in memory */
} tn_lane_rows;

struct tn_lanes {
    int64_t lanes, blocks; /* elements of a row; blocks of so many lanes along the axis */
    int whole;             /* rows may be filled up to whole vectors */
    tn_lane_rows a, b, c;
    /* offsets of the points of each group where they are multiplied */
    int64_t a_m[TN_LANE_ROWS], c_m[TN_LANE_ROWS], b_n[TN_LANE_ROWS], c_n[TN_LANE_ROWS];
    int64_t a_k[TN_LANE_ROWS], b_k[TN_LANE_ROWS];
};

/* Cycles per element of the lanes, for the sizes of m, n and k without their axis; huge if there are too
 * many rows. */
double tn_cost_in_lanes(const tn_contraction *x, const tn_dim *lane, const double sizes[3]);

/* For a contraction whose cost says that it has few enough rows. */
void tn_plan_lanes(const tn_contraction *x, tn_lanes *plan);

#endif
