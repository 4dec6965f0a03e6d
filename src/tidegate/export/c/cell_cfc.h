/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of the closed-form network, in the order in which cell.c reads them. */
#ifndef TIDEGATE_CELL_H
#define TIDEGATE_CELL_H

#include <stdint.h>

#include "sizes.h"

typedef struct {
    float start;
    float end;
    float rate; /* [1/s] */
    float offset;
} tidegate_branches;

typedef struct {
    uint16_t source; /* inputs first, then neurons */
    uint16_t target;
    tidegate_branches weight;
} tidegate_read;

extern const tidegate_read tidegate_reads[TIDEGATE_READS]; /* by target */
extern const tidegate_branches tidegate_bias[TIDEGATE_NEURONS];

#endif
