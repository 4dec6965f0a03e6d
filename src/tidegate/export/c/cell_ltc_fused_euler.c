/* SPDX-License-Identifier: Apache-2.0 */
/* Liquid time-constant network: fused Euler sub-steps (Hasani et al. 2021, AAAI). With z = sigmoid(slope x + shift),

       x <- (C/h x + rest + sum of current z) / (C/h + leak + sum of weight z)                                      */
#include "cell.h"
#include "liquid.h"

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
    tidegate_add_pull(tidegate_sensory, TIDEGATE_SENSORY, inputs, held, held_total);
    for (int k = 0; k < TIDEGATE_SUBSTEPS; k++) {
        float top[TIDEGATE_NEURONS];
        float total[TIDEGATE_NEURONS];
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            top[i] = (inertia[i] * neurons[i]) + held[i];
            total[i] = held_total[i];
        }
        tidegate_add_pull(tidegate_recurrent, TIDEGATE_RECURRENT, neurons, top, total);
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            neurons[i] = top[i] / total[i];
        }
    }
}
