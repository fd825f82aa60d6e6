/* Path search: the one header that the Cython door includes.
 *
 * A network is a hypergraph: tensors hold indices, an index may be on any number of tensors.
 * Every search returns pairwise SSA steps: tensors are 0..n-1 and step t makes tensor n+t.
 * Nothing here is global, recursive or printing; every function that can fail returns a status.
 */
#ifndef TNP_PLANNER_H
#define TNP_PLANNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    TNP_OK = 0,
    TNP_NO_MEMORY = 1,   /* an allocation failed */
    TNP_INTERRUPTED = 2, /* the poll callback asked to stop */
    TNP_IMPOSSIBLE = 3,  /* no choice of sliced indices keeps to the limit */
    TNP_TOO_LARGE = 4    /* more tensors than exact search takes */
} tnp_status;

/* What a step of a tree counts for: the searches minimise the sum over all steps of
 *
 *     macs 2^all + out 2^(power size) + in (2^left + 2^right) + step
 *
 * where `all` is log2 of the product of the extents of all indices on the step's operands, and
 * `size`, `left` and `right` of those of its result and operands. See objective.h. */
typedef struct {
    double macs, out, in, step, power;
} tnp_objective;

/* A network. `ix[start[t] .. start[t+1])` are the indices of tensor t, ascending, no repeats. */
typedef struct {
    int32_t n;            /* tensors */
    int32_t n_ix;         /* indices */
    int64_t *start;       /* n + 1 */
    int32_t *ix;          /* start[n] */
    double *weight;       /* n_ix: log2 of the extent */
    int32_t *count;       /* n_ix: tensors that hold the index */
    unsigned char *open;  /* n_ix: the output holds the index */
    tnp_objective objective; /* multiply-adds, unless set otherwise */
} tnp_net;

/* Interruption and time. `poll` is called about twenty times a second from the calling thread, with
 * the best cost and width so far; it answers whether to go on. */
typedef enum {
    TNP_GO_ON = 0,
    TNP_ENOUGH = 1, /* the best tree so far will do; an interruption if there is none */
    TNP_ABANDON = 2
} tnp_answer;

typedef struct {
    int (*poll)(void *arg, double macs, double width);
    void *arg;
    bool watched;            /* the best so far is wanted */
    _Atomic double macs;     /* log2 of the multiply-adds of the best so far, or infinity */
    _Atomic double width;
    double deadline; /* seconds of the monotonic clock, or infinity */
    double next_poll;
    atomic_bool ready; /* there is a tree of the whole network */
    atomic_int stop;   /* 0, or why to stop: a tnp_stop */
    atomic_int status; /* the first failure of any thread */
} tnp_control;

typedef enum { TNP_RUN = 0, TNP_TIME_UP = 1, TNP_STOPPED = 2, TNP_FAILED = 3 } tnp_stop;

typedef enum {
    TNP_AUTO, /* as much search as the contraction is worth */
    TNP_HYPER, /* all searches for as long as there is time */
    TNP_GREEDY,
    TNP_RANDOM_GREEDY,
    TNP_MIN_FILL,
    TNP_MIN_SIZE,
    TNP_BISECTION,
    TNP_ANNEAL,
    TNP_OPTIMAL, /* exact, outer products included */
    TNP_DP       /* exact, without outer products */
} tnp_mode;

typedef struct {
    tnp_mode mode;
    uint64_t seed;
    int64_t samples; /* greedy samples, 0: the mode decides */
    int32_t threads;
    double least;    /* microseconds of search that TNP_AUTO grants any network; 0: run once */
    double most;     /* log2 of the slices from which on tnp_slice gives a choice of them up */
} tnp_options;

void tnp_control_init(tnp_control *ctl, int (*poll)(void *, double, double), void *arg,
                      double seconds);

tnp_status tnp_net_alloc(tnp_net *net, int32_t n, int32_t n_ix, int64_t n_legs);
void tnp_net_free(tnp_net *net);

/* Count the holders of every index and drop what no search needs to see: repeats within a
 * tensor, extents of one, and closed indices on a single tensor. */
tnp_status tnp_net_normalise(tnp_net *net);

/* Plan the network: `steps` receives 2 * (n - 1) tensor numbers. */
tnp_status tnp_search(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                      int32_t *steps);

/* The cheapest tree of all for at most TNP_DP_MAX tensors; without `outer`, of those whose steps
 * contract tensors that share an index, if there is one. */
#define TNP_DP_MAX 18
tnp_status tnp_optimal(const tnp_net *net, bool outer, tnp_control *ctl, int32_t *steps);

/* Choose sliced indices until no intermediate or output has more than 2^limit entries.
 * `steps` is read and rewritten (the tree is tuned for the slices); `sliced` has room for
 * n_ix indices. Of the options, seed, samples, threads and most count; without samples and
 * deadline, the search goes on as long as the contraction is worth it. */
tnp_status tnp_slice(const tnp_net *net, double limit, const tnp_options *opt, tnp_control *ctl,
                     int32_t *steps, int32_t *sliced, int32_t *n_sliced);

#endif
