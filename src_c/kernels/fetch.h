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
    int64_t itemsize;
    int now; /* the slot in use */
    tn_points slots[2];
} tn_group;

/* The tables take 4 * most words of *space. */
static inline tn_group make_group(const tn_boxes *boxes, tn_operand operand, tn_operand other,
                                  int64_t itemsize, int64_t most, int64_t **space) {
    tn_group x = {.boxes = boxes, .operand = operand, .other = other, .itemsize = itemsize};
    for (int i = 0; i < 2; i++, *space += 2 * most)
        x.slots[i] = (tn_points){.number = -1, .own = *space, .others = *space + most};
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
    return box;
}

static inline const tn_points *move_to(tn_group *x, int64_t number) {
    const tn_points *box = look_up(x, number);
    x->now = (int)(box - x->slots);
    return box;
}

/* Lines to fetch: one out of every 64 bytes of the runs that start at base + starts[], at each of the
 * offsets.  A tile takes one line and as many of its offsets as it has steps. */
typedef struct {
    const char *base;
    const int64_t *starts, *offsets;
    tn_run run;           /* of the starts */
    int64_t length;       /* elements of a line */
    int64_t lines, count; /* count: of the offsets */
    int64_t line, offset; /* the next one */
} tn_fetch;

/* What lies at `own` points and these steps of k, whichever of the two has unit stride. */
static inline tn_fetch plan_fetch(const char *base, const tn_points *own, const int64_t *steps,
                                  int64_t depth, tn_run step_run, int64_t itemsize) {
    tn_fetch x = {.base = base, .length = 64 / itemsize};
    int64_t starts = own->points;
    if (own->run.along > 1)
        x.starts = own->own, x.offsets = steps, x.count = depth, x.run = own->run;
    else if (step_run.along > 1)
        x.starts = steps, x.offsets = own->own, x.count = starts, x.run = step_run, starts = depth;
    else
        return x;
    x.lines = starts / x.run.along * ((x.run.along + x.length - 1) / x.length);
    return x;
}

/* The base and the offsets, at least `steps` of them, of what the next tile fetches; NULL when there is
 * nothing left. */
static inline const char *next_fetch(tn_fetch *x, int64_t steps, const int64_t **offsets) {
    if (x->line >= x->lines || x->count < steps) return NULL;
    const int64_t across = x->run.across;
    const int64_t group = (x->run.along + x->length - 1) / x->length * across;
    const int64_t at = x->line % group;
    const int64_t start = x->line / group * x->run.along * across +
                          at / across * x->length * across + at % across;
    *offsets = x->offsets + (x->offset < x->count - steps ? x->offset : x->count - steps);
    x->offset += steps;
    if (x->offset >= x->count) x->offset = 0, x->line++;
    return x->base + x->starts[start];
}

#endif
