/* Greedy search: contract the neighbours whose result is smallest compared with what it replaces.
 *
 * The score of a pair is log-like in size(out) / alpha - alpha * (size(a) + size(b)), plus Gumbel
 * noise, which makes each choice a Boltzmann draw. Every pair is listed with the tensor that met
 * the other: its owner. A heap holds each owner's best pair only, so that it is small however many
 * neighbours there are, and all pairs of an owner go with it. Where the other tensor is gone, the
 * owner's next best takes the place of the pair when it surfaces.
 */
#include "greedy.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"

/* An index on more tensors than GIANT offers each of them only PARTNERS of the others. Every
 * tensor on it still gets one, so the heap cannot run dry before the network is one tensor. */
enum { GIANT = 64, PARTNERS = 12, POLL_STEPS = 128 };
enum { SHORT = 48 }; /* pairs that are looked through sooner than put in order */

static tnp_status grow(tnp_candidate **list, int64_t n, int64_t *room)
{
    if (n < *room) return TNP_OK;
    int64_t want = *room ? *room * 2 : 64;
    tnp_candidate *bigger = realloc(*list, (size_t)want * sizeof **list);
    if (!bigger) return TNP_NO_MEMORY;
    *list = bigger;
    *room = want;
    return TNP_OK;
}

/* Sum into `shared` what contracting t with each neighbour would save; returns how many were
 * touched. Savings of tensors on giant indices are incomplete: *partial tells. `later`: of a
 * network as it was given, look at neighbours after t only, but for giant indices. */
static inline __attribute__((always_inline)) int32_t
neighbours(const tnp_graph *g, int32_t t, bool later, double *shared, int32_t *touched,
           bool *partial)
{
    int32_t n = 0;
    *partial = false;
    for (int32_t k = 0; k < g->rank[t]; k++) {
        tnp_leg leg = g->legs[t][k];
        const tnp_holder *list = g->holders + g->first[leg.index];
        int32_t held = g->held[leg.index];
        double w = g->net->weight[leg.index];
        double saves = held == 2 && !g->net->open[leg.index] ? 2.0 * w : w;
        int32_t looks = later ? held - 1 - leg.place : held - 1;
        if (held > GIANT) {
            *partial = true;
            looks = PARTNERS;
        }
        for (int32_t j = 1, at = leg.place; j <= looks; j++) {
            if (++at == held) at = 0;
            int32_t u = list[at].tensor;
            touched[n] = u; /* for good if it is the first time: no branch, which would be a toss */
            n += shared[u] == 0.0;
            shared[u] += saves;
        }
    }
    return n;
}

tnp_status tnp_greedy_pairs(const tnp_net *net, tnp_candidate **pairs, int64_t *n_pairs)
{
    tnp_graph g;
    tnp_status status = tnp_graph_init(&g, net);
    if (status) return status;
    double *shared = calloc((size_t)net->n + 1, sizeof *shared);
    int32_t *touched = malloc(((size_t)net->n + 1) * sizeof *touched);
    tnp_candidate *list = NULL;
    int64_t n = 0, room = 0;
    if (!shared || !touched) status = TNP_NO_MEMORY;
    for (int32_t t = 0; t < net->n && !status; t++) {
        bool partial;
        int32_t found = neighbours(&g, t, true, shared, touched, &partial);
        for (int32_t k = 0; k < found; k++) {
            int32_t u = touched[k];
            double size = g.size[t] + g.size[u] - shared[u];
            shared[u] = 0.0;
            if (status || (status = grow(&list, n, &room))) continue;
            if (partial) size = tnp_graph_result_size(&g, t, u);
            list[n++] = (tnp_candidate){size, t, u};
        }
    }
    free(shared);
    free(touched);
    tnp_graph_free(&g);
    if (status) {
        free(list);
        list = NULL;
    }
    *pairs = list;
    *n_pairs = n;
    return status;
}

tnp_status tnp_greedy_init(tnp_greedy *w, const tnp_net *net, const tnp_candidate *pairs,
                           int64_t n_pairs)
{
    memset(w, 0, sizeof *w);
    tnp_status status = tnp_graph_init(&w->graph, net);
    if (status) return status;
    size_t ids = 2 * (size_t)net->n + 1;
    w->pairs = pairs;
    w->n_pairs = n_pairs;
    w->room = n_pairs + 64;
    w->list = malloc((size_t)w->room * sizeof *w->list);
    w->first = malloc((ids + 1) * sizeof *w->first);
    w->listed = malloc(ids * sizeof *w->listed);
    w->heaped = malloc(ids);
    w->heap = malloc(ids * sizeof *w->heap);
    w->shared = calloc(ids, sizeof *w->shared);
    w->touched = malloc(ids * sizeof *w->touched);
    w->entries = malloc(ids * sizeof *w->entries);
    for (int32_t i = 0; i < net->n_ix; i++) w->all_entries += net->weight[i];
    bool ok = w->list && w->first && w->listed && w->heaped && w->heap;
    if (ok && w->shared && w->touched && w->entries) return TNP_OK;
    tnp_greedy_free(w);
    return TNP_NO_MEMORY;
}

void tnp_greedy_free(tnp_greedy *w)
{
    tnp_graph_free(&w->graph);
    free(w->list);
    free(w->first);
    free(w->listed);
    free(w->heaped);
    free(w->heap);
    free(w->shared);
    free(w->touched);
    free(w->entries);
    memset(w, 0, sizeof *w);
}

/* Signed log2 of 2^(out) / alpha - alpha * (2^a + 2^b): orders like the difference itself. */
static double score_of(tnp_greedy *w, double out, double a, double b)
{
    double gain = out - w->alpha, loss = tnp_add2(a, b) + w->alpha;
    double hi = gain > loss ? gain : loss, lo = gain > loss ? loss : gain;
    double log_size = lo > hi - 50.0 ? hi + tnp_log2(1.0 - tnp_exp2(lo - hi)) : hi;
    if (!(log_size > 0.0)) log_size = 0.0;
    double s = gain > loss ? log_size : -log_size;
    if (w->temperature > 0.0) {
        s += w->temperature * tnp_log2(-tnp_log2(tnp_uniform(&w->rng)));
    }
    return s;
}

/* The same for tensors a and b; on plain paths the difference itself, which is quicker. */
static inline double score(tnp_greedy *w, double out, int32_t a, int32_t b)
{
    if (w->plain) return tnp_exp2(out) - w->entries[a] - w->entries[b];
    return score_of(w, out, w->graph.size[a], w->graph.size[b]);
}

/* A pair by its score as bits that order like the number, then by its tensors: what is compared
 * most is compared as integers. */
static inline tnp_choice choice_of(double score, int32_t a, int32_t b)
{
    uint64_t bits;
    score += 0.0; /* no negative zero */
    memcpy(&bits, &score, sizeof bits);
    bits ^= bits >> 63 ? UINT64_MAX : 1ULL << 63;
    return (tnp_choice){(uint64_t)(uint32_t)a << 32 | (uint32_t)b, bits};
}

static const tnp_choice NONE = {UINT64_MAX, UINT64_MAX - 1}; /* after all others */

static inline int32_t first_of(tnp_choice x)
{
    return (int32_t)(x.pair >> 32);
}

static inline int32_t second_of(tnp_choice x)
{
    return (int32_t)(x.pair & UINT32_MAX);
}

/* By score, then by tensors. Without branches: the answer is a coin toss, and equal scores are
 * common. */
static inline bool before(tnp_choice x, tnp_choice y)
{
    return x.score < y.score + (x.pair < y.pair);
}

/* Put x at place `at` of the heap or below. */
static void sift_down(tnp_choice *heap, int32_t n, int32_t at, tnp_choice x)
{
    for (int32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n) child += before(heap[child + 1], heap[child]);
        if (!before(heap[child], x)) break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

/* Put x in the place of the first of the heap; nothing, if it is NONE. */
static void replace_first(tnp_greedy *w, tnp_choice x)
{
    if (!w->n_heap) return;
    if (x.pair == NONE.pair) x = w->heap[--w->n_heap];
    if (w->n_heap) sift_down(w->heap, w->n_heap, 0, x);
}

/* The tensor that a pair is listed with, and the other one: what is made later met the earlier. */
static inline int32_t owner_of(const tnp_greedy *w, tnp_choice x)
{
    return second_of(x) < w->graph.net->n ? first_of(x) : second_of(x);
}

static inline bool gone(const tnp_greedy *w, tnp_choice x)
{
    return (w->graph.rank[first_of(x)] | w->graph.rank[second_of(x)]) < 0;
}

static void heapify(tnp_choice *heap, int32_t n)
{
    for (int32_t k = n / 2 - 1; k >= 0; k--) sift_down(heap, n, k, heap[k]);
}

/* Move those of an owner's pairs whose other tensor is there to place `to` of the lists. */
static void weed(tnp_greedy *w, int32_t owner, int64_t to)
{
    const tnp_choice *list = w->list + w->first[owner];
    tnp_choice *left = w->list + to;
    int32_t kept = 0;
    for (int32_t k = 0; k < w->listed[owner]; k++) {
        if (!gone(w, list[k])) left[kept++] = list[k];
    }
    w->first[owner] = to;
    w->listed[owner] = kept;
    w->heaped[owner] = false;
}

/* The best of an owner's pairs, or NONE. A long list becomes a heap when it is asked first: an owner
 * of many pairs may be asked as often. */
static tnp_choice best_of(tnp_greedy *w, int32_t owner)
{
    if (w->graph.rank[owner] < 0) return NONE;
    tnp_choice *list = w->list + w->first[owner], least = NONE;
    if (!w->heaped[owner]) {
        weed(w, owner, w->first[owner]);
        if (w->listed[owner] <= SHORT) {
            for (int32_t k = 0; k < w->listed[owner]; k++) {
                if (before(list[k], least)) least = list[k];
            }
            return least;
        }
        heapify(list, w->listed[owner]);
        w->heaped[owner] = true;
    }
    int32_t n = w->listed[owner];
    while (n > 0 && gone(w, list[0])) {
        n--;
        if (n) sift_down(list, n, 0, list[n]);
    }
    w->listed[owner] = n;
    return n ? list[0] : NONE;
}

/* Make room for n more pairs: drop those of contracted tensors, and take more memory if they were
 * not many. */
static tnp_status make_room(tnp_greedy *w, int64_t n)
{
    if (w->used + n <= w->room) return TNP_OK;
    w->used = 0;
    for (int32_t t = 0; t < w->graph.n_ids; t++) {
        if (w->graph.rank[t] < 0 || !w->listed[t]) continue;
        weed(w, t, w->used);
        w->used += w->listed[t];
    }
    if (2 * (w->used + n) <= w->room) return TNP_OK;
    int64_t room = 2 * (w->room + n);
    tnp_choice *list = realloc(w->list, (size_t)room * sizeof *list);
    if (!list) return TNP_NO_MEMORY;
    w->list = list;
    w->room = room;
    return TNP_OK;
}

/* List the pairs of the start and heap the best of each owner. */
static void start(tnp_greedy *w)
{
    int32_t n = w->graph.net->n;
    for (int32_t t = 0; w->plain && t < n; t++) w->entries[t] = tnp_exp2(w->graph.size[t]);
    w->n_heap = 0;
    w->used = w->n_pairs;
    int64_t k = 0;
    for (int32_t t = 0; t < n; t++) {
        tnp_choice least = NONE;
        w->first[t] = k;
        for (; k < w->n_pairs && w->pairs[k].a == t; k++) {
            tnp_candidate p = w->pairs[k];
            tnp_choice x = choice_of(score(w, p.score, p.a, p.b), p.a, p.b);
            w->list[k] = x;
            if (before(x, least)) least = x;
        }
        w->listed[t] = (int32_t)(k - w->first[t]);
        w->heaped[t] = false;
        if (w->listed[t]) w->heap[w->n_heap++] = least;
    }
    heapify(w->heap, w->n_heap);
}

/* List the pairs that the new tensor c makes; `best` is the best of them, or NONE. */
static tnp_status offer(tnp_greedy *w, int32_t c, tnp_choice *best)
{
    tnp_graph *g = &w->graph;
    bool partial;
    if (w->plain) w->entries[c] = tnp_exp2(g->size[c]);
    int32_t found = neighbours(g, c, false, w->shared, w->touched, &partial);
    w->listed[c] = 0;
    tnp_status status = make_room(w, found);
    tnp_choice *list = w->list + w->used, least = NONE;
    for (int32_t k = 0; k < found; k++) {
        int32_t t = w->touched[k];
        double size = g->size[c] + g->size[t] - w->shared[t];
        w->shared[t] = 0.0;
        if (status) continue;
        if (partial) size = tnp_graph_result_size(g, c, t);
        list[k] = choice_of(score(w, size, t, c), t, c);
        if (before(list[k], least)) least = list[k];
    }
    *best = least;
    if (status) return status;
    w->first[c] = w->used;
    w->listed[c] = found;
    w->heaped[c] = false;
    w->used += found;
    return TNP_OK;
}

/* Two tensors without a neighbour, the results of connected parts. */
static tnp_choice any_two(tnp_greedy *w)
{
    int32_t found[2];
    for (int k = 0; k < 2; w->parts++) {
        if (w->graph.rank[w->parts] >= 0) found[k++] = w->parts;
    }
    return choice_of(0.0, found[0], found[1]);
}

static void draw_parameters(tnp_greedy *w, uint64_t seed, int64_t number)
{
    w->alpha = w->temperature = 0.0;
    w->plain = number == 0 && w->all_entries < 1000.0;
    if (number == 0) return;
    w->rng = tnp_rng_make(seed, (uint64_t)number);
    w->alpha = tnp_log2(0.1 + 3.9 * tnp_uniform(&w->rng));
    w->temperature = tnp_exp2(-10.0 * tnp_uniform(&w->rng));
}

tnp_status tnp_greedy_sample(tnp_greedy *w, uint64_t seed, int64_t number, double bound,
                             tnp_control *ctl, bool caller, int32_t *steps, double *cost)
{
    tnp_graph *g = &w->graph;
    tnp_status status = g->n_ids > g->net->n ? tnp_graph_reset(g) : TNP_OK;
    if (status) return status;
    draw_parameters(w, seed, number);
    start(w);
    w->parts = 0;
    double total = -INFINITY;
    int32_t n = g->net->n;
    while (g->alive > 1) {
        tnp_choice best = w->n_heap ? w->heap[0] : any_two(w);
        int32_t made, a = first_of(best), b = second_of(best);
        if ((g->rank[a] | g->rank[b]) < 0) {
            replace_first(w, best_of(w, owner_of(w, best)));
            continue;
        }
        double macs;
        status = tnp_graph_contract(g, a, b, &made, &macs);
        if (status) return status;
        steps[2 * (made - n)] = a;
        steps[2 * (made - n) + 1] = b;
        total = tnp_add2(total, macs);
        if (total > bound) {
            total = INFINITY;
            break;
        }
        if (made % POLL_STEPS == 0 && tnp_should_stop(ctl, caller)) {
            if (tnp_interrupted(ctl, caller)) return TNP_INTERRUPTED;
            total = number ? INFINITY : total; /* the plain path is finished whatever the time */
            if (number) break;
        }
        if ((status = offer(w, made, &best))) return status;
        replace_first(w, best);
    }
    *cost = total;
    return TNP_OK;
}
