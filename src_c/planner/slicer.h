/* A tree and its sliced indices, changed together until every result keeps to a limit. */
#ifndef TNP_SLICER_H
#define TNP_SLICER_H

#include "outline.h"
#include "refine.h"

#define TNP_SOFT 0.8 /* log2 of the price of a bit beyond the limit, in annealing */
#define TNP_COLD 0.05 /* temperature at which annealing ends */
#define TNP_SLICING_LEAST 1000.0 /* microseconds that any contraction is worth */

/* How an attempt tunes the tree after each slice: from which temperature, and whether results over
 * the limit count as dearer. Luck varies, so there are several. */
typedef struct {
    double hot; /* 0: the tree is left alone */
    bool minding;
} tnp_slice_style;

typedef struct {
    const tnp_net *net;
    tnp_control *ctl;
    bool caller;         /* runs on the calling thread */
    tnp_tree tree;       /* sliced indices have no bit set in it */
    tnp_outline outline; /* of a giant tree; then `tree` has bits for few indices */
    bool giant;
    uint64_t *whole;     /* index sets of the tensors and the output before slicing */
    uint64_t *keep;      /* bits that are not sliced */
    double *size;        /* by node: log2 of the entries */
    uint64_t *candidates; /* indices on a result over the limit */
    double *with;        /* by bit: what slicing the index takes off the charges */
    int32_t *index_of;   /* by bit */
    int32_t *sliced;     /* room for every index */
    int32_t n_sliced;
    int32_t *old;        /* the same, for going back */
    double limit;
    double most;         /* log2 of the slices that an attempt may take */
    double share;        /* microseconds of annealing granted per slice */
    /* annealing */
    tnp_rng rng;
    double least;        /* the total of the best so far, and what it is */
    int32_t *best_kids, *best_sliced, n_best;
} tnp_slicer;

tnp_status tnp_slicer_init(tnp_slicer *s, const int32_t *steps);
void tnp_slicer_free(tnp_slicer *s);

/* Take the tensors and the output as they were given, without the sliced indices, and recount. */
void tnp_slicer_apply(tnp_slicer *s);

/* log2 of the multiply-adds over all slices. */
double tnp_slicer_total(const tnp_slicer *s);

/* Slice a tree from nothing; tuning it takes at most a share of what the contraction is worth.
 * Impossible if it takes too many slices. */
tnp_status tnp_slicer_attempt(tnp_slicer *s, const int32_t *steps, const tnp_slice_style *how);

/* Give back each index that need not be sliced, or that another can stand in for at less work. */
tnp_status tnp_slicer_give_back(tnp_slicer *s);

/* Slice until all fits, the index `avoid` not first; false if nothing is left to slice. */
bool tnp_slicer_fit(tnp_slicer *s, int32_t avoid);

/* Remember the tree and its slices if they are the best so far, for `best_kids` and so on. */
void tnp_slicer_keep_best(tnp_slicer *s);

/* Go to the tree that the kids make, with these slices. */
void tnp_slicer_go_to(tnp_slicer *s, const int32_t *sliced, int32_t n_sliced);

/* Between moves of the tree: slice what it asks for, then exchange some indices. `arg` is the
 * slicer. */
tnp_status tnp_slicer_look(void *arg, double temperature);

#endif
