/* float16 <-> float32: all 65536 halves, and floats around every rounding boundary. */
#include "support.h"

#include <math.h>
#include <string.h>

static float widen(uint16_t h) {
    float x;
    tn_half_to_float(NULL, 0, (const char *)&h, (char *)&x);
    return x;
}

static uint16_t narrow(float x) {
    uint16_t h;
    tn_float_to_half(NULL, 0, (const char *)&x, (char *)&h);
    return h;
}

static int is_nan(uint16_t h) { return (h & 0x7fff) > 0x7c00; }

static void every_half_widens_to_its_value(void) {
    for (int h = 0; h < 65536; h++) {
        const float x = widen((uint16_t)h);
        const double expected = half_value((uint16_t)h);
        CHECK(is_nan((uint16_t)h) ? isnan(x) : (double)x == expected, "%04x gave %a", h, x);
        CHECK(!signbit(x) == !(h & 0x8000), "%04x gave %a", h, x);
    }
}

static void narrowing_undoes_widening(void) {
    for (int h = 0; h < 65536; h++) {
        const uint16_t back = narrow(widen((uint16_t)h));
        if (is_nan((uint16_t)h))
            CHECK(is_nan(back) && (back & 0x8000) == (h & 0x8000), "%04x gave %04x", h, back);
        else
            CHECK(back == h, "%04x gave %04x", h, back);
    }
}

static void midpoints_round_to_even_and_their_neighbours_to_the_nearer(void) {
    for (int h = 0; h < 0x7c00; h++) { /* the successor of the last one stands for 65536 */
        const double above = h == 0x7bff ? 65536 : half_value((uint16_t)(h + 1));
        const float middle = (float)((half_value((uint16_t)h) + above) / 2);
        const int even = h & 1 ? h + 1 : h;
        CHECK(narrow(middle) == even, "%a", middle);
        CHECK(narrow(nextafterf(middle, 0)) == h, "below %a", middle);
        CHECK(narrow(nextafterf(middle, INFINITY)) == h + 1, "above %a", middle);
        CHECK(narrow(-middle) == (even | 0x8000), "%a", -middle);
    }
}

static void what_is_too_large_becomes_infinite_and_what_is_too_small_zero(void) {
    static const float large[] = {65520, 65536, 1e5f, 3.4e38f, INFINITY};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        CHECK(narrow(large[i]) == 0x7c00, "%a", large[i]);
        CHECK(narrow(-large[i]) == 0xfc00, "%a", -large[i]);
    }
    static const float small[] = {0, 0x1p-149f, 0x1p-126f, 0x1p-26f, 0x1p-25f};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        CHECK(narrow(small[i]) == 0, "%a", small[i]);
        CHECK(narrow(-small[i]) == 0x8000, "%a", -small[i]);
    }
    CHECK(is_nan(narrow(NAN)), "nan");
}

static void any_float_narrows_to_the_nearest_half(void) {
    rng r = {1};
    for (int i = 0; i < 200000; i++) {
        /* half of them where float16 has values */
        const uint32_t any = (uint32_t)rng_bits(&r);
        const uint32_t bits = i & 1 ? any : (any & 0x807fffff) | (100u + any % 44) << 23;
        float x;
        memcpy(&x, &bits, sizeof x);
        const uint16_t h = narrow(x), expected = half_nearest(x);
        CHECK(isnan(x) ? is_nan(h) : h == expected, "%a gave %04x, not %04x", x, h, expected);
    }
}

static void strided_arrays_convert_element_by_element(void) {
    uint16_t halves[3 * 5], back[3 * 5];
    float floats[7 * 4];
    for (int i = 0; i < 15; i++) halves[i] = (uint16_t)(0x3c00 + 7 * i);
    memset(floats, 0xff, sizeof floats);
    /* floats[column][row] of a padded 7 x 4 array, columns from the last to the first */
    const tn_dim dims[2] = {{3, 10, 0, 4}, {5, 2, 0, -16}};
    tn_half_to_float(dims, 2, (const char *)halves, (char *)&floats[4 * 4]);
    for (int row = 0; row < 3; row++)
        for (int column = 0; column < 5; column++)
            CHECK((double)floats[(4 - column) * 4 + row] == half_value(halves[row * 5 + column]),
                  "row %d column %d", row, column);
    for (int i = 0; i < 28; i++) CHECK((i % 4 < 3 && i < 20) || isnan(floats[i]), "gap %d", i);
    const tn_dim reversed[2] = {{3, 4, 0, 10}, {5, -16, 0, 2}};
    tn_float_to_half(reversed, 2, (const char *)&floats[4 * 4], (char *)back);
    CHECK(!memcmp(halves, back, sizeof back), "there and back");
}

const test half_tests[] = {
    TEST(every_half_widens_to_its_value),
    TEST(narrowing_undoes_widening),
    TEST(midpoints_round_to_even_and_their_neighbours_to_the_nearer),
    TEST(what_is_too_large_becomes_infinite_and_what_is_too_small_zero),
    TEST(any_float_narrows_to_the_nearest_half),
    TEST(strided_arrays_convert_element_by_element),
    {0},
};
