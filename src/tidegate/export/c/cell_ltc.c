/* SPDX-License-Identifier: Apache-2.0 */
/* Liquid time-constant network: fused Euler sub-steps (Hasani et al. 2021, AAAI). With z = sigmoid(slope x + shift),

       x <- (C/h x + rest + sum of current z) / (C/h + leak + sum of weight z)                                      */
#include "cell.h"
#include "liquid.h"

#define MOST ((TIDEGATE_SENSORY > TIDEGATE_RECURRENT) ? TIDEGATE_SENSORY : TIDEGATE_RECURRENT)

static void add_currents(const tidegate_synapse synapses[], int count, const float values[], float top[], float total[])
{
    float opening[MOST];
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

void tidegate_cell_step(const float inputs[TIDEGATE_INPUTS], float neurons[TIDEGATE_NEURONS], float dt)
{
    float inertia[TIDEGATE_NEURONS];
    float held[TIDEGATE_NEURONS];
    float held_total[TIDEGATE_NEURONS];
    for (int i = 0; i < TIDEGATE_NEURONS; i++) {
        inertia[i] = tidegate_inertia[i] / dt;
        held[i] = tidegate_rest[i];
        held_total[i] = inertia[i] + tidegate_leak[i];
    }
    add_currents(tidegate_sensory, TIDEGATE_SENSORY, inputs, held, held_total);
    for (int k = 0; k < TIDEGATE_SUBSTEPS; k++) {
        float top[TIDEGATE_NEURONS];
        float total[TIDEGATE_NEURONS];
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            top[i] = (inertia[i] * neurons[i]) + held[i];
            total[i] = held_total[i];
        }
        add_currents(tidegate_recurrent, TIDEGATE_RECURRENT, neurons, top, total);
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            neurons[i] = top[i] / total[i];
        }
    }
}
