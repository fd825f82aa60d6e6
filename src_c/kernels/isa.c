/* Compiled once per instruction set, with -DTN_ISA=name -DTN_ISA_name and that set's flags. */
#include "../tn.h"
#include "vector.h"
#include "walk.h"
#include "boxes.h"
#include "fetch.h"
#include "tiles.h"
#include "heights.h"
#include "tiling.h"
#include "panes.h"
#include "parts.h"
#include "shuffle.h"
#include "lane_plan.h"

#include <math.h>
#include <stdlib.h>

#define NAME bool
#define R uint8_t
#define COMPLEX 0
#define BOOLEAN 1
#define FLOATING 0
#include "dtype.h"

#define NAME u8
#define R uint8_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

#define NAME u16
#define R uint16_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

#define NAME u32
#define R uint32_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

#define NAME u64
#define R uint64_t
#define COMPLEX 0
#define BOOLEAN 0
#define FLOATING 0
#include "dtype.h"

#define KERNELS "dtype.h"
#include "floats.h"

extern const tn_kernels *const TN_PASTE(tn_kernels_of, TN_ISA)[TN_DTYPES];
const tn_kernels *const TN_PASTE(tn_kernels_of, TN_ISA)[TN_DTYPES] = {
    [TN_BOOL] = &kernels_bool, [TN_U8] = &kernels_u8,   [TN_U16] = &kernels_u16,
    [TN_U32] = &kernels_u32,   [TN_U64] = &kernels_u64, [TN_F32] = &kernels_f32,
    [TN_F64] = &kernels_f64,   [TN_C64] = &kernels_c64, [TN_C128] = &kernels_c128,
};
