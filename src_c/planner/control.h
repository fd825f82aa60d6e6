/* Time, interruption and the loop over samples that all cores share. */
#ifndef TNP_CONTROL_H
#define TNP_CONTROL_H

#include "planner.h"

double tnp_now(void);

/* True if the search should end now. `caller` is true on the thread that may call `poll`. */
bool tnp_should_stop(tnp_control *ctl, bool caller);

/* The same for work that must be finished whatever the time: true only on failure. */
bool tnp_interrupted(tnp_control *ctl, bool caller);

/* Record a failure of any thread and ask all of them to stop. */
void tnp_fail(tnp_control *ctl, tnp_status status);

static inline tnp_status tnp_status_of(tnp_control *ctl)
{
    return (tnp_status)atomic_load(&ctl->status);
}

enum { TNP_MAX_THREADS = 256 };

/* Call body(arg, item, thread) for every item in 0..n_items-1 on up to `threads` threads, items
 * handed out in order; ends early when the control says stop. Thread 0 is the caller. */
typedef tnp_status (*tnp_body)(void *arg, int64_t item, int32_t thread);
tnp_status tnp_for_each(tnp_control *ctl, int32_t threads, int64_t n_items, tnp_body body,
                        void *arg);

#endif
