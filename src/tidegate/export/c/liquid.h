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

typedef struct { /* e^-x = power (1 + rise) */
    float power;
    float rise;
} tidegate_decay;

/* e^-x; NaN stays NaN. No call and no branch, so that a loop over it becomes vector instructions under strict rules
   too. e^-x = 2^n e^r with |r| <= ln(2) / 2; polynomial of Cephes' expf. */
static inline tidegate_decay tidegate_decayed(float x)
{
    tidegate_bits y;
    tidegate_bits power;
    y.value = x;
    const uint32_t size = y.bits & 0x7FFFFFFFU;
    const uint32_t most = (y.bits & 0x80000000U) | 0x42AE0000U; /* 87 with the sign of x: 2^n must not overflow */
    y.bits = ((size > 0x42AE0000U) && (size <= 0x7F800000U)) ? most : y.bits;

    power.value = (y.value * -1.44269504F) + 12582912.0F; /* at this size floats are the whole numbers */
    const float n = power.value - 12582912.0F;
    const float r = (-y.value - (n * 0.693359375F)) + (n * 2.12194440e-4F); /* ln(2) in two parts */
    power.bits = (power.bits + 127U) << 23; /* n as an exponent: 2^n */

    float p = 1.9875691500e-4F;
    p = (p * r) + 1.3981999507e-3F;
    p = (p * r) + 8.3334519073e-3F;
    p = (p * r) + 4.1665795894e-2F;
    p = (p * r) + 1.6666665459e-1F;
    p = (p * r) + 5.0000001201e-1F;
    return (tidegate_decay){power.value, ((p * r) * r) + r};
}

/* 1 / (1 + e^-x), off by 1.5e-7 of itself at most. */
static inline float tidegate_sigmoid(float x)
{
    const tidegate_decay e = tidegate_decayed(x);
    return 1.0F / (1.0F + ((e.rise + 1.0F) * e.power));
}

/* 1 - e^-x, for small x too. */
static inline float tidegate_relaxed(float x)
{
    const tidegate_decay e = tidegate_decayed(x);
    return (1.0F - e.power) - (e.power * e.rise);
}

#endif
