/* The pool: every task once, whoever calls, however often, and after a fork. */
#define _GNU_SOURCE
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define RACE_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACE_CHECKED 1
#endif
#endif
#ifndef RACE_CHECKED
#define RACE_CHECKED 0
#endif

enum { MOST_TASKS = 1000, CALLERS = 6 };

typedef struct {
    int plain[MOST_TASKS];            /* not atomic: the pool must order them before its return */
    atomic_int busy[TN_MAX_THREADS]; /* is this worker number inside a task? */
    int threads;
    pthread_t caller;
} tally;

static void count_task(void *job, int64_t task, int worker) {
    tally *t = job;
    CHECK(worker >= 0 && worker < t->threads, "worker %d of %d", worker, t->threads);
    CHECK(worker || pthread_equal(pthread_self(), t->caller), "worker 0 is not the caller");
    CHECK(!atomic_exchange(&t->busy[worker], 1), "two threads are worker %d", worker);
    t->plain[task]++;
    atomic_store(&t->busy[worker], 0);
}

static void count_tasks(int threads, int tasks) {
    tally t = {.threads = threads, .caller = pthread_self()};
    tn_parallel_for(threads, tasks, count_task, &t);
    for (int i = 0; i < MOST_TASKS; i++)
        CHECK(t.plain[i] == (i < tasks), "task %d of %d ran %d times, %d threads", i, tasks,
              t.plain[i], threads);
}

static void every_task_runs_exactly_once_on_any_number_of_threads(void) {
    static const int tasks[] = {0, 1, 2, 3, 7, 8, 9, 100, MOST_TASKS};
    for (int threads = 1; threads <= 8; threads++)
        for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) count_tasks(threads, tasks[i]);
}

static void jobs_that_follow_each_other_closely_do_not_mix(void) {
    const int jobs = RACE_CHECKED ? 300 : 1500;
    for (int i = 0; i < jobs; i++) count_tasks(2 + i % 3, 1 + i % 5);
}

typedef struct {
    atomic_int arrived;
    int tasks;
} meeting;

/* Returns only when every task has started. */
static void meet(void *job, int64_t task, int worker) {
    meeting *m = job;
    (void)task, (void)worker;
    atomic_fetch_add(&m->arrived, 1);
    while (atomic_load(&m->arrived) < m->tasks) sched_yield();
}

static void meet_on(int threads) {
    meeting m = {.tasks = threads};
    tn_parallel_for(threads, threads, meet, &m);
}

static void tasks_run_at_the_same_time(void) {
    alarm(60); /* alone, the first would wait for ever */
    for (int threads = 1; threads <= 8; threads++) meet_on(threads);
    alarm(0);
}

static void threads_wake_up_at_the_beginning_of_a_run(void) {
    cpu_set_t here;
    CHECK(!sched_getaffinity(0, sizeof here, &here), "affinity");
    /* of threads that take turns on a CPU, one may always find the others asleep again */
    const int most = CPU_COUNT(&here) < 3 ? CPU_COUNT(&here) : 3;
    alarm(60);
    for (int threads = 2; threads <= most; threads++) {
        do { /* they may fall asleep again before we look */
            tn_begin_run(threads);
            count_tasks(threads, 7);
            tn_end_run();
        } while (!tn_pool_awake(threads));
    }
    alarm(0);
}

static void *call_often(void *argument) {
    const int number = (int)(intptr_t)argument;
    for (int i = 0; i < 60; i++) count_tasks(1 + (number + i) % 4, 1 + 37 * i % 200);
    return NULL;
}

static void concurrent_callers_all_get_their_results(void) {
    pthread_t callers[CALLERS];
    for (intptr_t i = 0; i < CALLERS; i++)
        CHECK(!pthread_create(&callers[i], NULL, call_often, (void *)i), "thread %d", (int)i);
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
}

static void nested_task(void *job, int64_t task, int worker) {
    (void)job, (void)task, (void)worker;
    count_tasks(3, 20);
}

static void a_task_may_start_tasks_of_its_own(void) {
    for (int threads = 1; threads <= 4; threads++) tn_parallel_for(threads, 12, nested_task, NULL);
}

/* In a child: the pool works, more than once. */
static void use_after_fork(void) {
    alarm(60); /* a deadlock shall end */
    for (int i = 0; i < 2; i++)
        for (int threads = 1; threads <= 4; threads++) {
            count_tasks(threads, 50);
            meet_on(threads);
        }
}

static void await_child(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "child gave %d", status);
}

/* A child and a grandchild, both using the pool. */
static void fork_twice(void) {
    const pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child) {
        await_child(child);
        return;
    }
    use_after_fork();
    const pid_t grandchild = fork();
    CHECK(grandchild >= 0, "fork");
    if (grandchild)
        await_child(grandchild);
    else
        use_after_fork();
    _exit(0);
}

static atomic_int holding, fork_ended;

static void hold(void *job, int64_t task, int worker) {
    (void)job, (void)task, (void)worker;
    atomic_store(&holding, 1);
    while (!atomic_load(&fork_ended)) sched_yield();
}

static void *hold_the_pool(void *argument) {
    tn_parallel_for(3, 3, hold, argument);
    return NULL;
}

static void a_forked_child_has_a_working_pool(void) {
    if (RACE_CHECKED) return; /* the checker does not follow threads into a child */
    count_tasks(4, 100);
    for (int busy = 0; busy < 2; busy++)
        for (int i = 0; i < 4; i++) {
            pthread_t other;
            atomic_store(&holding, 0);
            atomic_store(&fork_ended, 0);
            if (busy) CHECK(!pthread_create(&other, NULL, hold_the_pool, NULL), "thread");
            while (busy && !atomic_load(&holding)) sched_yield();
            fork_twice();
            atomic_store(&fork_ended, 1);
            if (busy) pthread_join(other, NULL);
            count_tasks(4, 100); /* and the parent goes on */
        }
}

typedef struct {
    tn_control control;
    pthread_t caller;
    int polls;
    atomic_int ran;
} stopping;

static int poll_on_caller(void *self, double done, double total) {
    stopping *s = self;
    (void)done, (void)total;
    CHECK(pthread_equal(pthread_self(), s->caller), "polled on another thread");
    s->polls++;
    return 1;
}

static void stoppable_task(void *job, int64_t task, int worker) {
    stopping *s = job;
    (void)task;
    if (!tn_stopped(&s->control, worker)) atomic_fetch_add(&s->ran, 1);
}

static void only_the_caller_polls_and_all_workers_see_the_stop(void) {
    for (int threads = 1; threads <= 4; threads++) {
        stopping s = {.caller = pthread_self()};
        s.control = (tn_control){.poll = poll_on_caller, .self = &s};
        CHECK(!tn_stopped(&s.control, 1) && s.polls == 0, "a worker polled");
        CHECK(tn_stopped(&s.control, 0) && s.polls == 1, "the caller did not poll");
        tn_parallel_for(threads, 500, stoppable_task, &s);
        CHECK(s.polls == 1 && atomic_load(&s.ran) == 0, "%d ran", atomic_load(&s.ran));
    }
}

const test thread_tests[] = {
    TEST(every_task_runs_exactly_once_on_any_number_of_threads),
    TEST(tasks_run_at_the_same_time),
    TEST(threads_wake_up_at_the_beginning_of_a_run),
    TEST(jobs_that_follow_each_other_closely_do_not_mix),
    TEST(concurrent_callers_all_get_their_results),
    TEST(a_task_may_start_tasks_of_its_own),
    TEST(a_forked_child_has_a_working_pool),
    TEST(only_the_caller_polls_and_all_workers_see_the_stop),
    {0},
};
