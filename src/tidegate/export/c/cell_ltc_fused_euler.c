/* SPDX-License-Identifier: Apache-2.0 */
/* Liquid time-constant network: fused Euler sub-steps (Hasani et al. 2021, AAAI). With z = sigmoid(slope x + shift),

       x <- (C/h x + rest + sum of current z) / (C/h + leak + sum of weight z)                                      */
#include "cell.h"
#include "liquid.h"

void tidegate_cell_step(const float inputs[TIDEGATE_INPUTS], float neurons[TIDEGATE_NEURONS], float dt)
{
    float inertia[TIDEGATE_NEURONS];
    float total[TIDEGATE_NEURONS];
    float held[TIDEGATE_NEURONS];
    float held_total[TIDEGATE_NEURONS];
    for (int i = 0; i < TIDEGATE_NEURONS; i++) {
        inertia[i] = tidegate_inertia[i] / dt;
        total[i] = inertia[i] + tidegate_leak[i];
    }
    tidegate_pull(&tidegate_sensory, inputs, tidegate_rest, total, held, held_total);
    for (int k = 0; k < TIDEGATE_SUBSTEPS; k++) {
        float top[TIDEGATE_NEURONS];
        tidegate_pull(&tidegate_recurrent, neurons, held, held_total, top, total);
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            neurons[i] = ((inertia[i] * neurons[i]) + top[i]) / total[i];
        }
    }
}
