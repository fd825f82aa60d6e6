"""The planner's door to C: tuples of ids in, tuples of SSA steps out.

The searches run without the GIL; about twenty times a second the calling thread takes it to see
whether a signal has arrived. Statuses become exceptions here and nowhere else.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc


cdef extern from "planner/planner.h" nogil:
    ctypedef enum tnp_status:
        TNP_OK
        TNP_NO_MEMORY
        TNP_INTERRUPTED
        TNP_IMPOSSIBLE

        TNP_TOO_LARGE

    ctypedef enum tnp_answer:
        TNP_GO_ON
        TNP_ENOUGH
        TNP_ABANDON

    ctypedef enum tnp_mode:
        TNP_AUTO
        TNP_HYPER
        TNP_GREEDY
        TNP_RANDOM_GREEDY
        TNP_MIN_FILL
        TNP_MIN_SIZE
        TNP_BISECTION
        TNP_ANNEAL
        TNP_OPTIMAL
        TNP_DP

    ctypedef struct tnp_objective:
        double macs
        double out
        double in_ "in"
        double step
        double power

    ctypedef struct tnp_net:
        int32_t n
        int32_t n_ix
        int64_t *start
        int32_t *ix
        double *weight
        unsigned char *open
        tnp_objective objective

    ctypedef struct tnp_control:
        bint watched

    ctypedef struct tnp_options:
        tnp_mode mode
        uint64_t seed
        int64_t samples
        int32_t threads
        double least
        double most

    enum:
        TNP_DP_MAX

    void tnp_control_init(tnp_control *ctl,
                          int (*poll)(void *, double, double) noexcept nogil, void *arg,
                          double seconds)
    tnp_status tnp_net_alloc(tnp_net *net, int32_t n, int32_t n_ix, int64_t n_legs)
    void tnp_net_free(tnp_net *net)
    tnp_status tnp_net_normalise(tnp_net *net)
    tnp_status tnp_search(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                          int32_t *steps)
    tnp_status tnp_slice(const tnp_net *net, double limit, const tnp_options *opt,
                         tnp_control *ctl, int32_t *steps, int32_t *sliced, int32_t *n_sliced)

cdef extern from "planner/num.h" nogil:
    double tnp_log2(double x)


MAX_EXACT = TNP_DP_MAX
MODES = {
    "auto": TNP_AUTO,
    "once": TNP_AUTO,
    "hyper": TNP_HYPER,
    "greedy": TNP_GREEDY,
    "random-greedy": TNP_RANDOM_GREEDY,
    "min-fill": TNP_MIN_FILL,
    "min-size": TNP_MIN_SIZE,
    "bisection": TNP_BISECTION,
    "anneal": TNP_ANNEAL,
    "optimal": TNP_OPTIMAL,
    "dp": TNP_DP,
}

cdef double LEAST_MICROSECONDS = 10000.0


cdef class _Watch:
    """What the poll callback needs: the signal that came, and what to call meanwhile."""

    cdef object report
    cdef object error


cdef int poll(void *arg, double macs, double width) noexcept with gil:
    cdef _Watch watch = <_Watch>arg
    try:
        PyErr_CheckSignals()
        if watch.report is not None:
            watch.report(macs, width)
    except KeyboardInterrupt as error:  # the best tree so far will do, if there is one
        watch.error = error
        return TNP_ENOUGH
    except BaseException as error:  # carried out of the C search and raised again there
        watch.error = error
        return TNP_ABANDON
    return TNP_GO_ON


cdef int build(tnp_net *net, tuple inputs, tuple output, tuple sizes) except -1:
    """Copy a network into flat arrays and normalise it."""
    cdef Py_ssize_t legs = 0, at = 0, t
    cdef tuple term
    for term in inputs:
        legs += len(term)
    if len(inputs) >= 1 << 30 or len(sizes) >= 1 << 31:
        raise OverflowError("networks of more than 2**30 tensors cannot be planned")
    if tnp_net_alloc(net, <int32_t>len(inputs), <int32_t>len(sizes), legs):
        raise MemoryError("not enough memory to plan the network")
    try:
        for t, term in enumerate(inputs):
            for index in term:
                net.ix[at] = index
                at += 1
            net.start[t + 1] = at
        for index in output:
            net.open[<int32_t>index] = 1
        for t, extent in enumerate(sizes):
            net.weight[t] = tnp_log2(<double>extent)
        if tnp_net_normalise(net):
            raise MemoryError("not enough memory to plan the network")
    except BaseException:
        tnp_net_free(net)
        raise
    return 0


cdef struct _Signatures:
    int64_t *start          # of the holders of each index
    int32_t *holder         # operands
    unsigned char *open
    int64_t *size


cdef inline int64_t part(const _Signatures *g, int32_t i, int64_t k) noexcept nogil:
    """Of what an index is known by: its holders, -1 if the output has it, its extent, the end."""
    cdef int64_t held = g.start[i + 1] - g.start[i]
    if k < held:
        return g.holder[g.start[i] + k]
    if k == held and g.open[i]:
        return -1
    return g.size[i] if k == held + g.open[i] else -2


cdef void sort_by_signature(const _Signatures *g, int32_t *ids, Py_ssize_t n) noexcept nogil:
    """Insertion sort: few have the same first holder. What agrees in all keeps its order."""
    cdef Py_ssize_t at, k
    cdef int64_t p
    cdef int32_t x, y
    for k in range(1, n):
        x = ids[k]
        at = k
        while at > 0:
            y, p = ids[at - 1], 0
            while part(g, y, p) == part(g, x, p) and part(g, x, p) != -2:
                p += 1
            if part(g, y, p) < part(g, x, p) or (part(g, y, p) == part(g, x, p) and y < x):
                break
            ids[at] = y
            at -= 1
        ids[at] = x


cdef Py_ssize_t order_by_signature(const _Signatures *g, const int32_t *legs, int64_t *first,
                                   Py_ssize_t n, int32_t n_ix, int32_t *order) noexcept nogil:
    """Number the indices by their signatures; those that are on no operand come first."""
    cdef Py_ssize_t at = 0, begin, t
    cdef int64_t k, j
    cdef int32_t i
    for i in range(n_ix):
        if g.start[i] == g.start[i + 1]:
            order[at] = i
            at += 1
    sort_by_signature(g, order, at)
    for t in range(n):
        begin = at
        for k in range(first[t], first[t + 1]):
            i = legs[k]
            if g.holder[g.start[i]] != t:
                continue
            for j in range(first[t], k):  # an axis of a diagonal
                if legs[j] == i:
                    break
            else:
                order[at] = i
                at += 1
        sort_by_signature(g, order + begin, at - begin)
    return at


def canonical(tuple inputs, tuple output, tuple sizes):
    """(inputs, output, ids): the network with its indices numbered by what they are known by.

    `ids` are the old numbers by the new. Axes are in ascending order.
    """
    cdef Py_ssize_t n = len(inputs), n_ix = len(sizes), n_legs = 0, at = 0, t, k
    cdef int32_t x, i
    cdef tuple term
    cdef _Signatures g
    for term in inputs:
        n_legs += len(term)
    cdef int64_t *block = <int64_t *>calloc(2 * n_ix + n + 4, sizeof(int64_t))
    cdef int32_t *legs = <int32_t *>malloc((2 * n_legs + 2 * n_ix + 1) * sizeof(int32_t))
    g.open = <unsigned char *>calloc(n_ix + 1, 1)
    try:
        if block == NULL or legs == NULL or g.open == NULL:
            raise MemoryError("not enough memory to plan the network")
        g.size, g.start = block, block + n_ix
        first = block + 2 * n_ix + 2
        g.holder = legs + n_legs
        order = g.holder + n_legs
        number = order + n_ix
        for k in range(n_ix):
            g.size[k] = sizes[k]
        for i in output:
            g.open[i] = 1
        for t in range(n):
            for i in <tuple>inputs[t]:
                legs[at] = i
                at += 1
                g.start[i + 2] += 1
            first[t + 1] = at
        with nogil:
            for k in range(n_ix):
                g.start[k + 2] += g.start[k + 1]
            for t in range(n):
                for k in range(first[t], first[t + 1]):
                    i = legs[k]
                    g.holder[g.start[i + 1]] = <int32_t>t
                    g.start[i + 1] += 1
            order_by_signature(&g, legs, first, n, <int32_t>n_ix, order)
            for k in range(n_ix):
                number[order[k]] = <int32_t>k
            for t in range(n):
                for k in range(first[t], first[t + 1]):
                    x = number[legs[k]]
                    at = k
                    while at > first[t] and legs[at - 1] > x:
                        legs[at] = legs[at - 1]
                        at -= 1
                    legs[at] = x
        terms = tuple([tuple([legs[k] for k in range(first[t], first[t + 1])]) for t in range(n)])
        ids = tuple([order[k] for k in range(n_ix)])
        return terms, tuple(sorted([number[i] for i in output])), ids
    finally:
        free(block)
        free(legs)
        free(g.open)


cdef object failure(tnp_status status, _Watch watch):
    """The exception that a status stands for."""
    if status == TNP_INTERRUPTED:
        return watch.error
    if status == TNP_TOO_LARGE:
        return ValueError(f"exact search takes at most {TNP_DP_MAX} tensors")
    return MemoryError("not enough memory to plan the network")


cdef tuple pairs(const int32_t *steps, Py_ssize_t n):
    return tuple([(steps[2 * t], steps[2 * t + 1]) for t in range(n)])


cdef int32_t *allocate(Py_ssize_t n) except NULL:
    cdef int32_t *block = <int32_t *>malloc((n + 1) * sizeof(int32_t))
    if block == NULL:
        raise MemoryError("not enough memory to plan the network")
    return block


def search(tuple inputs, tuple output, tuple sizes, str mode, uint64_t seed, int64_t samples,
           double seconds, int32_t threads, report=None, tuple objective=(1.0, 0.0, 0.0, 0.0, 1.0),
           list stopped=None):
    """Pairwise SSA steps by one of MODES.

    `samples` 0 and `seconds` infinite leave the effort to the search. `report` is called with
    log2 of the best macs and the width so far, infinite before there are any. `objective` holds
    the weights of planner.h's tnp_objective. A KeyboardInterrupt that came once there was a tree
    is appended to `stopped`, if given, instead of raised.
    """
    cdef tnp_net net
    cdef tnp_control ctl
    cdef tnp_options opt
    cdef tnp_status status
    cdef _Watch watch = _Watch.__new__(_Watch)
    cdef bint watched = report is not None
    watch.report = report
    opt.mode = MODES[mode]
    opt.seed = seed
    opt.samples = samples
    opt.threads = max(threads, 1)
    opt.least = 0.0 if mode == "once" else LEAST_MICROSECONDS
    build(&net, inputs, output, sizes)
    cdef int32_t *steps = NULL
    try:
        (net.objective.macs, net.objective.out, net.objective.in_, net.objective.step,
         net.objective.power) = objective
        steps = allocate(2 * net.n)
        with nogil:
            tnp_control_init(&ctl, poll, <void *>watch, seconds)
            ctl.watched = watched
            status = tnp_search(&net, &opt, &ctl, steps)
        if status:
            raise failure(status, watch)
        if watch.error is not None:
            if stopped is None:
                raise watch.error
            stopped.append(watch.error)
        return pairs(steps, max(net.n - 1, 0))
    finally:
        free(steps)
        tnp_net_free(&net)


def slice_steps(tuple inputs, tuple output, tuple sizes, tuple steps_in, double limit,
                double most=INFINITY, uint64_t seed=0, int64_t samples=0, double seconds=INFINITY,
                int32_t threads=1, report=None, list stopped=None):
    """(steps, sliced indices) such that no intermediate has more than 2**limit entries.

    None if nothing is found that takes at most 2**most slices. The other arguments are those of
    `search`.
    """
    cdef tnp_net net
    cdef tnp_control ctl
    cdef tnp_status status
    cdef int32_t n_sliced = 0
    cdef Py_ssize_t t
    cdef tnp_options opt
    cdef _Watch watch = _Watch.__new__(_Watch)
    watch.report = report
    opt.mode = TNP_AUTO
    opt.seed = seed
    opt.samples = samples
    opt.threads = max(threads, 1)
    opt.least = LEAST_MICROSECONDS
    opt.most = most
    build(&net, inputs, output, sizes)
    cdef int32_t *steps = NULL
    cdef int32_t *sliced = NULL
    try:
        steps = allocate(2 * net.n)
        sliced = allocate(net.n_ix)
        for t, (a, b) in enumerate(steps_in):
            steps[2 * t] = a
            steps[2 * t + 1] = b
        with nogil:
            tnp_control_init(&ctl, poll, <void *>watch, seconds)
            status = tnp_slice(&net, limit, &opt, &ctl, steps, sliced, &n_sliced)
        if status and status != TNP_IMPOSSIBLE:
            raise failure(status, watch)
        if watch.error is not None:
            if stopped is None:
                raise watch.error
            stopped.append(watch.error)
        if status:
            return None
        return pairs(steps, max(net.n - 1, 0)), tuple([sliced[t] for t in range(n_sliced)])
    finally:
        free(steps)
        free(sliced)
        tnp_net_free(&net)


cdef struct _Legs:
    int32_t *index          # of each leg
    int32_t *owner          # operand that it was on at first
    int32_t *before         # legs of one tensor are a list that begins at `first`
    int32_t *after
    int32_t *slot           # legs of each index, `held` from `start` on
    int32_t *start
    int32_t *held
    unsigned char *open     # 1 if the output has the index
    int32_t *first          # leg of each tensor, -1 if it has none
    int32_t *size           # number of its legs
    int32_t *parent         # the tensor that a tensor went into, itself if it is still there


cdef inline int32_t root_of(const _Legs *g, int32_t x) noexcept nogil:
    while g.parent[x] != x:
        g.parent[x] = g.parent[g.parent[x]]
        x = g.parent[x]
    return x


cdef inline void hang(_Legs *g, int32_t leg, int32_t tensor) noexcept nogil:
    """Put a leg on a tensor."""
    cdef int32_t at = g.first[tensor]
    g.before[leg] = -1
    g.after[leg] = at
    if at >= 0:
        g.before[at] = leg
    g.first[tensor] = leg
    g.size[tensor] += 1


cdef inline void unhang(_Legs *g, int32_t leg, int32_t tensor) noexcept nogil:
    """Take a leg off a tensor."""
    if g.before[leg] >= 0:
        g.after[g.before[leg]] = g.after[leg]
    else:
        g.first[tensor] = g.after[leg]
    if g.after[leg] >= 0:
        g.before[g.after[leg]] = g.before[leg]
    g.size[tensor] -= 1


cdef inline int32_t leg_on(const _Legs *g, int32_t i, int32_t tensor) noexcept nogil:
    """The leg that a tensor has on an index, -1 if it has none."""
    cdef int32_t k
    for k in range(g.start[i], g.start[i] + g.held[i]):
        if root_of(g, g.owner[g.slot[k]]) == tensor:
            return g.slot[k]
    return -1


cdef inline void drop(_Legs *g, int32_t leg) noexcept nogil:
    """Strike a leg from those of its index."""
    cdef int32_t i = g.index[leg]
    cdef int32_t k = g.start[i]
    while g.slot[k] != leg:
        k += 1
    g.held[i] -= 1
    g.slot[k] = g.slot[g.start[i] + g.held[i]]


cdef int build_legs(_Legs *g, tuple inputs, tuple output, frozenset looped,
                    int32_t n_ix) except -1:
    """A leg for each index of each operand; those of one holder, and of loops, hang nowhere."""
    cdef int32_t t, i, at = 0, leg
    for t, term in enumerate(inputs):
        for i in term:
            if not 0 <= i < n_ix:
                raise ValueError(f"operand {t} has index {i}, but there are {n_ix} indices")
            if g.slot[i] != t + 1:  # not a diagonal
                g.slot[i] = t + 1
                g.index[at], g.owner[at] = i, t
                g.start[i + 1] += 1
                at += 1
    for i in range(n_ix):
        g.start[i + 1] += g.start[i]
    for i in output:
        g.open[i] = 1
    for leg in range(at):
        i = g.index[leg]
        g.slot[g.start[i] + g.held[i]] = leg
        g.held[i] += 1
    for leg in range(at):
        i = g.index[leg]
        if g.held[i] + g.open[i] > 1 and i not in looped:
            hang(g, leg, g.owner[leg])
    return 0


cdef int32_t join(_Legs *g, int32_t small, int32_t large, int32_t *shared,
                  int32_t *n_dead) noexcept nogil:
    """Move the legs of `small` to `large`, and drop those that nobody else needs.

    Writes the indices that both have to `shared`, at first those that are summed, `n_dead` of
    them; returns how many there are.
    """
    cdef int32_t leg = g.first[small], n = 0, following, i, other
    n_dead[0] = 0
    while leg >= 0:
        following, i = g.after[leg], g.index[leg]
        other = leg_on(g, i, large)
        if other < 0:
            hang(g, leg, large)
        else:
            drop(g, leg)
            shared[n] = i
            if g.held[i] + g.open[i] == 1:
                unhang(g, other, large)
                shared[n] = shared[n_dead[0]]
                shared[n_dead[0]] = i
                n_dead[0] += 1
            n += 1
        leg = following
    return n


cdef tuple add_up(_Legs *g, tuple sizes, tuple steps, int32_t n, unsigned char *fixed,
                  int32_t *empty, const unsigned char *is_empty, int32_t *shared):
    """The sums of `tree_costs`, step by step; sizes are Python's integers, which have no end."""
    cdef int32_t t, k, a, b, small, large, result, n_shared, n_dead, i
    cdef object work, both, size, macs = 0, largest = 0, once = 0
    cdef list extents = [extent or 1 for extent in sizes]
    cdef list entries = []
    for t in range(n):
        size = 1
        k = g.first[t]
        while k >= 0:
            size = size * extents[g.index[k]]
            empty[t] += is_empty[g.index[k]]
            k = g.after[k]
        entries.append(size)
    for t, (a, b) in enumerate(steps):
        result = n + t
        if not (0 <= a < result and 0 <= b < result and a != b
                and g.parent[a] == a and g.parent[b] == b):
            raise ValueError(f"step {t} of the tree contracts {a} and {b}: not both are there")
        small, large = (a, b) if g.size[a] < g.size[b] else (b, a)
        n_shared = join(g, small, large, shared, &n_dead)
        g.parent[a] = g.parent[b] = result
        g.first[result], g.size[result] = g.first[large], g.size[large]
        empty[result] = empty[a] + empty[b]
        both = 1
        for k in range(n_shared):
            both = both * extents[shared[k]]
            empty[result] -= is_empty[shared[k]]
        fixed[result] = fixed[a] and fixed[b]
        work = entries[a] * entries[b] // both
        if not empty[result]:
            macs = macs + work
            if fixed[result]:
                once = once + work
        size = work
        for k in range(n_dead):
            size = size // extents[shared[k]]
            empty[result] -= is_empty[shared[k]]
        entries.append(size)
        if not empty[result] and size > largest:
            largest = size
    return macs, largest, once


def tree_costs(tuple inputs, tuple output, tuple sizes, tuple steps, tuple sliced):
    """(macs, entries of the largest result, macs that no slice changes) of one slice, exactly.

    Steps take time in the legs of the smaller of their tensors, times the tensors that share an
    index. Raises ValueError for steps and indices that are not there.
    """
    cdef int32_t n = <int32_t>len(inputs), n_ix = <int32_t>len(sizes), t, i
    cdef int32_t all_tensors = n + <int32_t>len(steps)
    cdef int64_t n_legs = sum([len(term) for term in inputs])
    cdef _Legs g
    cdef int32_t *block = <int32_t *>calloc(5 * n_legs + 4 * n_ix + 4 * all_tensors + 2,
                                            sizeof(int32_t))
    cdef unsigned char *flags = <unsigned char *>calloc(2 * n_ix + all_tensors + 1, 1)
    try:
        if block == NULL or flags == NULL:
            raise MemoryError("not enough memory to plan the network")
        g.index = block
        g.owner, g.before = g.index + n_legs, g.index + 2 * n_legs
        g.after, g.slot = g.before + n_legs, g.before + 2 * n_legs
        g.start = g.slot + n_legs + n_ix
        g.held = g.start + n_ix + 1
        shared = g.held + n_ix
        g.first = shared + n_ix
        g.size, g.parent = g.first + all_tensors, g.first + 2 * all_tensors
        empty = g.parent + all_tensors
        g.open, is_empty, fixed = flags, flags + n_ix, flags + 2 * n_ix
        for t in range(all_tensors):
            g.first[t], g.parent[t] = -1, t
        looped = frozenset(sliced)
        build_legs(&g, inputs, output, looped, n_ix)
        for i in range(n_ix):
            is_empty[i] = sizes[i] == 0
        for t, term in enumerate(inputs):
            fixed[t] = looped.isdisjoint(term)
        return add_up(&g, sizes, steps, n, fixed, empty, is_empty, shared)
    finally:
        free(block)
        free(flags)
