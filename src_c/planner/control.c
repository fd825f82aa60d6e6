/* Time, interruption and the loop over samples that all cores share. */
#define _POSIX_C_SOURCE 200809L

#include "control.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

static const double POLL_SECONDS = 0.05;

double tnp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void tnp_control_init(tnp_control *ctl, int (*poll)(void *, double, double), void *arg,
                      double seconds)
{
    double now = tnp_now();
    ctl->poll = poll;
    ctl->arg = arg;
    ctl->deadline = now + seconds;
    ctl->next_poll = now + POLL_SECONDS;
    ctl->watched = false;
    atomic_init(&ctl->macs, INFINITY);
    atomic_init(&ctl->width, INFINITY);
    atomic_init(&ctl->ready, false);
    atomic_init(&ctl->stop, TNP_RUN);
    atomic_init(&ctl->status, TNP_OK);
}

void tnp_fail(tnp_control *ctl, tnp_status status)
{
    int none = TNP_OK;
    atomic_compare_exchange_strong(&ctl->status, &none, (int)status);
    atomic_store(&ctl->stop, TNP_FAILED);
}

/* Ask the caller's side whether to go on, at most once every POLL_SECONDS. */
static bool poll_says_stop(tnp_control *ctl, bool caller, double now)
{
    if (!caller || !ctl->poll || now < ctl->next_poll) return false;
    ctl->next_poll = now + POLL_SECONDS;
    int answer = ctl->poll(ctl->arg, atomic_load(&ctl->macs), atomic_load(&ctl->width));
    if (answer == TNP_GO_ON) return false;
    bool again = atomic_load(&ctl->stop) == TNP_STOPPED;
    if (answer == TNP_ENOUGH && atomic_load(&ctl->ready) && !again) {
        atomic_store(&ctl->stop, TNP_STOPPED);
    } else {
        tnp_fail(ctl, TNP_INTERRUPTED);
    }
    return true;
}

bool tnp_interrupted(tnp_control *ctl, bool caller)
{
    if (atomic_load_explicit(&ctl->stop, memory_order_relaxed) == TNP_FAILED) return true;
    if (!caller || !poll_says_stop(ctl, caller, tnp_now())) return false;
    return atomic_load(&ctl->stop) == TNP_FAILED;
}

bool tnp_should_stop(tnp_control *ctl, bool caller)
{
    if (atomic_load_explicit(&ctl->stop, memory_order_relaxed) != TNP_RUN) return true;
    double now = tnp_now();
    if (now >= ctl->deadline) {
        int run = TNP_RUN;
        atomic_compare_exchange_strong(&ctl->stop, &run, TNP_TIME_UP);
        return true;
    }
    return poll_says_stop(ctl, caller, now);
}

typedef struct {
    tnp_control *ctl;
    atomic_llong next;
    int64_t n_items;
    tnp_body body;
    void *arg;
} loop;

typedef struct {
    loop *shared;
    int32_t thread;
    pthread_t handle;
} worker;

static void *run_items(void *arg)
{
    worker *w = arg;
    loop *l = w->shared;
    while (!tnp_should_stop(l->ctl, w->thread == 0)) {
        int64_t item = atomic_fetch_add(&l->next, 1);
        if (item >= l->n_items) break;
        tnp_status status = l->body(l->arg, item, w->thread);
        if (status) tnp_fail(l->ctl, status);
    }
    return NULL;
}

tnp_status tnp_for_each(tnp_control *ctl, int32_t threads, int64_t n_items, tnp_body body,
                        void *arg)
{
    loop l = {.ctl = ctl, .n_items = n_items, .body = body, .arg = arg};
    atomic_init(&l.next, 0);
    if (threads > n_items) threads = (int32_t)n_items;
    if (threads > TNP_MAX_THREADS) threads = TNP_MAX_THREADS;
    worker workers[TNP_MAX_THREADS];
    int32_t started = 1;
    workers[0] = (worker){.shared = &l, .thread = 0};
    for (; started < threads; started++) { /* fewer than asked for is slower, not wrong */
        workers[started] = (worker){.shared = &l, .thread = started};
        if (pthread_create(&workers[started].handle, NULL, run_items, &workers[started])) break;
    }
    run_items(&workers[0]);
    for (int32_t t = 1; t < started; t++) pthread_join(workers[t].handle, NULL);
    return tnp_status_of(ctl);
}
