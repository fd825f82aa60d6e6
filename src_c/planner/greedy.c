/* Greedy search: contract the neighbours whose result is smallest compared with what it replaces.
 *
 * The score of a pair is log-like in size(out) / alpha - alpha * (size(a) + size(b)), plus Gumbel
 * noise, which makes each choice a Boltzmann draw. A heap holds the pairs; pairs whose tensors
 * are gone are dropped when they surface.
 */
#include "greedy.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"

/* An index on more tensors than GIANT offers each of them only PARTNERS of the others. Every
 * tensor on it still gets one, so the heap cannot run dry before the network is one tensor. */
enum { GIANT = 64, PARTNERS = 12, POLL_STEPS = 1024, WEEDS = 64 };

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
 * touched. Savings of tensors on giant indices are incomplete: *partial tells. */
static int32_t neighbours(const tnp_graph *g, int32_t t, double *shared, int32_t *touched,
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
        int32_t looks = held - 1;
        if (held > GIANT) {
            *partial = true;
            looks = PARTNERS;
        }
        for (int32_t j = 1, at = leg.place; j <= looks; j++) {
            if (++at == held) at = 0;
            int32_t u = list[at].tensor;
            if (shared[u] == 0.0) touched[n++] = u;
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
        int32_t found = neighbours(&g, t, shared, touched, &partial);
        for (int32_t k = 0; k < found; k++) {
            int32_t u = touched[k];
            double size = g.size[t] + g.size[u] - shared[u];
            shared[u] = 0.0;
            if (u < t && !partial) continue; /* seen from u's side */
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
    w->pairs = pairs;
    w->n_pairs = n_pairs;
    w->heap_room = n_pairs + 64;
    w->heap = malloc((size_t)w->heap_room * sizeof *w->heap);
    w->shared = calloc(2 * (size_t)net->n + 1, sizeof *w->shared);
    w->touched = malloc((2 * (size_t)net->n + 1) * sizeof *w->touched);
    w->entries = malloc((2 * (size_t)net->n + 1) * sizeof *w->entries);
    for (int32_t i = 0; i < net->n_ix; i++) w->all_entries += net->weight[i];
    if (w->heap && w->shared && w->touched && w->entries) return TNP_OK;
    tnp_greedy_free(w);
    return TNP_NO_MEMORY;
}

void tnp_greedy_free(tnp_greedy *w)
{
    tnp_graph_free(&w->graph);
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

/* Without branches: the answer is a coin toss, and equal scores are common. */
static inline bool before(tnp_candidate x, tnp_candidate y)
{
    uint64_t i = (uint64_t)x.a << 32 | (uint32_t)x.b, j = (uint64_t)y.a << 32 | (uint32_t)y.b;
    return (x.score < y.score) | ((x.score == y.score) & (i < j));
}

static void sift_down(tnp_candidate *heap, int64_t n, int64_t at)
{
    tnp_candidate x = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n) child += before(heap[child + 1], heap[child]);
        if (!before(heap[child], x)) break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

static void heapify(tnp_greedy *w)
{
    for (int64_t k = w->n_heap / 2 - 1; k >= 0; k--) sift_down(w->heap, w->n_heap, k);
    w->stale = 0;
}

/* Drop the pairs of which a tensor is gone: in bulk that is cheaper than one by one at the top. */
static void weed(tnp_greedy *w)
{
    int64_t kept = 0;
    for (int64_t k = 0; k < w->n_heap; k++) {
        tnp_candidate x = w->heap[k];
        if (w->graph.rank[x.a] >= 0 && w->graph.rank[x.b] >= 0) w->heap[kept++] = x;
    }
    w->n_heap = kept;
    heapify(w);
}

static tnp_status push(tnp_greedy *w, tnp_candidate x)
{
    tnp_status status = grow(&w->heap, w->n_heap, &w->heap_room);
    if (status) return status;
    int64_t at = w->n_heap++;
    for (; at > 0 && before(x, w->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        w->heap[at] = w->heap[(at - 1) / 2];
    }
    w->heap[at] = x;
    return TNP_OK;
}

static void start(tnp_greedy *w)
{
    for (int32_t t = 0; w->plain && t < w->graph.net->n; t++) {
        w->entries[t] = tnp_exp2(w->graph.size[t]);
    }
    for (int64_t k = 0; k < w->n_pairs; k++) {
        tnp_candidate p = w->pairs[k];
        w->heap[k] = (tnp_candidate){score(w, p.score, p.a, p.b), p.a, p.b};
    }
    w->n_heap = w->n_pairs;
    heapify(w);
}

static tnp_status offer(tnp_greedy *w, int32_t c)
{
    tnp_graph *g = &w->graph;
    bool partial;
    tnp_status status = TNP_OK;
    if (w->plain) w->entries[c] = tnp_exp2(g->size[c]);
    int32_t found = neighbours(g, c, w->shared, w->touched, &partial);
    for (int32_t k = 0; k < found; k++) {
        int32_t t = w->touched[k];
        double size = g->size[c] + g->size[t] - w->shared[t];
        w->shared[t] = 0.0;
        if (status) continue;
        if (partial) size = tnp_graph_result_size(g, c, t);
        status = push(w, (tnp_candidate){score(w, size, t, c), t, c});
    }
    return status;
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
    tnp_status status = tnp_graph_reset(g);
    if (status) return status;
    draw_parameters(w, seed, number);
    start(w);
    double total = -INFINITY;
    int32_t n = g->net->n;
    while (g->alive > 1) {
        tnp_candidate best = w->heap[0];
        w->heap[0] = w->heap[--w->n_heap];
        if (w->n_heap) sift_down(w->heap, w->n_heap, 0);
        if (g->rank[best.a] < 0 || g->rank[best.b] < 0) {
            if (++w->stale > WEEDS + w->n_heap / 8) weed(w);
            continue;
        }
        int32_t made;
        double macs;
        status = tnp_graph_contract(g, best.a, best.b, &made, &macs);
        if (status) return status;
        steps[2 * (made - n)] = best.a;
        steps[2 * (made - n) + 1] = best.b;
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
        if ((status = offer(w, made))) return status;
    }
    *cost = total;
    return TNP_OK;
}
