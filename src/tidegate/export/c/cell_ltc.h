/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of the liquid time-constant network, in the order in which cell.c reads them, and its synapses. */
#ifndef TIDEGATE_CELL_H
#define TIDEGATE_CELL_H

#include <stdint.h>

#include "liquid.h"
#include "sizes.h"

#define TIDEGATE_MOST ((TIDEGATE_SENSORY > TIDEGATE_RECURRENT) ? TIDEGATE_SENSORY : TIDEGATE_RECURRENT)

typedef struct { /* by target */
    int count;
    const uint16_t *end;    /* [neurons]: those of neuron i come before it */
    const uint16_t *source; /* [count]: an input, or a neuron */
    const float *slope;
    const float *shift;
    const float *weight;  /* conductance when open */
    const float *current; /* weight times reversal potential */
} tidegate_synapses;

extern const tidegate_synapses tidegate_sensory;
extern const tidegate_synapses tidegate_recurrent;
extern const float tidegate_leak[TIDEGATE_NEURONS];
extern const float tidegate_rest[TIDEGATE_NEURONS];    /* leak times resting potential */
extern const float tidegate_inertia[TIDEGATE_NEURONS]; /* capacitance times sub-steps [s] */

/* ``top`` and ``total``: what is held of them, and the currents and conductances of open synapses. */
static inline void tidegate_pull(const tidegate_synapses *synapses, const float values[], const float held[],
                                 const float held_total[], float top[], float total[])
{
    float weight[TIDEGATE_MOST];
    float current[TIDEGATE_MOST];
    for (int e = 0; e < synapses->count; e++) {
        current[e] = values[synapses->source[e]];
    }
    for (int e = 0; e < synapses->count; e++) { /* by itself: it becomes vector instructions */
        const float opening = tidegate_sigmoid((synapses->slope[e] * current[e]) + synapses->shift[e]);
        weight[e] = synapses->weight[e] * opening;
        current[e] = synapses->current[e] * opening;
    }
    int e = 0;
    for (int i = 0; i < TIDEGATE_NEURONS; i++) {
        float on = held[i];
        float on_total = held_total[i];
        for (; e < (int)synapses->end[i]; e++) {
            on += current[e];
            on_total += weight[e];
        }
        top[i] = on;
        total[i] = on_total;
    }
}

#endif
