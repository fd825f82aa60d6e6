/* What convolutions are made of; compiled once per instruction set, as isa.c is. */
#include "../tn.h"
#include "vector.h"
#include "shuffle.h"
#include "heights.h"
#include "convolve.h"

#define KERNELS "convolve_type.h"
#include "floats.h"
