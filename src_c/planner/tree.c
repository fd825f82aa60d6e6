/* A contraction tree that is being changed; see tree.h. */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    double weight;
    int32_t index;
} weighted;

static int by_weight(const void *a, const void *b)
{
    const weighted *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Give every index that counts a bit; a word holds indices of one weight only. */
static tnp_status assign_bits(const tnp_net *net, const unsigned char *chosen, int32_t *bit,
                              int32_t *words, double **weights)
{
    weighted *order = malloc(((size_t)net->n_ix + 1) * sizeof *order);
    double *word_weight = malloc(((size_t)net->n_ix + 1) * sizeof *word_weight);
    if (!order || !word_weight) {
        free(order);
        free(word_weight);
        return TNP_NO_MEMORY;
    }
    int32_t n = 0, used = 0;
    for (int32_t i = 0; i < net->n_ix; i++) {
        bit[i] = -1;
        if (chosen && !chosen[i]) continue;
        if (net->count[i] && net->weight[i] > 0.0) order[n++] = (weighted){net->weight[i], i};
    }
    qsort(order, (size_t)n, sizeof *order, by_weight);
    for (int32_t k = 0, next = 0; k < n; k++) {
        if (used == 0 || next == 64 || word_weight[used - 1] != order[k].weight) {
            word_weight[used++] = order[k].weight;
            next = 0;
        }
        bit[order[k].index] = 64 * (used - 1) + next++;
    }
    free(order);
    if (used == 0) word_weight[used++] = 0.0;
    *words = used;
    *weights = word_weight;
    return TNP_OK;
}

double tnp_tree_bytes(const tnp_net *net)
{
    return 2.0 * (double)net->n * ((double)net->n_ix / 8.0 + 32.0);
}

static tnp_status tree_alloc(tnp_tree *tree, int32_t n, int32_t words)
{
    size_t nodes = 2 * (size_t)n;
    tree->n = n;
    tree->n_nodes = 2 * n - 1;
    tree->words = words;
    tree->root = 2 * n - 2;
    tree->kids = malloc(nodes * sizeof *tree->kids);
    tree->parent = malloc(nodes * sizeof *tree->parent);
    tree->legs = calloc(nodes * (size_t)words, sizeof *tree->legs);
    tree->size = calloc(nodes, sizeof *tree->size);
    tree->cost = calloc(nodes, sizeof *tree->cost);
    tree->scratch = malloc(nodes * sizeof *tree->scratch);
    bool ok = tree->kids && tree->parent && tree->legs && tree->size && tree->cost;
    return ok && tree->scratch ? TNP_OK : TNP_NO_MEMORY;
}

tnp_status tnp_tree_init(tnp_tree *tree, const tnp_net *net, const unsigned char *chosen)
{
    memset(tree, 0, sizeof *tree);
    tree->objective = net->objective;
    tree->bit = malloc(((size_t)net->n_ix + 1) * sizeof *tree->bit);
    tnp_status status = TNP_NO_MEMORY;
    int32_t words;
    if (tree->bit) status = assign_bits(net, chosen, tree->bit, &words, &tree->word_weight);
    if (!status) status = tree_alloc(tree, net->n, words);
    if (status) {
        tnp_tree_free(tree);
        return status;
    }
    for (int32_t t = 0; t < net->n; t++) {
        uint64_t *legs = tnp_legs(tree, t);
        for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) {
            int32_t b = tree->bit[net->ix[k]];
            if (b >= 0) legs[b >> 6] |= 1ULL << (b & 63);
        }
    }
    uint64_t *output = tnp_legs(tree, tree->root);
    for (int32_t i = 0; i < net->n_ix; i++) {
        int32_t b = tree->bit[i];
        if (b >= 0 && net->open[i]) output[b >> 6] |= 1ULL << (b & 63);
    }
    return TNP_OK;
}

void tnp_tree_free(tnp_tree *tree)
{
    free(tree->kids);
    free(tree->parent);
    free(tree->legs);
    free(tree->word_weight);
    free(tree->size);
    free(tree->cost);
    free(tree->bit);
    free(tree->scratch);
    memset(tree, 0, sizeof *tree);
}

void tnp_tree_load(tnp_tree *tree, const int32_t *steps)
{
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        int32_t *kids = tnp_kids(tree, v);
        kids[0] = steps[2 * (v - tree->n)];
        kids[1] = steps[2 * (v - tree->n) + 1];
        tree->parent[kids[0]] = tree->parent[kids[1]] = v;
    }
    tree->parent[tree->root] = -1;
    tnp_tree_recount(tree);
}

/* Steps in `scratch`, parents before children. */
static int32_t from_the_top(tnp_tree *tree)
{
    int32_t seen = 0, filled = 0;
    if (tree->n > 1) tree->scratch[filled++] = tree->root;
    while (seen < filled) {
        const int32_t *kids = tnp_kids(tree, tree->scratch[seen++]);
        for (int side = 0; side < 2; side++) {
            if (kids[side] >= tree->n) tree->scratch[filled++] = kids[side];
        }
    }
    return filled;
}

/* Set the index sets below v, given v's own: an index of a kid stays open if the other kid or v
 * has it. What lies below is not known yet, so go up with unions, then down with what is open. */
static void find_legs(tnp_tree *tree, int32_t n_steps)
{
    int32_t words = tree->words;
    for (int32_t k = n_steps - 1; k > 0; k--) {
        int32_t v = tree->scratch[k];
        const int32_t *kids = tnp_kids(tree, v);
        const uint64_t *a = tnp_legs(tree, kids[0]), *b = tnp_legs(tree, kids[1]);
        uint64_t *c = tnp_legs(tree, v);
        for (int32_t w = 0; w < words; w++) c[w] = a[w] | b[w];
    }
    for (int32_t k = 0; k < n_steps; k++) {
        int32_t v = tree->scratch[k];
        const int32_t *kids = tnp_kids(tree, v);
        uint64_t *a = tnp_legs(tree, kids[0]), *b = tnp_legs(tree, kids[1]);
        const uint64_t *c = tnp_legs(tree, v);
        for (int32_t w = 0; w < words; w++) {
            uint64_t x = a[w], y = b[w];
            if (kids[0] >= tree->n) a[w] = x & (y | c[w]);
            if (kids[1] >= tree->n) b[w] = y & (x | c[w]);
        }
    }
}

void tnp_tree_recount(tnp_tree *tree)
{
    int32_t n_steps = from_the_top(tree);
    find_legs(tree, n_steps);
    for (int32_t k = n_steps - 1; tree->once && k >= 0; k--) {
        const int32_t *kids = tnp_kids(tree, tree->scratch[k]);
        tree->once[tree->scratch[k]] = tree->once[kids[0]] & tree->once[kids[1]];
    }
    for (int32_t v = 0; v < tree->n_nodes; v++) {
        tree->size[v] = tnp_union_size(tree, tnp_legs(tree, v), tnp_legs(tree, v));
    }
    double highest = 0.0;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        double step = tnp_tree_step(tree, v);
        if (tree->once && tree->once[v]) step -= tree->slices;
        if (tree->base) step += tree->base[v];
        tree->cost[v] = step;
        if (step > highest) highest = step;
    }
    tree->unit = highest < 200.0 ? 0.0 : highest - 200.0; /* room above, none lost below */
    tree->total = 0.0;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        tree->cost[v] = tnp_exp2(tree->cost[v] - tree->unit);
        tree->total += tree->cost[v];
    }
}

void tnp_tree_store(tnp_tree *tree, int32_t *steps)
{
    /* `scratch` first lists the steps depth first, top down; read backwards, each step comes
     * after its kids. `parent` of a step is not needed while its new number is kept there. */
    int32_t n = tree->n, filled = 0, depth = 0;
    if (n < 2) return;
    int32_t *list = tree->scratch, *stack = tree->scratch + n;
    stack[depth++] = tree->root;
    while (depth) {
        int32_t v = stack[--depth];
        const int32_t *kids = tnp_kids(tree, v);
        list[filled++] = v;
        for (int side = 0; side < 2; side++) {
            if (kids[side] >= n) stack[depth++] = kids[side];
        }
    }
    int32_t *number = tree->parent;
    for (int32_t k = 0; k < filled; k++) number[list[k]] = n + (n - 2 - k);
    for (int32_t k = 0; k < filled; k++) {
        const int32_t *kids = tnp_kids(tree, list[k]);
        for (int side = 0; side < 2; side++) {
            int32_t kid = kids[side];
            steps[2 * (n - 2 - k) + side] = kid < n ? kid : number[kid];
        }
    }
    for (int32_t v = n; v < tree->n_nodes; v++) { /* put the parents back */
        const int32_t *kids = tnp_kids(tree, v);
        tree->parent[kids[0]] = tree->parent[kids[1]] = v;
    }
    tree->parent[tree->root] = -1;
}
