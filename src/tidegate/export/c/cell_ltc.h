/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of the liquid time-constant network, in the order in which cell.c reads them, and its synapses. */
#ifndef TIDEGATE_CELL_H
#define TIDEGATE_CELL_H

#include <stdint.h>

#include "liquid.h"
#include "sizes.h"

#define TIDEGATE_MOST ((TIDEGATE_SENSORY > TIDEGATE_RECURRENT) ? TIDEGATE_SENSORY : TIDEGATE_RECURRENT)

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

/* Adds the currents and conductances of open synapses to ``top`` and ``total`` of their targets. */
static inline void tidegate_add_pull(const tidegate_synapse synapses[], int count, const float values[], float top[],
                                     float total[])
{
    float opening[TIDEGATE_MOST];
    for (int e = 0; e < count; e++) {
        opening[e] = (synapses[e].slope * values[synapses[e].source]) + synapses[e].shift;
    }
    for (int e = 0; e < count; e++) { /* by itself: it becomes vector instructions */
        opening[e] = tidegate_sigmoid(opening[e]);
    }
    for (int e = 0; e < count; e++) {
        top[synapses[e].target] += synapses[e].current * opening[e];
        total[synapses[e].target] += synapses[e].weight * opening[e];
    }
}

#endif
