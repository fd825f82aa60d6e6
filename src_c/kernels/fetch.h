/* What a packed product reads next: the offsets of the boxes in use and of those after them, and the
 * lines of memory to fetch from there while a block is multiplied. */
#ifndef TN_FETCH_H
#define TN_FETCH_H

#include "boxes.h"
#include "vector.h"

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

/* The tables take 4 * room words of *space. */
static inline tn_group make_group(const tn_boxes *boxes, tn_operand operand, tn_operand other,
                                  int64_t itemsize, int64_t room, int64_t **space) {
    tn_group x = {boxes, operand, other, itemsize, 0, {{0}}};
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
    return box;
}

static inline const tn_points *move_to(tn_group *x, int64_t number) {
    const tn_points *box = look_up(x, number);
    x->now = (int)(box - x->slots);
    return box;
}

/* Lines to fetch: those of the runs of bytes that begin at base + starts[], at each of the offsets; some
 * each time, evenly while a block is multiplied. */
typedef struct {
    const char *base;
    const int64_t *starts, *offsets;
    int64_t count, bytes, lines;   /* offsets; of a run */
    int64_t inner, outer;          /* runs that begin side by side; from their starts to the next ones */
    int64_t from, line, x, offset; /* the next line */
    int64_t left, each;            /* lines, and how many at a time */
} tn_fetch;

/* Whether every offset is so many bytes behind the one before. */
static inline int follow_each_other(const int64_t *offsets, int64_t count, int64_t bytes) {
    for (int64_t i = 1; i < count; i++)
        if (offsets[i] - offsets[i - 1] != bytes) return 0;
    return count > 1;
}

/* The lines that a run has at most, wherever it begins. */
static inline int64_t lines_of(const tn_fetch *x, int64_t starts) {
    uint64_t bits = (uintptr_t)x->base | LINE_BYTES;
    for (int64_t i = 0; i < x->count; i++) bits |= (uint64_t)x->offsets[i];
    for (int64_t i = 0; i < starts; i += x->outer)
        for (int64_t j = 0; j < x->inner; j++) bits |= (uint64_t)x->starts[i + j];
    const int64_t aligned = (int64_t)(bits & -bits);
    return (LINE_BYTES - aligned + x->bytes - 1) / LINE_BYTES + 1;
}

/* What lies at `own` points and these steps of k, whichever of the two has unit stride, in so many
 * times.  Long runs are left to the hardware where they meet so many rows or columns that packing is a
 * small part of the time. */
static inline tn_fetch plan_fetch(const char *base, const tn_points *own, const int64_t *offsets,
                                  int64_t depth, tn_run step_run, int64_t itemsize, int64_t met,
                                  int64_t times) {
    enum { LONG_RUN = 1024, FEW_MET = 160 };
    tn_fetch x = {.base = base};
    const tn_run run = own->run.along > 1 ? own->run : step_run;
    int64_t starts = own->points;
    x.bytes = run.along * itemsize;
    x.inner = run.across, x.outer = run.along * run.across;
    if (own->run.along > 1 && run.across >= depth && follow_each_other(offsets, depth, x.bytes)) {
        /* all steps are one run, and neighbours across take turns */
        x.base -= own->own[0];
        x.starts = x.offsets = own->own, x.count = run.across, x.bytes *= depth, x.inner = 1;
    } else if (own->run.along > 1) {
        x.starts = own->own, x.offsets = offsets, x.count = depth;
    } else if (run.along > 1) {
        x.starts = offsets, x.offsets = own->own, x.count = starts, starts = depth;
    } else {
        return x;
    }
    if (x.bytes >= LONG_RUN && met > FEW_MET) return x;
    x.lines = lines_of(&x, starts);
    x.left = starts / x.outer * x.inner * x.lines * x.count;
    x.each = (x.left + times - 1) / times;
    return x;
}

/* The addresses of the lines that are due, at most `room`; returns how many. */
static inline int64_t next_lines(tn_fetch *x, int64_t room, const char **to) {
    const int64_t due = MIN(MIN(x->each, x->left), room);
    for (int64_t n = 0; n < due;) {
        const char *line =
            x->base + x->starts[x->from + x->x] + MIN(x->line * LINE_BYTES, x->bytes - 1);
        const int64_t some = MIN(due - n, x->count - x->offset);
        for (int64_t i = 0; i < some; i++) to[n + i] = line + x->offsets[x->offset + i];
        n += some;
        x->offset += some;
        if (x->offset < x->count) break;
        x->offset = 0;
        if (++x->line == x->lines) x->line = 0, x->x++;
        if (x->x == x->inner) x->x = 0, x->from += x->outer;
    }
    x->left -= due;
    return due;
}

#endif
