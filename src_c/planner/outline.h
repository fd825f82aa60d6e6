/* The few indices of a giant tree that slicing may have to look at; see outline.c. */
#ifndef TNP_OUTLINE_H
#define TNP_OUTLINE_H

#include "planner.h"

/* A tree reduced to the indices on results of more than 2^limit entries. */
typedef struct {
    unsigned char *chosen; /* by index */
    double *macs;          /* by node: log2 multiply-adds of the other indices */
    double *size;          /* by node: log2 entries of the other indices */
} tnp_outline;

tnp_status tnp_outline_init(tnp_outline *outline, const tnp_net *net, const int32_t *steps,
                            double limit);
void tnp_outline_free(tnp_outline *outline);

#endif
