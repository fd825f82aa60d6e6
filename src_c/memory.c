/* Aligned blocks.  Those of some size are kept for the next run of the same program, since fresh pages
 * cost more than many contractions do; large ones ask for huge pages, which save most of the faults. */
#define _GNU_SOURCE
#include "tn.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { KEPT_FROM = 64 << 10, SLOTS = 128, MAPPED = 4 << 20 };

static size_t limit = 64 << 20; /* bytes that may wait */

typedef struct {
    void *memory;
    size_t bytes;
} block;

/* Blocks that wait for use, oldest first, `limit` bytes at most.  Whoever finds them in use by
 * another thread, also in a child forked at such a moment, does without. */
static struct {
    char busy;
    int count;
    size_t bytes;
    block blocks[SLOTS];
} kept;

static int enter(void) { return !__atomic_test_and_set(&kept.busy, __ATOMIC_ACQUIRE); }
static void leave(void) { __atomic_clear(&kept.busy, __ATOMIC_RELEASE); }
static int is_kept(size_t bytes) { return bytes >= KEPT_FROM && bytes <= limit; }

static void give_back(block x) {
    if (x.bytes < (size_t)MAPPED)
        free(x.memory);
    else
        munmap(x.memory, x.bytes);
}

static block take_at(int i) {
    block x = kept.blocks[i];
    kept.bytes -= x.bytes;
    kept.count--;
    for (; i < kept.count; i++) kept.blocks[i] = kept.blocks[i + 1];
    return x;
}

/* A kept block of exactly this size, the latest, or NULL. */
static void *take(size_t bytes) {
    void *memory = NULL;
    if (!is_kept(bytes) || !enter()) return NULL;
    for (int i = kept.count - 1; i >= 0 && !memory; i--)
        if (kept.blocks[i].bytes == bytes) memory = take_at(i).memory;
    leave();
    return memory;
}

/* Gives back the oldest blocks until `bytes` more, in one block, may be kept. */
static void make_room(size_t bytes) {
    block out[SLOTS];
    int n = 0;
    if (!enter()) return;
    while (kept.count && (kept.count == SLOTS || kept.bytes + bytes > limit))
        out[n++] = take_at(0);
    leave();
    for (int i = 0; i < n; i++) give_back(out[i]);
}

void tn_trim(void) { make_room(limit); }

void tn_keep_at_most(size_t bytes) {
    tn_trim();
    limit = bytes;
}

size_t tn_kept(void) { return kept.bytes; }

static int keep(block x) {
    if (!is_kept(x.bytes)) return 0;
    make_room(x.bytes);
    if (!enter()) return 0;
    const int fits = kept.count < SLOTS && kept.bytes + x.bytes <= limit;
    if (fits) {
        kept.blocks[kept.count++] = x;
        kept.bytes += x.bytes;
    }
    leave();
    return fits;
}

void *tn_alloc(size_t bytes) {
    void *memory = take(bytes);
    if (memory) return memory;
    if (bytes < (size_t)MAPPED)
        return posix_memalign(&memory, TN_ALIGN, bytes ? bytes : 1) ? NULL : memory;
    make_room(bytes); /* what waits and what is new stay below the limit together, if they can */
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

void tn_free(void *memory, size_t bytes) {
    const block x = {memory, bytes};
    if (memory && !keep(x)) give_back(x);
}

void *tn_exchange(void **slot, void *value) {
    return __atomic_exchange_n(slot, value, __ATOMIC_ACQ_REL);
}
