/* Aligned blocks.  Up to 32 MiB malloc recycles them without new page faults; larger ones ask for
 * huge pages, which save most of the faults. */
#define _GNU_SOURCE
#include "tn.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { MAPPED = 32 << 20 };

void *tn_alloc(size_t bytes) {
    if (bytes < (size_t)MAPPED) {
        void *memory = NULL;
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
        free(memory);
    else
        munmap(memory, bytes);
}

void *tn_exchange(void **slot, void *value) {
    return __atomic_exchange_n(slot, value, __ATOMIC_ACQ_REL);
}
