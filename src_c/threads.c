/* A persistent thread pool for one job at a time.
 *
 * Workers take task numbers from a shared counter.  A caller that finds the pool busy (another
 * Python thread is in it) runs its tasks alone, so the machine is never oversubscribed.  Workers
 * spin for some microseconds before they sleep, and longer while a program runs, because its steps
 * follow each other closely.  After fork() the child starts a pool of its own on first use. */
#define _GNU_SOURCE
#include "tn.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum { SPINS = 4000, SPINS_IN_RUN = 40000 };
static const double POLL_SECONDS = 0.05, CLOSELY = 2e-4;

static struct {
    pthread_mutex_t owner;  /* held by the caller whose job runs */
    pthread_mutex_t mutex;  /* guards the sleepers */
    pthread_cond_t wake;
    atomic_int threads;     /* workers started, the caller not counted */
    atomic_uint generation; /* counts jobs */
    atomic_int wanted;      /* workers that may still join the current job */
    atomic_int active;      /* workers inside the current job */
    atomic_int runs;        /* programs that run, and will have more jobs soon */
    atomic_int asleep;      /* workers that take a system call to wake */
    atomic_llong next;
    int64_t tasks;
    tn_task task;
    void *job;
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .mutex = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_tasks(int worker) {
    int64_t tasks = pool.tasks;
    tn_task task = pool.task;
    void *job = pool.job;
    for (;;) {
        int64_t t = atomic_fetch_add(&pool.next, 1);
        if (t >= tasks) return;
        task(job, t, worker);
    }
}

/* Waits until the job counter moves on from `seen`. */
static unsigned await_job(unsigned seen) {
    for (int i = 0; i < (atomic_load(&pool.runs) ? SPINS_IN_RUN : SPINS); i++) {
        if (atomic_load(&pool.generation) != seen) return atomic_load(&pool.generation);
        relax();
    }
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.asleep, 1);
    while (atomic_load(&pool.generation) == seen) pthread_cond_wait(&pool.wake, &pool.mutex);
    atomic_fetch_sub(&pool.asleep, 1);
    pthread_mutex_unlock(&pool.mutex);
    return atomic_load(&pool.generation);
}

static void *worker_main(void *argument) {
    unsigned seen = (unsigned)(uintptr_t)argument;
    for (;;) {
        seen = await_job(seen);
        /* active is raised before a place is claimed: the caller waits until both are settled */
        atomic_fetch_add(&pool.active, 1);
        int place = atomic_fetch_sub(&pool.wanted, 1);
        if (place > 0) take_tasks(place);
        atomic_fetch_sub(&pool.active, 1);
    }
    return NULL;
}

static void forget_after_fork(void) {
    pthread_mutex_init(&pool.owner, NULL);
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pool.threads = 0;
    atomic_store(&pool.wanted, 0);
    atomic_store(&pool.active, 0);
    atomic_store(&pool.runs, 0);
    atomic_store(&pool.asleep, 0);
}

static void register_fork_handler(void) { pthread_atfork(NULL, NULL, forget_after_fork); }

/* Starts workers until there are `workers`; fewer is no failure. Signals stay with the callers. */
static int start_workers(int workers) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handler);
    if (pool.threads >= workers) return workers;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.threads < workers) {
        pthread_t thread;
        void *seen = (void *)(uintptr_t)atomic_load(&pool.generation);
        if (pthread_create(&thread, NULL, worker_main, seen)) break;
        pthread_detach(thread);
        pool.threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool.threads < workers ? pool.threads : workers;
}

void tn_parallel_for(int threads, int64_t tasks, tn_task task, void *job) {
    int workers = (int)(tasks < threads ? tasks : threads) - 1;
    if (workers > TN_MAX_THREADS - 1) workers = TN_MAX_THREADS - 1;
    if (workers <= 0 || pthread_mutex_trylock(&pool.owner)) {
        for (int64_t t = 0; t < tasks; t++) task(job, t, 0);
        return;
    }
    workers = start_workers(workers);
    /* Workers that woke late for the previous job must have left before its fields change. */
    while (atomic_load(&pool.active)) relax();
    pool.tasks = tasks;
    pool.task = task;
    pool.job = job;
    atomic_store(&pool.next, 0);
    atomic_store(&pool.wanted, workers);
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.generation, 1);
    for (int i = 0; i < workers; i++) pthread_cond_signal(&pool.wake);
    pthread_mutex_unlock(&pool.mutex);
    take_tasks(0);
    atomic_store(&pool.wanted, 0);
    while (atomic_load(&pool.active)) relax();
    pthread_mutex_unlock(&pool.owner);
}

int tn_pool_awake(int threads) {
    return atomic_load(&pool.threads) - atomic_load(&pool.asleep) >= threads - 1;
}

int tn_pool_ready(int threads) {
    static _Atomic double last_asked;
    if (tn_pool_awake(threads)) return 1;
    const double time = now(), before = atomic_exchange(&last_asked, time);
    return time - before < CLOSELY;
}

static void no_task(void *job, int64_t task, int worker) {
    (void)job, (void)task, (void)worker;
}

void tn_begin_run(int threads) {
    atomic_fetch_add(&pool.runs, 1);
    if (!tn_pool_awake(threads)) tn_parallel_for(threads, threads, no_task, NULL);
}

void tn_end_run(void) { atomic_fetch_sub(&pool.runs, 1); }

int tn_stopped(tn_control *control, int worker) {
    if (__atomic_load_n(&control->cancel, __ATOMIC_RELAXED)) return 1;
    if (worker != 0 || !control->poll) return 0;
    double time = now();
    if (time < control->next_poll) return 0;
    control->next_poll = time + POLL_SECONDS;
    const int answer = control->poll(control->self, control->done, control->total);
    if (answer == TN_PAUSE) __atomic_store_n(&control->pause, 1, __ATOMIC_RELAXED);
    if (answer != TN_CANCEL) return 0;
    __atomic_store_n(&control->cancel, 1, __ATOMIC_RELAXED);
    return 1;
}

int tn_paused(const tn_control *control) {
    return __atomic_load_n(&control->pause, __ATOMIC_RELAXED);
}

void tn_rest(int round) {
    const struct timespec moment = {0, 200000};
    if (round < SPINS_IN_RUN) relax();
    else nanosleep(&moment, NULL);
}
