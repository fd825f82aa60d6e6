/* Which parts of a tree threads run side by side, each alone: steps that are too small to be shared
 * well, in subtrees that take about as long as each other.  What reads their results, the trunk, runs
 * after them, its steps shared by all threads. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

static const double TWIG = 1 << 14;     /* macs of a subtree that stays in the trunk */
static const double SHARING = 3 << 17;  /* macs in the time that sharing a step takes */
static const double GAIN = 0.9;         /* the most of the time that is worth it */
enum { LARGEST = 1 << 18 };             /* entries: steps on larger values are shared well */

typedef struct {
    const tn_program *p;
    double *below;  /* by value: the macs of its subtree */
    int64_t *count; /* and its steps */
    int32_t branches[TN_MOST_BRANCHES]; /* the values at their tops, those of most macs first */
    int64_t n;
    double trunk;   /* the time of all other steps, in macs */
} cutting;

/* The time that a step takes on all threads. */
static double shared_time(const tn_program *p, const tn_step *s) {
    const double macs = tn_step_macs(s);
    return macs < TN_ALONE_MACS ? macs : macs / (double)p->threads + SHARING;
}

/* The time that threads take which take the next branch whenever they are through with one. */
static double branch_time(const cutting *x) {
    double load[TN_MOST_BRANCHES] = {0}, most = 0;
    const int64_t threads = x->p->threads < TN_MOST_BRANCHES ? x->p->threads : TN_MOST_BRANCHES;
    for (int64_t i = 0; i < x->n; i++) {
        int64_t least = 0;
        for (int64_t t = 1; t < threads; t++)
            if (load[t] < load[least]) least = t;
        load[least] += x->below[x->branches[i]];
        if (load[least] > most) most = load[least];
    }
    return most;
}

static void add_branch(cutting *x, int32_t v) {
    int64_t at = x->n++;
    for (; at > 0 && x->below[x->branches[at - 1]] < x->below[v]; at--)
        x->branches[at] = x->branches[at - 1];
    x->branches[at] = v;
}

/* Takes the branch of most macs apart: its last step joins the trunk. */
static void cut_largest(cutting *x) {
    const tn_step *s = &x->p->steps[x->p->values[x->branches[0]].producer];
    const int32_t reads[2] = {s->a, s->b};
    x->trunk += shared_time(x->p, s);
    memmove(x->branches, x->branches + 1, (size_t)--x->n * sizeof *x->branches);
    for (int i = 0; i < 2 && reads[i] >= 0; i++) {
        if (x->below[reads[i]] >= TWIG) add_branch(x, reads[i]);
        else x->trunk += x->below[reads[i]];
    }
}

/* Takes the tree apart from its root for as long as that may help, and then to where it helped most. */
static void cut(cutting *x, int32_t root, double most) {
    double best = most;
    int64_t cuts = 0;
    for (int pass = 0; pass < 2; pass++) {
        x->n = 0;
        x->trunk = 0;
        add_branch(x, root);
        const int64_t last = pass ? cuts : x->p->n_forward;
        for (int64_t i = 1; i <= last && x->n && x->n < TN_MOST_BRANCHES && x->trunk < best; i++) {
            cut_largest(x);
            const double time = x->trunk + branch_time(x);
            if (pass || time >= best) continue;
            best = time;
            cuts = i;
        }
        if (!cuts) x->n = 0;
    }
}

/* Moves the steps of the branches, which follow each other in `order`, to its front. */
static tn_status put_first(cutting *x, tn_program *p, int32_t *order) {
    int32_t *sorted = malloc((size_t)p->n_forward * sizeof *sorted);
    int64_t *place = malloc((size_t)p->n_steps * sizeof *place), done = 0;
    tn_status status = sorted && place ? TN_OK : TN_NO_MEMORY;
    if (status) goto done;
    for (int64_t i = 0; i < p->n_forward; i++) place[order[i]] = i;
    for (int64_t b = 0; b < x->n; b++) {
        const int32_t top = x->branches[b];
        const int64_t end = place[p->values[top].producer] + 1, first = end - x->count[top];
        memcpy(sorted + done, order + first, (size_t)(end - first) * sizeof *order);
        for (int64_t i = first; i < end; i++) order[i] = -1;
        done += end - first;
        p->branch_end[b] = done;
    }
    for (int64_t i = 0; i < p->n_forward; i++)
        if (order[i] >= 0) sorted[done++] = order[i];
    memcpy(order, sorted, (size_t)p->n_forward * sizeof *order);
    p->n_branches = x->n;
done:
    free(sorted);
    free(place);
    return status;
}

tn_status tn_find_branches(tn_program *p, int32_t root, int32_t *order) {
    if (p->threads < 2 || p->n_loops || p->n_fused || p->n_forward < p->n_steps) return TN_OK;
    cutting x = {.p = p, .below = calloc((size_t)p->n_values, sizeof *x.below),
                 .count = calloc((size_t)p->n_values, sizeof *x.count)};
    tn_status status = x.below && x.count ? TN_OK : TN_NO_MEMORY;
    double whole = 0, shared = 0;
    for (int64_t i = 0; i < p->n_forward && !status; i++) { /* steps come operands first */
        const tn_step *s = &p->steps[i];
        if (p->values[s->c].elements > LARGEST) goto done;
        whole += tn_step_macs(s);
        shared += shared_time(p, s);
        x.below[s->c] = tn_step_macs(s) + x.below[s->a] + (s->b < 0 ? 0 : x.below[s->b]);
        x.count[s->c] = 1 + x.count[s->a] + (s->b < 0 ? 0 : x.count[s->b]);
    }
    if (!status && whole >= TN_WAKING_MACS) {
        cut(&x, root, GAIN * shared);
        if (x.n) status = put_first(&x, p, order);
    }
done:
    free(x.below);
    free(x.count);
    return status;
}
