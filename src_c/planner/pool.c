/* The best few trees of a search; see pool.h. */
#include "pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tnp_status tnp_trees_init(tnp_trees *trees, int32_t n, int32_t room)
{
    memset(trees, 0, sizeof *trees);
    trees->n = n;
    trees->room = room;
    if (pthread_mutex_init(&trees->lock, NULL)) return TNP_NO_MEMORY;
    for (int32_t k = 0; k < room; k++) {
        trees->steps[k] = malloc(2 * (size_t)n * sizeof(int32_t));
        if (trees->steps[k]) continue;
        tnp_trees_free(trees);
        return TNP_NO_MEMORY;
    }
    return TNP_OK;
}

void tnp_trees_free(tnp_trees *trees)
{
    if (!trees->room) return;
    for (int32_t k = 0; k < trees->room; k++) free(trees->steps[k]);
    pthread_mutex_destroy(&trees->lock);
    memset(trees, 0, sizeof *trees);
}

/* Where the tree belongs, -1 if nowhere; *replaces tells that it takes the place of its equal. */
static int32_t position(const tnp_trees *trees, double cost, int64_t number, bool *replaces)
{
    int32_t at = 0;
    *replaces = false;
    while (at < trees->used && trees->cost[at] < cost) at++;
    if (at < trees->used && trees->cost[at] == cost) {
        *replaces = true;
        return number < trees->number[at] ? at : -1;
    }
    return at < trees->room ? at : -1;
}

bool tnp_trees_offer(tnp_trees *trees, double cost, int64_t number, const int32_t *steps)
{
    bool replaces;
    pthread_mutex_lock(&trees->lock);
    int32_t at = isfinite(cost) || cost < 0.0 ? position(trees, cost, number, &replaces) : -1;
    if (at >= 0) {
        if (!replaces) {
            int32_t last = trees->used < trees->room ? trees->used++ : trees->room - 1;
            int32_t *spare = trees->steps[last];
            for (int32_t k = last; k > at; k--) {
                trees->cost[k] = trees->cost[k - 1];
                trees->number[k] = trees->number[k - 1];
                trees->steps[k] = trees->steps[k - 1];
            }
            trees->steps[at] = spare;
        }
        trees->cost[at] = cost;
        trees->number[at] = number;
        memcpy(trees->steps[at], steps, 2 * (size_t)(trees->n - 1) * sizeof *steps);
    }
    pthread_mutex_unlock(&trees->lock);
    return at == 0;
}

double tnp_trees_bound(tnp_trees *trees)
{
    pthread_mutex_lock(&trees->lock);
    double bound = trees->used < trees->room ? INFINITY : trees->cost[trees->room - 1];
    pthread_mutex_unlock(&trees->lock);
    return bound;
}
