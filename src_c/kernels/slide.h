/* Every kernel of sliding windows for one element type.  isa_windows.c includes this file with
 *   NAME  suffix of the functions
 *   R     the real number type
 *   I     the signed integer as wide
 *   LANES how many of them a vector has */
#define FN(x) TN_PASTE(x, NAME)
#define V FN(slide_vector)
#define VU FN(slide_unaligned)
#define VI FN(slide_lanes)
#define VB FN(slide_bytes)
#define VW FN(slide_words)
#define VL ((int)(VBYTES / sizeof(R)))

#include "slide_tile.h"
#include "slide_pixels.h"
#include "slide_planes.h"
#include "slide_weights.h"
#include "slide_whole.h"
#include "slide_rows.h"

#define BY_KIND(layout)                                                                          \
    {                                                                                            \
        [TILE_MAX] = FN(layout##_max), [TILE_ARGMAX] = FN(layout##_argmax),                      \
        [TILE_PICK] = FN(layout##_pick), [TILE_RETURN] = FN(layout##_return),                    \
        [TILE_SUM] = FN(layout##_sum), [TILE_SPREAD] = FN(layout##_spread),                      \
        [TILE_WEIGH] = FN(layout##_weigh),                                                       \
    }

static const tn_window_kernels FN(window_kernels) = {
    .lanes = VL,
    .pixels = BY_KIND(pixels),
    .planes = BY_KIND(planes),
    .whole = {[TILE_MAX] = FN(whole_max), [TILE_ARGMAX] = FN(whole_argmax), [TILE_SUM] = FN(whole_sum)},
    .whole_spread = FN(whole_spread),
    .rows = {[TILE_SUM] = FN(rows_sum), [TILE_SPREAD] = FN(rows_spread), [TILE_WEIGH] = FN(rows_weigh)},
    .pixel_weights = FN(pixel_weights),
    .plane_weights = FN(plane_weights),
};

#undef BY_KIND
#undef FN
#undef V
#undef VU
#undef VI
#undef VB
#undef VW
#undef VL
#undef NAME
#undef R
#undef I
#undef LANES
