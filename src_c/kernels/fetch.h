/* What a packed product reads next: the offsets of the boxes in use and of those after them, and the
 * lines of memory to fetch from there while a block is multiplied. */
#ifndef TN_FETCH_H
#define TN_FETCH_H

#include "boxes.h"

/* The points of one box: their offsets on the operand that the group is packed from and on the other
 * one, and how these lie in memory. */
typedef struct {
    int64_t number, points; /* number -1: none yet */
    int64_t *own, *others;
    tn_run run, other_run;
} tn_points;

/* A group of axes of which two boxes are at hand. */
typedef struct {
    const tn_boxes *boxes;
    tn_operand operand, other;
    int64_t itemsize, least; /* entries that a table has, with few points the first ones again */
    int now; /* the slot in use */
    tn_points slots[2];
} tn_group;

/* The tables take 4 * room words of *space; room is at least `least`. */
static inline tn_group make_group(const tn_boxes *boxes, tn_operand operand, tn_operand other,
                                  int64_t itemsize, int64_t room, int64_t least,
                                  int64_t **space) {
    tn_group x = {boxes, operand, other, itemsize, least, 0, {{0}}};
    for (int i = 0; i < 2; i++, *space += 2 * room)
        x.slots[i] = (tn_points){.number = -1, .own = *space, .others = *space + room};
    return x;
}

/* A box, into the slot not in use if it is not at hand. */
static inline tn_points *look_up(tn_group *x, int64_t number) {
    if (x->slots[x->now].number == number) return &x->slots[x->now];
    tn_points *box = &x->slots[!x->now];
    if (box->number == number) return box;
    int64_t extents[TN_MAX_DIMS];
    box->number = number;
    box->points = fill_box(x->boxes, number, x->operand, x->other, box->own, box->others, extents);
    box->run = unit_run(x->boxes, extents, x->operand, x->itemsize);
    if (x->other == ON_B) box->other_run = unit_run(x->boxes, extents, ON_B, x->itemsize);
    /* who fetches takes as many offsets as there are steps */
    for (int64_t i = box->points; i < x->least; i++)
        box->own[i] = box->own[i - box->points], box->others[i] = box->others[i - box->points];
    return box;
}

static inline const tn_points *move_to(tn_group *x, int64_t number) {
    const tn_points *box = look_up(x, number);
    x->now = (int)(box - x->slots);
    return box;
}

/* Lines to fetch: those of the runs that start at base + starts[], at each of the offsets.  A lot is
 * one line at as many of its offsets as a tile has steps; the lots are spread evenly over the tiles of
 * a block, at most FETCHES in each. */
typedef struct {
    const char *base;
    const int64_t *starts, *offsets;
    int64_t count, length, lines;   /* offsets; elements of a line; lines of a run */
    tn_run run;                     /* of the starts */
    int64_t outer, line, x, offset; /* the next line: of which run, where in it; the next offset */
    int64_t left, lots, tiles, due;
} tn_fetch;

/* What lies at `own` points and these steps of k, whichever of the two has unit stride, while `tiles`
 * tiles of `steps` steps are computed. */
static inline tn_fetch plan_fetch(const char *base, const tn_points *own, const int64_t *offsets,
                                  int64_t depth, tn_run step_run, int64_t itemsize, int64_t tiles,
                                  int64_t steps) {
    tn_fetch x = {.base = base, .length = 64 / itemsize, .tiles = tiles};
    int64_t starts = own->points;
    if (own->run.along > 1)
        x.starts = own->own, x.offsets = offsets, x.count = depth, x.run = own->run;
    else if (step_run.along > 1)
        x.starts = offsets, x.offsets = own->own, x.count = starts, x.run = step_run, starts = depth;
    else
        return x;
    if (x.count < steps) x.count = steps; /* the first ones again */
    const uintptr_t first = (uintptr_t)(base + x.starts[0]);
    const int aligned = first % 64 == 0 && x.run.along % x.length == 0;
    x.lines = (x.run.along + x.length - 1) / x.length + !aligned; /* runs end in a line of their own */
    x.left = x.lots = starts / x.run.along * x.lines * ((x.count + steps - 1) / steps);
    return x;
}

/* The next lot: its base, and `steps` offsets. */
static inline const char *next_lot(tn_fetch *x, int64_t steps, const int64_t **offsets) {
    const int64_t along = MIN(x->line * x->length, x->run.along - 1);
    const int64_t start = x->outer + along * x->run.across + x->x;
    *offsets = x->offsets + (x->offset < x->count - steps ? x->offset : x->count - steps);
    x->left--;
    x->offset += steps;
    if (x->offset >= x->count) {
        x->offset = 0;
        if (++x->x == x->run.across) x->x = 0, x->line++;
        if (x->line == x->lines) x->line = 0, x->outer += x->run.along * x->run.across;
    }
    return x->base + x->starts[start];
}

/* The lots that are due with the next tile, the last of them as often as it takes to make FETCHES; 0 if
 * there are none. */
static inline int next_fetch(tn_fetch x[2], int64_t steps, const char **ahead,
                             const int64_t **offsets) {
    int n = 0;
    for (int i = 0; i < 2; i++) {
        x[i].due += x[i].lots;
        for (; n < FETCHES && x[i].due >= x[i].tiles && x[i].left > 0; x[i].due -= x[i].tiles, n++)
            ahead[n] = next_lot(&x[i], steps, &offsets[n]);
    }
    for (int i = n; n && i < FETCHES; i++) ahead[i] = ahead[n - 1], offsets[i] = offsets[n - 1];
    return n;
}

#endif
