/* The instruction sets of this build, and the one in use. */
#include "curves.h"
#include "sliding.h"

#include <stdatomic.h>
#include <string.h>

extern const tn_kernels *const tn_kernels_of_generic[TN_DTYPES];
extern const tn_window_kernels *const tn_window_kernels_of_generic[2];
extern const tn_curve_kernels *const tn_curve_kernels_of_generic[2];
#ifdef TN_HAVE_avx2
extern const tn_kernels *const tn_kernels_of_avx2[TN_DTYPES];
extern const tn_window_kernels *const tn_window_kernels_of_avx2[2];
extern const tn_curve_kernels *const tn_curve_kernels_of_avx2[2];
#endif
#ifdef TN_HAVE_avx512
extern const tn_kernels *const tn_kernels_of_avx512[TN_DTYPES];
extern const tn_window_kernels *const tn_window_kernels_of_avx512[2];
extern const tn_curve_kernels *const tn_curve_kernels_of_avx512[2];
#endif
#ifdef TN_HAVE_neon
extern const tn_kernels *const tn_kernels_of_neon[TN_DTYPES];
extern const tn_window_kernels *const tn_window_kernels_of_neon[2];
extern const tn_curve_kernels *const tn_curve_kernels_of_neon[2];
#endif

/* How well a set suits this CPU; UNSUITED: not at all. */
typedef enum { UNSUITED, ANYWHERE, OTHER, WIDER, WIDEST } fitness;

static fitness anywhere(void) { return ANYWHERE; }

#ifdef TN_LOWERED /* only in tests: compiled to the instructions that every CPU has */
#define avx2 anywhere
#define avx512 anywhere
#define zen4 anywhere
#else
#ifdef TN_HAVE_avx2
static fitness avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? WIDER : UNSUITED;
}
#endif
#ifdef TN_HAVE_avx512
static fitness avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("fma")
               ? WIDEST : UNSUITED;
}

/* Vectors of AVX-512 in two halves, one a cycle: its loads keep up, if they are operands. */
static fitness zen4(void) {
    return avx512() ? __builtin_cpu_is("amdfam19h") ? WIDEST : OTHER : UNSUITED;
}
#endif
#endif

typedef struct {
    const char *name;
    const tn_kernels *const *kernels;
    const tn_window_kernels *const *windows; /* float32, float64, as of curves */
    const tn_curve_kernels *const *curves;
    fitness (*suits)(void);
    int loads_limit, large_l2; /* see tn.h */
} isa;

#define TABLES(set) tn_kernels_of_##set, tn_window_kernels_of_##set, tn_curve_kernels_of_##set
static const isa isas[] = { /* of those that suit as well the first one is the best */
#ifdef TN_HAVE_avx512
    {"zen4", TABLES(avx512), zen4, 0, 0},
    {"avx512", TABLES(avx512), avx512, 1, 1},
#endif
#ifdef TN_HAVE_avx2
    {"avx2", TABLES(avx2), avx2, 0, 0},
#endif
#ifdef TN_HAVE_neon
    {"neon", TABLES(neon), anywhere, 0, 0},
#endif
    {"generic", TABLES(generic), anywhere, 0, 0},
};
#undef TABLES
enum { ISAS = sizeof isas / sizeof isas[0] };

static const isa *_Atomic current = &isas[ISAS - 1];

const tn_kernels *tn_get_kernels(int dtype) { return atomic_load(&current)->kernels[dtype]; }

const tn_window_kernels *tn_get_window_kernels(int dtype) {
    return atomic_load(&current)->windows[dtype == TN_F64];
}

const tn_curve_kernels *tn_get_curve_kernels(int dtype) {
    return atomic_load(&current)->curves[dtype == TN_F64];
}

const char *tn_isa_name(void) { return atomic_load(&current)->name; }

int tn_loads_limit(void) { return atomic_load(&current)->loads_limit; }
int tn_large_l2(void) { return atomic_load(&current)->large_l2; }

static const isa *best_isa(void) {
    const isa *best = &isas[ISAS - 1];
    for (int i = ISAS - 1; i >= 0; i--)
        if (isas[i].suits() >= best->suits()) best = &isas[i];
    return best;
}

int tn_isa_names(const char **names, int capacity) {
    const isa *best = best_isa();
    int count = 0;
    if (count < capacity) names[count++] = best->name;
    for (int i = 0; i < ISAS && count < capacity; i++)
        if (&isas[i] != best && isas[i].suits()) names[count++] = isas[i].name;
    return count;
}

tn_status tn_set_isa(const char *name) {
    const isa *chosen = name && name[0] ? NULL : best_isa();
    for (int i = 0; i < ISAS && !chosen; i++)
        if (!strcmp(name, isas[i].name) && isas[i].suits()) chosen = &isas[i];
    if (!chosen) return TN_BAD_ISA;
    atomic_store(&current, chosen);
    return TN_OK;
}

int tn_itemsize(int dtype) {
    static const int sizes[] = {[TN_BOOL] = 1, [TN_U8] = 1,  [TN_U16] = 2, [TN_U32] = 4,
                                [TN_U64] = 8,  [TN_F32] = 4, [TN_F64] = 8, [TN_C64] = 8,
                                [TN_C128] = 16, [TN_F16] = 2};
    return sizes[dtype];
}

int tn_real_count(int dtype) { return dtype == TN_C64 || dtype == TN_C128 ? 2 : 1; }
