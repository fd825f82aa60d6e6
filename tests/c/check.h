/* The whole harness: named tests in tables, CHECK, and random numbers that every machine repeats.
 * The first failure ends the process: later tests would only repeat it less clearly. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>

typedef struct {
    const char *name;
    void (*run)(void);
} test;

#define TEST(function) {#function, function}

/* How many random cases: fewer where races are looked for, which takes ten times as long. */
#ifdef TN_FEW
#define CASES_OF(number) ((number) / 8)
#else
#define CASES_OF(number) (number)
#endif

/* One table per file, ended by a test without a name. */
extern const test contract_tests[], half_tests[], scaling_tests[], program_tests[],
    lowering_tests[], thread_tests[], copy_tests[], parts_tests[], winograd_tests[],
    convolve_tests[], window_tests[], backward_tests[], curve_tests[];

/* CHECK(condition, format, ...): the message says which case failed. */
#define CHECK(condition, ...) \
    ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__))

__attribute__((noreturn, format(printf, 4, 5))) void
check_failed(const char *file, int line, const char *condition, const char *format, ...);

/* splitmix64: any seed is good, so a case is repeated from its number alone. */
typedef struct {
    uint64_t state;
} rng;

static inline uint64_t rng_bits(rng *r) {
    uint64_t x = r->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline int rng_below(rng *r, int n) { return (int)((rng_bits(r) >> 33) % (uint64_t)n); }
static inline double rng_unit(rng *r) { return (double)(rng_bits(r) >> 11) * 0x1p-53; }

#endif
