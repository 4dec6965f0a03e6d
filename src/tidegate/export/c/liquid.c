/* SPDX-License-Identifier: Apache-2.0 */
/* Features and speed to command and gains: input map, liquid cell, read-out. */
#include "liquid.h"

#include <stdbool.h>

#include "tidegate.h"

void tidegate_decide(const float features[TIDEGATE_FEATURES], float speed, float dt, float neurons[TIDEGATE_NEURONS],
                     tidegate_decision *decision)
{
    float step = dt;
    if (!((dt > 0.0F) && (dt <= TIDEGATE_DT_MAX))) { /* NaN too */
        step = TIDEGATE_PERIOD;
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            neurons[i] = 0.0F;
        }
    }
    float inputs[TIDEGATE_INPUTS];
    bool finite = (isfinite(speed) != 0);
    for (int i = 0; i < TIDEGATE_FEATURES; i++) {
        inputs[i] = (features[i] * tidegate_input_weight[i]) + tidegate_input_bias[i];
        finite = finite && (isfinite(features[i]) != 0);
    }
    inputs[TIDEGATE_FEATURES] =
        (speed * tidegate_input_weight[TIDEGATE_FEATURES]) + tidegate_input_bias[TIDEGATE_FEATURES];
    float moved[TIDEGATE_NEURONS];
    for (int i = 0; i < TIDEGATE_NEURONS; i++) {
        moved[i] = neurons[i];
    }
    tidegate_cell_step(inputs, moved, step);
    for (int i = 0; i < TIDEGATE_NEURONS; i++) { /* finite inputs may be too large for their sums */
        finite = finite && (isfinite(moved[i]) != 0);
    }
    if (finite) {
        for (int i = 0; i < TIDEGATE_NEURONS; i++) {
            neurons[i] = moved[i];
        }
        const float *motor = &neurons[TIDEGATE_INTER + TIDEGATE_COMMAND];
        decision->drive_force = (motor[0] * tidegate_output_weight[0]) + tidegate_output_bias[0];
        decision->path_curvature = (motor[1] * tidegate_output_weight[1]) + tidegate_output_bias[1];
    } else {
        decision->drive_force = NAN;
        decision->path_curvature = NAN;
    }
    for (int g = 0; g < TIDEGATE_GAINS; g++) {
        float sum = tidegate_gain_bias[g];
        for (int i = 0; i < TIDEGATE_COMMAND; i++) {
            sum += neurons[TIDEGATE_INTER + i] * tidegate_gain_weight[i][g];
        }
        decision->gains[g] = TIDEGATE_GAIN_LOW + ((TIDEGATE_GAIN_HIGH - TIDEGATE_GAIN_LOW) * tidegate_sigmoid(sum));
    }
}
