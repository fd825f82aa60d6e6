/* Networks as flat arrays: allocation, normalisation, parts of a network. */
#include "net.h"

#include <stdlib.h>
#include <string.h>

tnp_status tnp_net_alloc(tnp_net *net, int32_t n, int32_t n_ix, int64_t n_legs)
{
    memset(net, 0, sizeof *net);
    net->objective = (tnp_objective){.macs = 1.0, .power = 1.0};
    net->n = n;
    net->n_ix = n_ix;
    size_t ni = (size_t)n_ix + 1; /* never zero bytes */
    net->start = calloc((size_t)n + 1, sizeof *net->start);
    net->ix = malloc(((size_t)n_legs + 1) * sizeof *net->ix);
    net->weight = calloc(ni, sizeof *net->weight);
    net->count = calloc(ni, sizeof *net->count);
    net->open = calloc(ni, sizeof *net->open);
    if (net->start && net->ix && net->weight && net->count && net->open) return TNP_OK;
    tnp_net_free(net);
    return TNP_NO_MEMORY;
}

void tnp_net_free(tnp_net *net)
{
    free(net->start);
    free(net->ix);
    free(net->weight);
    free(net->count);
    free(net->open);
    memset(net, 0, sizeof *net);
}

static int by_value(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void sort_ids(int32_t *ids, int64_t n)
{
    if (n > 24) {
        qsort(ids, (size_t)n, sizeof *ids, by_value);
        return;
    }
    for (int64_t i = 1; i < n; i++) {
        int32_t x = ids[i];
        int64_t j = i;
        for (; j > 0 && ids[j - 1] > x; j--) ids[j] = ids[j - 1];
        ids[j] = x;
    }
}

tnp_status tnp_net_normalise(tnp_net *net)
{
    memset(net->count, 0, (size_t)net->n_ix * sizeof *net->count);
    int64_t used = 0, begin = 0;
    for (int32_t t = 0; t < net->n; t++) { /* sort, and drop repeats */
        int64_t end = net->start[t + 1];
        sort_ids(net->ix + begin, end - begin);
        net->start[t] = used;
        for (int64_t k = begin; k < end; k++) {
            int32_t i = net->ix[k];
            if (k > begin && used > net->start[t] && net->ix[used - 1] == i) continue;
            net->ix[used++] = i;
            net->count[i]++;
        }
        begin = end;
    }
    net->start[net->n] = used;
    used = 0;
    begin = 0;
    for (int32_t t = 0; t < net->n; t++) { /* drop what costs nothing */
        int64_t end = net->start[t + 1];
        net->start[t] = used;
        for (int64_t k = begin; k < end; k++) {
            int32_t i = net->ix[k];
            if (net->weight[i] > 0.0 && (net->open[i] || net->count[i] > 1)) net->ix[used++] = i;
        }
        begin = end;
    }
    net->start[net->n] = used;
    for (int32_t i = 0; i < net->n_ix; i++) {
        if (!(net->weight[i] > 0.0) || (!net->open[i] && net->count[i] == 1)) net->count[i] = 0;
    }
    return TNP_OK;
}

static int32_t find_root(int32_t *up, int32_t x)
{
    while (up[x] != x) {
        up[x] = up[up[x]];
        x = up[x];
    }
    return x;
}

tnp_status tnp_components(const tnp_net *net, int32_t *label, int32_t *n_parts)
{
    int32_t *up = malloc(((size_t)net->n + 1) * sizeof *up);
    int32_t *first = malloc(((size_t)net->n_ix + 1) * sizeof *first);
    if (!up || !first) {
        free(up);
        free(first);
        return TNP_NO_MEMORY;
    }
    for (int32_t i = 0; i < net->n_ix; i++) first[i] = -1;
    for (int32_t t = 0; t < net->n; t++) up[t] = t;
    for (int32_t t = 0; t < net->n; t++) {
        for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) {
            int32_t i = net->ix[k];
            if (first[i] < 0) {
                first[i] = t;
                continue;
            }
            int32_t a = find_root(up, first[i]), b = find_root(up, t);
            if (a < b) up[b] = a; /* the root is the first tensor of its part */
            else up[a] = b;
        }
    }
    int32_t parts = 0;
    for (int32_t t = 0; t < net->n; t++) {
        int32_t r = find_root(up, t);
        label[t] = r == t ? parts++ : label[r];
    }
    *n_parts = parts;
    free(up);
    free(first);
    return TNP_OK;
}

tnp_status tnp_subnet(const tnp_net *net, const int32_t *members, int32_t n, int32_t *local,
                      tnp_net *sub)
{
    int64_t legs = 0;
    int32_t n_ix = 0;
    for (int32_t m = 0; m < n; m++) {
        for (int64_t k = net->start[members[m]]; k < net->start[members[m] + 1]; k++, legs++) {
            if (local[net->ix[k]] < 0) local[net->ix[k]] = n_ix++;
        }
    }
    tnp_status status = tnp_net_alloc(sub, n, n_ix, legs);
    sub->objective = net->objective;
    int64_t used = 0;
    for (int32_t m = 0; m < n && !status; m++) {
        int64_t begin = used;
        for (int64_t k = net->start[members[m]]; k < net->start[members[m] + 1]; k++) {
            int32_t g = net->ix[k], i = local[g];
            sub->ix[used++] = i;
            sub->weight[i] = net->weight[g];
            sub->open[i] = net->open[g];
            sub->count[i]++;
        }
        sort_ids(sub->ix + begin, used - begin);
        sub->start[m + 1] = used;
    }
    for (int32_t m = 0; m < n; m++) { /* leave the map as it was found */
        for (int64_t k = net->start[members[m]]; k < net->start[members[m] + 1]; k++) {
            int32_t g = net->ix[k], i = local[g];
            if (!status && i >= 0 && sub->count[i] < net->count[g]) sub->open[i] = 1;
            local[g] = -1;
        }
    }
    return status;
}
