/* Multilevel bisection of a hypergraph: match vertices that share heavy, small edges until few are
 * left, cut those by growing one half from a random vertex, and refine the cut on the way back
 * with Fiduccia and Mattheyses' moves (1982), which may climb before they gain.
 */
#include "cut.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"

enum {
    COARSEST = 48,     /* vertices */
    LEVELS = 40,
    BIG_EDGE = 48,     /* pins of an edge that does not count in matching */
    TRIES = 6,         /* first cuts of the coarsest hypergraph */
    PASSES = 4,
    FRUITLESS = 64,    /* moves without a new best that end a pass */
    LARGE = 4000,      /* vertices: of more, those on the border of the halves are moved first */
    POLL = 4096
};
static const double SHRINKS = 0.92; /* a level that shrinks less is the last */

typedef struct {
    double gain;
    int32_t vertex, stamp;
} move;

/* What refinement needs, for the finest hypergraph. */
typedef struct {
    move *heap[2];     /* per side that the vertex leaves: best gain first, some outdated */
    int64_t n_heap[2], room[2];
    double *gain;
    int32_t *stamp;    /* the entry that counts; -1: moved in this pass */
    int32_t (*pins)[2]; /* by edge: pins on either side */
    int32_t *moved;
    unsigned char *border; /* by vertex: it is on a cut edge */
    int64_t weight[2], most; /* of the halves; what neither may exceed */
    unsigned char *best;
    int32_t *queue;
} refiner;

void tnp_hyper_free(tnp_hyper *h)
{
    free(h->v_start);
    free(h->v_edge);
    free(h->e_start);
    free(h->e_pin);
    free(h->v_weight);
    free(h->e_weight);
    free(h->coarse);
    memset(h, 0, sizeof *h);
}

tnp_status tnp_hyper_alloc(tnp_hyper *h, int32_t n, int32_t n_edges, int32_t pins)
{
    size_t nv = (size_t)n + 2, ne = (size_t)n_edges + 2, np = (size_t)pins + 1;
    memset(h, 0, sizeof *h);
    h->n = n;
    h->n_edges = n_edges;
    h->v_start = malloc(nv * sizeof *h->v_start);
    h->v_edge = malloc(np * sizeof *h->v_edge);
    h->e_start = malloc(ne * sizeof *h->e_start);
    h->e_pin = malloc(np * sizeof *h->e_pin);
    h->v_weight = malloc(nv * sizeof *h->v_weight);
    h->e_weight = malloc(ne * sizeof *h->e_weight);
    h->coarse = malloc(nv * sizeof *h->coarse);
    bool ok = h->v_start && h->v_edge && h->e_start && h->e_pin && h->v_weight && h->e_weight;
    if (ok && h->coarse) return TNP_OK;
    tnp_hyper_free(h);
    return TNP_NO_MEMORY;
}

void tnp_hyper_transpose(tnp_hyper *h)
{
    memset(h->v_start, 0, ((size_t)h->n + 2) * sizeof *h->v_start);
    int32_t pins = h->e_start[h->n_edges];
    for (int32_t k = 0; k < pins; k++) h->v_start[h->e_pin[k] + 2]++;
    for (int32_t v = 0; v < h->n; v++) h->v_start[v + 2] += h->v_start[v + 1];
    for (int32_t e = 0; e < h->n_edges; e++) {
        for (int32_t k = h->e_start[e]; k < h->e_start[e + 1]; k++) {
            h->v_edge[h->v_start[h->e_pin[k] + 1]++] = e;
        }
    }
}

static void shuffle(int32_t *list, int32_t n, tnp_rng *rng)
{
    for (int32_t k = 0; k < n; k++) list[k] = k;
    for (int32_t k = n - 1; k > 0; k--) {
        int32_t j = (int32_t)tnp_below(rng, (uint32_t)k + 1), x = list[k];
        list[k] = list[j];
        list[j] = x;
    }
}

/* Pair vertices up into h->coarse; returns how many vertices that leaves, -1 without memory. */
static int32_t match(tnp_hyper *h, int64_t heaviest, tnp_rng *rng)
{
    int32_t *order = malloc(((size_t)h->n + 1) * sizeof *order);
    int32_t *touched = malloc(((size_t)h->n + 1) * sizeof *touched);
    double *bond = calloc((size_t)h->n + 1, sizeof *bond);
    int32_t left = -1;
    if (order && touched && bond) {
        left = 0;
        shuffle(order, h->n, rng);
        for (int32_t v = 0; v < h->n; v++) h->coarse[v] = -1;
        for (int32_t at = 0; at < h->n; at++) {
            int32_t v = order[at], best = -1, n = 0;
            if (h->coarse[v] >= 0) continue;
            for (int32_t k = h->v_start[v]; k < h->v_start[v + 1]; k++) {
                int32_t e = h->v_edge[k], size = h->e_start[e + 1] - h->e_start[e];
                if (size > BIG_EDGE) continue;
                for (int32_t j = h->e_start[e]; j < h->e_start[e + 1]; j++) {
                    int32_t u = h->e_pin[j];
                    if (h->coarse[u] >= 0 || u == v) continue;
                    if (bond[u] == 0.0) touched[n++] = u;
                    bond[u] += h->e_weight[e] / (double)(size - 1);
                }
            }
            double most = 0.0;
            for (int32_t j = 0; j < n; j++) {
                int32_t u = touched[j];
                double b = bond[u] / (double)h->v_weight[u];
                bond[u] = 0.0;
                if ((int64_t)h->v_weight[u] + h->v_weight[v] > heaviest || !(b > most)) continue;
                most = b;
                best = u;
            }
            h->coarse[v] = left;
            if (best >= 0) h->coarse[best] = left;
            left++;
        }
    }
    free(order);
    free(touched);
    free(bond);
    return left;
}

/* The hypergraph of the matched vertices; edges within one vertex are gone. */
static tnp_status contract(const tnp_hyper *h, int32_t n, tnp_hyper *out)
{
    tnp_status status = tnp_hyper_alloc(out, n, h->n_edges, h->e_start[h->n_edges]);
    int32_t *seen = status ? NULL : malloc(((size_t)n + 1) * sizeof *seen);
    if (!seen) {
        if (!status) tnp_hyper_free(out);
        return TNP_NO_MEMORY;
    }
    for (int32_t v = 0; v < n; v++) seen[v] = -1;
    memset(out->v_weight, 0, (size_t)n * sizeof *out->v_weight);
    for (int32_t v = 0; v < h->n; v++) out->v_weight[h->coarse[v]] += h->v_weight[v];
    int32_t edges = 0, pins = 0;
    for (int32_t e = 0; e < h->n_edges; e++) {
        int32_t first = pins;
        for (int32_t k = h->e_start[e]; k < h->e_start[e + 1]; k++) {
            int32_t c = h->coarse[h->e_pin[k]];
            if (seen[c] == e) continue;
            seen[c] = e;
            out->e_pin[pins++] = c;
        }
        if (pins - first < 2) {
            pins = first;
            continue;
        }
        out->e_start[edges] = first;
        out->e_weight[edges++] = h->e_weight[e];
    }
    out->e_start[edges] = pins;
    out->n_edges = edges;
    free(seen);
    tnp_hyper_transpose(out);
    return TNP_OK;
}

static bool before(move x, move y)
{
    return x.gain != y.gain ? x.gain > y.gain : x.vertex < y.vertex;
}

static tnp_status push(refiner *r, int side, move x)
{
    if (r->n_heap[side] == r->room[side]) {
        int64_t room = r->room[side] ? 2 * r->room[side] : 256;
        move *bigger = realloc(r->heap[side], (size_t)room * sizeof *bigger);
        if (!bigger) return TNP_NO_MEMORY;
        r->heap[side] = bigger;
        r->room[side] = room;
    }
    move *heap = r->heap[side];
    int64_t at = r->n_heap[side]++;
    for (; at > 0 && before(x, heap[(at - 1) / 2]); at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = x;
    return TNP_OK;
}

static void pop(refiner *r, int side)
{
    move *heap = r->heap[side], x = heap[--r->n_heap[side]];
    int64_t n = r->n_heap[side], at = 0;
    for (int64_t kid; (kid = 2 * at + 1) < n; at = kid) {
        if (kid + 1 < n && before(heap[kid + 1], heap[kid])) kid++;
        if (!before(heap[kid], x)) break;
        heap[at] = heap[kid];
    }
    heap[at] = x;
}

/* Drop outdated entries from the top. */
static void settle(refiner *r, int side)
{
    while (r->n_heap[side] && r->heap[side][0].stamp != r->stamp[r->heap[side][0].vertex]) {
        pop(r, side);
    }
}

static tnp_status change(refiner *r, int side, int32_t v, double by)
{
    r->gain[v] += by;
    if (r->stamp[v] < 0) return TNP_OK;
    return push(r, side, (move){r->gain[v], v, ++r->stamp[v]});
}

/* Count the pins and the gains of all moves; returns the weight of the cut edges. */
static double count(const tnp_hyper *h, refiner *r, const unsigned char *side)
{
    double cut = 0.0;
    r->weight[0] = r->weight[1] = 0;
    for (int32_t v = 0; v < h->n; v++) {
        r->weight[side[v]] += h->v_weight[v];
        r->gain[v] = 0.0;
        r->border[v] = 0;
    }
    for (int32_t e = 0; e < h->n_edges; e++) {
        r->pins[e][0] = r->pins[e][1] = 0;
        for (int32_t k = h->e_start[e]; k < h->e_start[e + 1]; k++) r->pins[e][side[h->e_pin[k]]]++;
        bool whole = !r->pins[e][0] || !r->pins[e][1];
        if (!whole) cut += h->e_weight[e];
        for (int32_t k = h->e_start[e]; k < h->e_start[e + 1]; k++) {
            int s = side[h->e_pin[k]];
            if (!r->pins[e][s ^ 1]) r->gain[h->e_pin[k]] -= h->e_weight[e];
            if (r->pins[e][s] == 1) r->gain[h->e_pin[k]] += h->e_weight[e];
            if (!whole) r->border[h->e_pin[k]] = 1;
        }
    }
    return cut;
}

/* Change the gains around vertex v, which moves over, edge by edge. */
static tnp_status cross(const tnp_hyper *h, refiner *r, unsigned char *side, int32_t v)
{
    int from = side[v], to = from ^ 1;
    side[v] = (unsigned char)to;
    r->weight[from] -= h->v_weight[v];
    r->weight[to] += h->v_weight[v];
    tnp_status status = TNP_OK;
    for (int32_t k = h->v_start[v]; k < h->v_start[v + 1] && !status; k++) {
        int32_t e = h->v_edge[k], *pins = r->pins[e];
        double w = h->e_weight[e];
        int32_t there = pins[to]++, here = --pins[from];
        if (there > 1 && here > 1) continue;
        for (int32_t j = h->e_start[e]; j < h->e_start[e + 1] && !status; j++) {
            int32_t u = h->e_pin[j];
            if (u == v) continue;
            double by = 0.0;
            if (there == 0) by += w;
            if (there == 1 && side[u] == to) by -= w;
            if (here == 0) by -= w;
            if (here == 1 && side[u] == from) by += w;
            if (by != 0.0) status = change(r, side[u], u, by);
        }
    }
    return status;
}

/* The side whose best move should be made, -1 if none can be. */
static int choose_side(const tnp_hyper *h, refiner *r)
{
    int best = -1;
    for (int s = 0; s < 2; s++) {
        settle(r, s);
        if (!r->n_heap[s]) continue;
        int64_t after = r->weight[s ^ 1] + h->v_weight[r->heap[s][0].vertex];
        bool fits = after <= r->most || after < r->weight[s]; /* or is less unbalanced */
        if (!fits) continue;
        if (best < 0 || r->heap[s][0].gain > r->heap[best][0].gain) best = s;
    }
    return best;
}

/* How far the heavier half is over what it may weigh. */
static int64_t excess(const refiner *r)
{
    int64_t heavier = r->weight[0] > r->weight[1] ? r->weight[0] : r->weight[1];
    return heavier > r->most ? heavier - r->most : 0;
}

/* One pass: move every vertex at most once, best gain first, then undo all beyond the best cut. */
static tnp_status pass(const tnp_hyper *h, refiner *r, unsigned char *side, double *cut,
                       tnp_control *ctl, bool caller, bool *improved)
{
    tnp_status status = TNP_OK;
    double now = count(h, r, side);
    r->n_heap[0] = r->n_heap[1] = 0;
    for (int32_t v = 0; v < h->n && !status; v++) {
        r->stamp[v] = 0;
        if (h->n > LARGE && !r->border[v]) continue; /* until a neighbour moves */
        status = push(r, side[v], (move){r->gain[v], v, 0});
    }
    double best = *cut = now;
    int64_t best_excess = excess(r);
    int32_t moves = 0, kept = 0;
    while (!status && moves - kept < FRUITLESS + h->n / 50) {
        int s = choose_side(h, r);
        if (s < 0) break;
        int32_t v = r->heap[s][0].vertex;
        pop(r, s);
        r->stamp[v] = -1;
        now -= r->gain[v];
        r->moved[moves++] = v;
        status = cross(h, r, side, v);
        int64_t over = excess(r);
        if (over < best_excess || (over == best_excess && now < best - 1e-9)) {
            best = now;
            best_excess = over;
            kept = moves;
        }
        if (moves % POLL == 0 && tnp_should_stop(ctl, caller)) break;
    }
    for (int32_t k = kept; k < moves; k++) side[r->moved[k]] ^= 1;
    *improved = kept > 0;
    *cut = best;
    if (!status && tnp_interrupted(ctl, caller)) status = TNP_INTERRUPTED;
    return status;
}

static tnp_status refine(const tnp_hyper *h, refiner *r, unsigned char *side, double *cut,
                         tnp_control *ctl, bool caller)
{
    bool improved = true;
    tnp_status status = TNP_OK;
    for (int k = 0; k < PASSES && improved && !status; k++) {
        if (k > 0 && tnp_should_stop(ctl, caller)) break;
        status = pass(h, r, side, cut, ctl, caller, &improved);
    }
    return status;
}

/* Grow side 1 from a random vertex, neighbours first, to half of the weight. */
static void grow_half(const tnp_hyper *h, refiner *r, tnp_rng *rng, unsigned char *side)
{
    int32_t seen = 0, n = 0, next = 0;
    int64_t whole = 0, weight = 0;
    for (int32_t v = 0; v < h->n; v++) whole += h->v_weight[v];
    memset(side, 0, (size_t)h->n);
    memset(r->best, 0, (size_t)h->n);
    int32_t first = (int32_t)tnp_below(rng, (uint32_t)h->n);
    r->queue[n++] = first;
    r->best[first] = 1;
    while (2 * weight < whole) {
        if (seen == n) { /* another component */
            while (r->best[next]) next++;
            r->best[next] = 1;
            r->queue[n++] = next;
        }
        int32_t v = r->queue[seen++];
        side[v] = 1;
        weight += h->v_weight[v];
        for (int32_t k = h->v_start[v]; k < h->v_start[v + 1]; k++) {
            int32_t e = h->v_edge[k];
            for (int32_t j = h->e_start[e]; j < h->e_start[e + 1]; j++) {
                int32_t u = h->e_pin[j];
                if (r->best[u]) continue;
                r->best[u] = 1;
                r->queue[n++] = u;
            }
        }
    }
}

static tnp_status first_cut(const tnp_hyper *h, refiner *r, tnp_rng *rng, tnp_control *ctl,
                            bool caller, unsigned char *side, unsigned char *spare)
{
    double best = INFINITY;
    int64_t best_excess = INT64_MAX;
    for (int k = 0; k < TRIES; k++) {
        double cut;
        grow_half(h, r, rng, spare);
        tnp_status status = refine(h, r, spare, &cut, ctl, caller);
        if (status) return status;
        count(h, r, spare);
        int64_t over = excess(r);
        if (over > best_excess || (over == best_excess && !(cut < best))) continue;
        best = cut;
        best_excess = over;
        memcpy(side, spare, (size_t)h->n);
    }
    return TNP_OK;
}

static void refiner_free(refiner *r)
{
    free(r->heap[0]);
    free(r->heap[1]);
    free(r->gain);
    free(r->stamp);
    free(r->pins);
    free(r->moved);
    free(r->border);
    free(r->best);
    free(r->queue);
}

static tnp_status refiner_init(refiner *r, const tnp_hyper *h, double slack)
{
    size_t n = (size_t)h->n + 1;
    memset(r, 0, sizeof *r);
    r->gain = malloc(n * sizeof *r->gain);
    r->stamp = malloc(n * sizeof *r->stamp);
    r->pins = malloc(((size_t)h->n_edges + 1) * sizeof *r->pins);
    r->moved = malloc(n * sizeof *r->moved);
    r->border = malloc(n);
    r->best = malloc(n);
    r->queue = malloc(n * sizeof *r->queue);
    double whole = 0.0;
    for (int32_t v = 0; v < h->n; v++) whole += (double)h->v_weight[v];
    r->most = (int64_t)(0.5 * (1.0 + slack) * whole);
    if (2 * r->most < (int64_t)whole) r->most = ((int64_t)whole + 1) / 2;
    bool ok = r->gain && r->stamp && r->pins && r->moved && r->border;
    return ok && r->best && r->queue ? TNP_OK : TNP_NO_MEMORY;
}

tnp_status tnp_cut(tnp_hyper *h, double slack, tnp_rng *rng, tnp_control *ctl, bool caller,
                   unsigned char *side)
{
    tnp_hyper level[LEVELS];
    refiner r;
    int32_t depth = 0;
    tnp_status status = refiner_init(&r, h, slack);
    unsigned char *spare = malloc((size_t)h->n + 1);
    if (!spare) status = TNP_NO_MEMORY;
    level[0] = *h;
    int64_t heaviest = 1 + r.most / 16;
    while (!status && level[depth].n > COARSEST && depth + 1 < LEVELS) {
        int32_t n = match(&level[depth], heaviest, rng);
        if (n < 0) status = TNP_NO_MEMORY;
        if (status || (double)n > SHRINKS * (double)level[depth].n) break;
        status = contract(&level[depth], n, &level[depth + 1]);
        if (!status) depth++;
        if (tnp_should_stop(ctl, caller)) break; /* any cut will do */
    }
    if (!status) status = first_cut(&level[depth], &r, rng, ctl, caller, side, spare);
    for (; depth > 0; depth--) {
        const tnp_hyper *finer = &level[depth - 1];
        for (int32_t v = 0; v < finer->n && !status; v++) spare[v] = side[finer->coarse[v]];
        tnp_hyper_free(&level[depth]);
        if (status) continue;
        memcpy(side, spare, (size_t)finer->n);
        double cut;
        status = refine(finer, &r, side, &cut, ctl, caller);
    }
    free(spare);
    refiner_free(&r);
    return status;
}
