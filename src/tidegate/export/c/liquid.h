/* SPDX-License-Identifier: Apache-2.0 */
/* What the liquid part's files share. */
#ifndef TIDEGATE_LIQUID_H
#define TIDEGATE_LIQUID_H

#include <math.h>

#include "sizes.h"

extern const float tidegate_input_weight[TIDEGATE_INPUTS];
extern const float tidegate_input_bias[TIDEGATE_INPUTS];
extern const float tidegate_output_weight[TIDEGATE_MOTOR];
extern const float tidegate_output_bias[TIDEGATE_MOTOR];
extern const float tidegate_gain_weight[TIDEGATE_COMMAND][TIDEGATE_GAINS];
extern const float tidegate_gain_bias[TIDEGATE_GAINS];

/* Moves the neurons by dt [s] with the inputs held. */
void tidegate_cell_step(const float inputs[TIDEGATE_INPUTS], float neurons[TIDEGATE_NEURONS], float dt);

/* An expf that overflows gives 0, as it should; NaN stays NaN. */
static inline float tidegate_sigmoid(float x)
{
    return 1.0F / (1.0F + expf(-x));
}

#endif
