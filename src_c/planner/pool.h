/* The best few trees of a search, the same few whatever order the threads bring them in. */
#ifndef TNP_POOL_H
#define TNP_POOL_H

#include <pthread.h>

#include "planner.h"

enum { TNP_KEEP = 6 };

typedef struct {
    int32_t n, used, room; /* tensors of a tree; trees held; most that are held */
    double cost[TNP_KEEP]; /* log2 of what they count for, ascending, all different */
    int64_t number[TNP_KEEP];
    int32_t *steps[TNP_KEEP];
    pthread_mutex_t lock;
} tnp_trees;

tnp_status tnp_trees_init(tnp_trees *trees, int32_t n, int32_t room);
void tnp_trees_free(tnp_trees *trees);

/* Offer a tree. Of equal costs the lowest number stays. True if it is the best now. */
bool tnp_trees_offer(tnp_trees *trees, double cost, int64_t number, const int32_t *steps);

/* What a tree must not exceed to be kept. */
double tnp_trees_bound(tnp_trees *trees);

#endif
