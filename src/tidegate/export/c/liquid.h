/* SPDX-License-Identifier: Apache-2.0 */
/* What the liquid part's files share. */
#ifndef TIDEGATE_LIQUID_H
#define TIDEGATE_LIQUID_H

#include <math.h>
#include <stdint.h>

#include "sizes.h"

extern const float tidegate_input_weight[TIDEGATE_INPUTS];
extern const float tidegate_input_bias[TIDEGATE_INPUTS];
extern const float tidegate_output_weight[TIDEGATE_MOTOR];
extern const float tidegate_output_bias[TIDEGATE_MOTOR];
extern const float tidegate_gain_weight[TIDEGATE_COMMAND][TIDEGATE_GAINS];
extern const float tidegate_gain_bias[TIDEGATE_GAINS];

/* Moves the neurons by dt [s] with the inputs held. */
void tidegate_cell_step(const float inputs[TIDEGATE_INPUTS], float neurons[TIDEGATE_NEURONS], float dt);

typedef union {
    float value;
    uint32_t bits;
} tidegate_bits;

typedef struct { /* e^-x = power (even + odd) / (even - odd) */
    float power;
    float even;
    float odd;
} tidegate_decay;

/* e^-x, beyond 80 as of 80, so that 140 times 2^n is a float still; NaN stays NaN. No call, no branch and no division,
   so that a loop over it becomes vector instructions under strict rules too. e^-x = 2^n e^r with |r| <= ln(2) / 2, and
   e^r = (even + odd) / (even - odd), the Pade approximant [3/3], off by 6e-9 of itself there at most. */
static inline tidegate_decay tidegate_decayed(float x)
{
    tidegate_bits y;
    y.value = x;
    const int32_t size = (int32_t)(y.bits & 0x7FFFFFFFU);
    const uint32_t most = (y.bits & 0x80000000U) | 0x42A00000U; /* 80 with the sign of x */
    y.bits = ((size > 0x42A00000) && (size <= 0x7F800000)) ? most : y.bits;

    tidegate_bits power;
    power.value = (y.value * -1.44269504F) + 12582912.0F; /* at this size floats are the whole numbers */
    const float n = power.value - 12582912.0F;
    const float r = (-y.value - (n * 0.693359375F)) + (n * 2.12194440e-4F); /* ln(2) in two parts */
    power.bits = (power.bits + 127U) << 23;                                  /* n as an exponent: 2^n */

    const float square = r * r;
    return (tidegate_decay){power.value, (12.0F * square) + 120.0F, r * (square + 60.0F)};
}

/* 1 / (1 + e^-x), off by 2.1e-7 of itself at most. */
static inline float tidegate_sigmoid(float x)
{
    const tidegate_decay e = tidegate_decayed(x);
    const float below = e.even - e.odd;
    return below / (below + ((e.even + e.odd) * e.power));
}

/* 1 - e^-x, for small x too, off by 2.8e-7 of itself at most. */
static inline float tidegate_relaxed(float x)
{
    const tidegate_decay e = tidegate_decayed(x);
    return ((e.even * (1.0F - e.power)) - (e.odd * (1.0F + e.power))) / (e.even - e.odd);
}

#endif
