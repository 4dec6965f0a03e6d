/* SPDX-License-Identifier: Apache-2.0 */
/* Liquid time-constant network (Hasani et al. 2021, AAAI): sub-steps of length h by the exponential midpoint rule
   (Hochbruck and Ostermann 2010, Acta Numerica). With z = sigmoid(slope x + shift), conductance G = leak + sum of
   weight z, current I = rest + sum of current z, and y the middle,

       y <- x + (1 - e^(-h/2 G(x)/C)) (I(x)/G(x) - x),  x <- x + (1 - e^(-h G(y)/C)) (I(y)/G(y) - x)                */
#include "cell.h"
#include "liquid.h"

void tidegate_cell_step(const float inputs[TIDEGATE_INPUTS], float neurons[TIDEGATE_NEURONS], float dt)
{
    float elastance[TIDEGATE_NEURONS]; /* of a sub-step: h/C */
    float held[TIDEGATE_NEURONS];
    float held_total[TIDEGATE_NEURONS];
    for (int i = 0; i < TIDEGATE_NEURONS; i++) {
        elastance[i] = dt / tidegate_inertia[i];
    }
    tidegate_pull(&tidegate_sensory, inputs, tidegate_rest, tidegate_leak, held, held_total);
    for (int k = 0; k < TIDEGATE_SUBSTEPS; k++) {
        float start[TIDEGATE_NEURONS];
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            start[i] = neurons[i];
        }
        for (int stage = 1; stage <= 2; stage++) {
            const float time = 0.5F * (float)stage; /* in sub-steps */
            float top[TIDEGATE_NEURONS];
            float total[TIDEGATE_NEURONS];
            tidegate_pull(&tidegate_recurrent, neurons, held, held_total, top, total);
            for (int i = 0; i < TIDEGATE_NEURONS; i++) {
                const float way = tidegate_relaxed(total[i] * (time * elastance[i]));
                neurons[i] = start[i] + (way * ((top[i] / total[i]) - start[i]));
            }
        }
    }
}
