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

static int always(void) { return 1; }

#ifdef TN_LOWERED /* only in tests: compiled to the instructions that every CPU has */
#define has_avx2 always
#define has_avx512 always
#else
#ifdef TN_HAVE_avx2
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif
#ifdef TN_HAVE_avx512
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}
#endif
#endif

typedef struct {
    const char *name;
    const tn_kernels *const *kernels;
    const tn_window_kernels *const *windows; /* float32, float64, as of curves */
    const tn_curve_kernels *const *curves;
    int (*supported)(void);
} isa;

static const isa isas[] = {
#ifdef TN_HAVE_avx512
    {"avx512", tn_kernels_of_avx512, tn_window_kernels_of_avx512, tn_curve_kernels_of_avx512, has_avx512},
#endif
#ifdef TN_HAVE_avx2
    {"avx2", tn_kernels_of_avx2, tn_window_kernels_of_avx2, tn_curve_kernels_of_avx2, has_avx2},
#endif
#ifdef TN_HAVE_neon
    {"neon", tn_kernels_of_neon, tn_window_kernels_of_neon, tn_curve_kernels_of_neon, always},
#endif
    {"generic", tn_kernels_of_generic, tn_window_kernels_of_generic, tn_curve_kernels_of_generic, always},
};
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

int tn_isa_names(const char **names, int capacity) {
    int count = 0;
    for (int i = 0; i < ISAS && count < capacity; i++)
        if (isas[i].supported()) names[count++] = isas[i].name;
    return count;
}

tn_status tn_set_isa(const char *name) {
    for (int i = 0; i < ISAS; i++) {
        if (name && name[0] && strcmp(name, isas[i].name)) continue;
        if (!isas[i].supported()) continue;
        atomic_store(&current, &isas[i]);
        return TN_OK;
    }
    return TN_BAD_ISA;
}

int tn_itemsize(int dtype) {
    static const int sizes[] = {[TN_BOOL] = 1, [TN_U8] = 1,  [TN_U16] = 2, [TN_U32] = 4,
                                [TN_U64] = 8,  [TN_F32] = 4, [TN_F64] = 8, [TN_C64] = 8,
                                [TN_C128] = 16, [TN_F16] = 2};
    return sizes[dtype];
}

int tn_real_count(int dtype) { return dtype == TN_C64 || dtype == TN_C128 ? 2 : 1; }
