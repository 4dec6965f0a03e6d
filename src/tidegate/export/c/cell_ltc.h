/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of the liquid time-constant network, in the order in which cell.c reads them. */
#ifndef TIDEGATE_CELL_H
#define TIDEGATE_CELL_H

#include <stdint.h>

#include "sizes.h"

typedef struct {
    uint16_t source; /* an input, or a neuron */
    uint16_t target;
    float slope;
    float shift;
    float weight;  /* conductance when open */
    float current; /* weight times reversal potential */
} tidegate_synapse;

extern const tidegate_synapse tidegate_sensory[TIDEGATE_SENSORY];
extern const tidegate_synapse tidegate_recurrent[TIDEGATE_RECURRENT];
extern const float tidegate_leak[TIDEGATE_NEURONS];
extern const float tidegate_rest[TIDEGATE_NEURONS];    /* leak times resting potential */
extern const float tidegate_inertia[TIDEGATE_NEURONS]; /* capacitance times sub-steps [s] */

#endif
