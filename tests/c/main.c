/* units ISA [suite ...]: runs the tests of all, or of the named, suites on one instruction set. */
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    const test *tests;
} suites[] = {
    {"half", half_tests},       {"scaling", scaling_tests}, {"contract", contract_tests},
    {"program", program_tests}, {"lowering", lowering_tests}, {"threads", thread_tests},
    {"copy", copy_tests},       {"parts", parts_tests},     {"windows", window_tests},
    {"winograd", winograd_tests}, {"convolve", convolve_tests},
    {"backward", backward_tests}, {"curves", curve_tests},
};

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int list_isas(void) {
    const char *names[8];
    const int count = tn_isa_names(names, 8);
    for (int i = 0; i < count; i++) puts(names[i]);
    return 0;
}

int main(int count, char **arguments) {
    if (count < 2) return list_isas();
    CHECK(tn_set_isa(arguments[1]) == TN_OK, "%s", arguments[1]);
    CHECK(!strcmp(tn_isa_name(), arguments[1]), "%s", arguments[1]);
    for (size_t s = 0; s < sizeof suites / sizeof *suites; s++) {
        int wanted = count == 2;
        for (int i = 2; i < count; i++) wanted |= !strcmp(arguments[i], suites[s].name);
        for (const test *t = suites[s].tests; wanted && t->name; t++) {
            const double start = seconds();
            t->run();
            printf("%-8s %-9s %-64s %5.2f s\n", arguments[1], suites[s].name, t->name,
                   seconds() - start);
            fflush(stdout);
        }
    }
    return 0;
}
