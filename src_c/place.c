/* Where each value lives: offsets in arenas, by liveness. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

int64_t tn_value_bytes(const tn_program *p, int32_t v) {
    if (v < 0 || p->values[v].producer < 0 || p->values[v].place == PLACE_OUTPUT) return 0;
    return TN_ALIGNED(p->values[v].elements * tn_itemsize(p->dtype));
}

/* Free blocks of an arena, sorted by offset. */
typedef struct {
    int64_t *offset, *size;
    int64_t count, capacity, end;
} arena;

static int64_t arena_take(arena *a, int64_t bytes) {
    int64_t best = -1;
    for (int64_t i = 0; i < a->count; i++)
        if (a->size[i] >= bytes && (best < 0 || a->size[i] < a->size[best])) best = i;
    if (best < 0) {
        /* grow, starting in a free block that touches the end */
        int64_t at = a->end;
        if (a->count && a->offset[a->count - 1] + a->size[a->count - 1] == a->end)
            at = a->offset[--a->count];
        a->end = at + bytes;
        return at;
    }
    int64_t at = a->offset[best];
    a->offset[best] += bytes;
    a->size[best] -= bytes;
    if (!a->size[best]) {
        a->count--;
        size_t tail = (size_t)(a->count - best) * sizeof(int64_t);
        memmove(&a->offset[best], &a->offset[best + 1], tail);
        memmove(&a->size[best], &a->size[best + 1], tail);
    }
    return at;
}

static tn_status arena_give(arena *a, int64_t offset, int64_t bytes) {
    if (!bytes) return TN_OK;
    if (a->count == a->capacity) {
        int64_t capacity = a->capacity ? 2 * a->capacity : 64;
        int64_t *offsets = realloc(a->offset, (size_t)capacity * sizeof *offsets);
        if (offsets) a->offset = offsets;
        int64_t *sizes = realloc(a->size, (size_t)capacity * sizeof *sizes);
        if (sizes) a->size = sizes;
        if (!offsets || !sizes) return TN_NO_MEMORY;
        a->capacity = capacity;
    }
    int64_t low = 0, high = a->count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (a->offset[middle] < offset) low = middle + 1;
        else high = middle;
    }
    int joins_left = low > 0 && a->offset[low - 1] + a->size[low - 1] == offset;
    int joins_right = low < a->count && offset + bytes == a->offset[low];
    if (joins_left) {
        a->size[low - 1] += bytes;
        if (!joins_right) return TN_OK;
        a->size[low - 1] += a->size[low];
        a->count--;
        size_t tail = (size_t)(a->count - low) * sizeof(int64_t);
        memmove(&a->offset[low], &a->offset[low + 1], tail);
        memmove(&a->size[low], &a->size[low + 1], tail);
    } else if (joins_right) {
        a->offset[low] = offset;
        a->size[low] += bytes;
    } else {
        size_t tail = (size_t)(a->count - low) * sizeof(int64_t);
        memmove(&a->offset[low + 1], &a->offset[low], tail);
        memmove(&a->size[low + 1], &a->size[low], tail);
        a->offset[low] = offset;
        a->size[low] = bytes;
        a->count++;
    }
    return TN_OK;
}

/* What is taken from an arena before step i, and given back after it. */
static int32_t value_made(const tn_program *p, int64_t i) {
    const tn_step *s = &p->steps[i];
    if (s->fused < 0) return s->c;
    const tn_fused *f = &p->fused[s->fused];
    return i == f->first_step ? f->result : -1;
}

/* The blocks between fused steps: those of one step and of the next. */
static void place_blocks(tn_program *p) {
    for (int64_t f = 0; f < p->n_fused; f++) {
        const tn_fused *fused = &p->fused[f];
        int64_t largest[2] = {0, 0};
        for (int64_t i = 0; i + 1 < fused->n_steps; i++) {
            const int64_t bytes = TN_ALIGNED(p->values[fused->first_block + 1 + i].elements *
                                             tn_itemsize(p->dtype));
            if (bytes > largest[i % 2]) largest[i % 2] = bytes;
        }
        for (int64_t i = 0; i + 1 < fused->n_steps; i++)
            p->values[fused->first_block + 1 + i].offset = i % 2 ? largest[0] : 0;
        if (largest[0] + largest[1] > p->block_bytes) p->block_bytes = largest[0] + largest[1];
    }
}

enum { SHARED, WORKER, SAVED, BRANCH, ARENAS = BRANCH + TN_MOST_BRANCHES };

/* What placing values shares: memory for all workers, for each, what one half of a run leaves, and for each
 * branch, which is later a part of that for all. */
typedef struct {
    tn_program *p;
    arena arenas[ARENAS];
    int64_t *last; /* by value: the step that reads it last, or -1 */
} placing;

static int is_placed(const tn_value *value) {
    return value->producer >= 0 && value->place != PLACE_OUTPUT && value->place != PLACE_BLOCK &&
           value->place != PLACE_SUMS;
}

static int64_t *find_last_reads(const tn_program *p) {
    int64_t *last = malloc((size_t)p->n_values * sizeof *last);
    if (!last) return NULL;
    for (int64_t v = 0; v < p->n_values; v++) last[v] = -1;
    for (int64_t i = 0; i < p->n_steps; i++) {
        last[p->steps[i].a] = i;
        if (p->steps[i].b >= 0) last[p->steps[i].b] = i;
    }
    return last;
}

/* The arena of a value that nothing but this run reads. */
static int arena_of(const tn_program *p, const tn_value *value) {
    if (value->level) return WORKER;
    for (int64_t b = 0; b < p->n_branches; b++)
        if (value->producer < p->branch_end[b]) return BRANCH + (int)b;
    return SHARED;
}

static void take(placing *x, int32_t v) {
    tn_program *p = x->p;
    tn_value *value = &p->values[v];
    int from = arena_of(p, value);
    if (p->n_loops == 0 && x->last[v] >= p->n_forward && value->producer < p->n_forward) from = SAVED;
    value->place = from == WORKER ? PLACE_WORKER : from == SAVED ? PLACE_SAVED : PLACE_SHARED;
    value->offset = arena_take(&x->arenas[from], tn_value_bytes(p, v));
}

static tn_status give(placing *x, int32_t v) {
    const tn_value *value = &x->p->values[v];
    if (!is_placed(value) || value->place == PLACE_SAVED) return TN_OK;
    return arena_give(&x->arenas[arena_of(x->p, value)], value->offset, tn_value_bytes(x->p, v));
}

/* Where loops begin, room for the sums over them; where they have ended, what only they have read is
 * given back. */
static tn_status enter_section(placing *x, int64_t section) {
    const tn_program *p = x->p;
    const int64_t outside = section <= p->n_loops ? section - 1 : 2 * p->n_loops - section;
    tn_status status = TN_OK;
    if (!p->has_late || !section) return TN_OK;
    for (int32_t v = 0; v < p->n_values && !status; v++) {
        const tn_value *value = &p->values[v];
        if (!is_placed(value) || value->level != outside) continue;
        if (section <= p->n_loops) {
            if (value->summed) take(x, v);
        } else if (x->last[v] >= 0 && p->steps[x->last[v]].level > outside) {
            status = give(x, v);
        }
    }
    return status;
}

/* What v, which fused steps read, is a block of. */
static int32_t whole_of(const tn_fused *f, int32_t v) {
    return v == f->first_block ? f->stem : v == f->other_block ? f->other : v;
}

/* A value is given back after the step that reads it last, unless that runs in a deeper loop, which
 * will want it again. */
static tn_status place_around(placing *x, int64_t i) {
    tn_program *p = x->p;
    const tn_step *s = &p->steps[i];
    const int32_t made = value_made(p, i);
    if (made >= 0 && is_placed(&p->values[made]) && !p->values[made].summed) take(x, made);
    int32_t operands[2] = {s->a, s->b};
    for (int o = 0; o < 2; o++) {
        int32_t v = operands[o];
        if (v < 0 || x->last[v] != i) continue;
        if (s->fused >= 0) v = whole_of(&p->fused[s->fused], v);
        if (p->values[v].level != s->level) continue;
        const tn_status status = give(x, v);
        if (status) return status;
    }
    return TN_OK;
}

/* Puts the memory of branches behind what is shared. */
static void append_branches(placing *x) {
    tn_program *p = x->p;
    int64_t at[TN_MOST_BRANCHES];
    for (int64_t b = 0; b < p->n_branches; b++) {
        at[b] = p->shared_bytes;
        p->shared_bytes += x->arenas[BRANCH + b].end;
    }
    for (int64_t v = p->n_inputs; v < p->n_values && p->n_branches; v++) {
        const int from = arena_of(p, &p->values[v]);
        if (from >= BRANCH) p->values[v].offset += at[from - BRANCH];
    }
}

tn_status tn_place_values(tn_program *p) {
    placing x = {.p = p, .last = find_last_reads(p)};
    tn_status status = x.last ? TN_OK : TN_NO_MEMORY;
    place_blocks(p);
    for (int64_t section = 0; section <= 2 * p->n_loops && !status; section++) {
        status = enter_section(&x, section);
        for (int64_t i = p->section_start[section]; i < p->section_start[section + 1] && !status; i++)
            status = place_around(&x, i);
    }
    p->shared_bytes = x.arenas[SHARED].end;
    p->worker_bytes = x.arenas[WORKER].end;
    p->saved_bytes = x.arenas[SAVED].end;
    append_branches(&x);
    for (int i = 0; i < ARENAS; i++) {
        free(x.arenas[i].offset);
        free(x.arenas[i].size);
    }
    free(x.last);
    return status;
}
