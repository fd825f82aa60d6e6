/* Aligned blocks.  Those of middling size are kept for the next run of the same program, since fresh
 * pages cost more than small contractions do; larger ones ask for huge pages, which save most of the
 * faults. */
#define _GNU_SOURCE
#include "tn.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { KEPT_FROM = 64 << 10, KEPT_TO = 16 << 20, SLOTS = 4, MAPPED = 32 << 20 };

/* At most SLOTS * KEPT_TO bytes wait here.  Whoever finds the slots in use, also in a child forked at
 * such a moment, does without. */
static struct {
    char busy;
    int oldest;
    void *memory[SLOTS];
    size_t bytes[SLOTS];
} kept;

static int enter(void) { return !__atomic_test_and_set(&kept.busy, __ATOMIC_ACQUIRE); }
static void leave(void) { __atomic_clear(&kept.busy, __ATOMIC_RELEASE); }
static int is_kept(size_t bytes) { return bytes >= KEPT_FROM && bytes <= KEPT_TO; }

/* A kept block of exactly this size, or NULL. */
static void *take(size_t bytes) {
    void *memory = NULL;
    if (!is_kept(bytes) || !enter()) return NULL;
    for (int i = 0; i < SLOTS && !memory; i++) {
        if (!kept.memory[i] || kept.bytes[i] != bytes) continue;
        memory = kept.memory[i];
        kept.memory[i] = NULL;
    }
    leave();
    return memory;
}

/* Keeps a block; returns the one that has to go for it, or the block itself. */
static void *keep(void *memory, size_t bytes) {
    if (!is_kept(bytes) || !enter()) return memory;
    int slot = kept.oldest;
    for (int i = 0; i < SLOTS; i++)
        if (!kept.memory[i]) slot = i;
    void *out = kept.memory[slot];
    kept.memory[slot] = memory;
    kept.bytes[slot] = bytes;
    kept.oldest = (slot + 1) % SLOTS;
    leave();
    return out;
}

void tn_trim(void) {
    for (int i = 0; i < SLOTS; i++) {
        void *memory = NULL;
        if (!enter()) return;
        memory = kept.memory[i];
        kept.memory[i] = NULL;
        leave();
        free(memory);
    }
}

void *tn_alloc(size_t bytes) {
    if (bytes < (size_t)MAPPED) {
        void *memory = take(bytes);
        if (memory) return memory;
        return posix_memalign(&memory, TN_ALIGN, bytes ? bytes : 1) ? NULL : memory;
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

void tn_free(void *memory, size_t bytes) {
    if (!memory) return;
    if (bytes < (size_t)MAPPED)
        free(keep(memory, bytes));
    else
        munmap(memory, bytes);
}

void *tn_exchange(void **slot, void *value) {
    return __atomic_exchange_n(slot, value, __ATOMIC_ACQ_REL);
}
