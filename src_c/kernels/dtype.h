/* Every kernel of contractions for one element type; isa.c includes this file once per type. */
#include "element.h"

#include "tile.h"
#include "square.h"
#include "pack.h"
#include "gett.h"
#include "transpose.h"
#include "nest.h"
#include "direct.h"
#include "dots.h"
#include "lanes.h"
#include "inner.h"
#include "skinny.h"
#include "scaling.h"
#if FLOATING && !COMPLEX
#include "winograd.h"
#endif

#if FLOATING
extern const tn_convolver TN_PASTE(FN(tn_convolver), TN_ISA);
#endif

static const tn_kernels FN(kernels) = {
    .mr = MR,
    .nr = NR,
    .lanes = VL / PARTS,
    .gett = FN(gett),
    .direct = FN(direct),
#if FLOATING
    .dots = FN(dots),
    .inner = FN(inner_products),
#endif
    .nest = FN(nest),
    .in_lanes = FN(in_lanes),
    .unary = FN(unary),
    .table = FN(table),
#if FLOATING
    .skinny = FN(skinny),
    .exponent = FN(exponent),
    .scale = FN(scale),
    .convolver = &TN_PASTE(FN(tn_convolver), TN_ISA),
#endif
    .add = FN(add),
#if FLOATING && !COMPLEX
    .winograd_weights = FN(winograd_weights),
    .winograd_block = FN(winograd_block),
    .winograd_part = FN(winograd_part),
    .winograd_taps = FN(winograd_taps),
#endif
};

#include "element_end.h"
