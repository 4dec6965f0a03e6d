/* SPDX-License-Identifier: Apache-2.0 */
/* Shares no line with the exported C (export/c), which is single precision and has its sizes as constants. */
#include "cells.h"

#include <math.h>
#include <string.h>

typedef union {
    double value;
    uint64_t bits;
} number;

/* Within what e^x is a double; NaN stays NaN. */
static inline double limited(double x)
{
    const double low = (x > 700.0) ? 700.0 : x;
    return (low < -700.0) ? -700.0 : low;
}

typedef struct { /* e^-x = power (even + odd) / (even - odd) */
    double power;
    double even;
    double odd;
} decay;

/* e^-x of a limited x; NaN stays NaN. No call, no branch and no division, so that a loop over it becomes vector
   instructions. e^-x = 2^n e^r with |r| <= ln(2) / 2, and e^r = (even + odd) / (even - odd), the Pade approximant
   [5/5], off by 9e-16 of itself there at most. */
static inline decay decayed(double x)
{
    number shifted;
    number power;
    shifted.value = (x * -0x1.71547652b82fep+0) + 0x1.8p+52; /* at this size doubles are the whole numbers */
    const double n = shifted.value - 0x1.8p+52;
    const double r = -x - (n * 0x1.62e42fefa39efp-1);
    power.bits = (shifted.bits + 1023U) << 52; /* n as an exponent: 2^n */

    const double square = r * r;
    const double even = (((30.0 * square) + 3360.0) * square) + 30240.0;
    const double odd = r * (((square + 420.0) * square) + 15120.0);
    return (decay){power.value, even, odd};
}

/* 1 / (1 + e^-x) of a limited x, off by 4e-16 at most. */
static inline double sigmoid(double x)
{
    const decay e = decayed(x);
    const double below = e.even - e.odd;
    return below / (below + ((e.even + e.odd) * e.power));
}

/* Four at a time where the processor has AVX2: the same bits, as no operation sees its neighbours. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define FOUR_AT_A_TIME __attribute__((target_clones("avx2", "default")))
#endif
#endif
#ifndef FOUR_AT_A_TIME
#define FOUR_AT_A_TIME
#endif

FOUR_AT_A_TIME static void open_all(double opening[], size_t count)
{
    for (size_t e = 0; e < count; e++) {
        opening[e] = sigmoid(limited(opening[e]));
    }
}

static int inside(int64_t index, size_t size)
{
    return ((index >= 0) && ((uint64_t)index < size)) ? 1 : 0;
}

/* Liquid time-constant network (Hasani et al. 2021, AAAI). With z = sigmoid(slope x + shift), conductance G = leak +
   sum of weight z and current I = rest + sum of current z, a sub-step of length h by fused Euler is

       x <- (C/h x + I) / (C/h + G)

   and by the exponential midpoint rule (Hochbruck and Ostermann 2010, Acta Numerica), with y the middle,

       y <- x + (1 - e^(-h/2 G(x)/C)) (I(x)/G(x) - x),  x <- x + (1 - e^(-h G(y)/C)) (I(y)/G(y) - x)                */

static int synapses_fit(const synapses *held, size_t sources, size_t targets)
{
    int fit = 1;
    int64_t before = 0;
    for (size_t i = 0; i < targets; i++) {
        fit &= (held->end[i] >= before) ? 1 : 0;
        before = held->end[i];
    }
    fit &= ((size_t)before == held->count) ? 1 : 0;
    for (size_t e = 0; e < held->count; e++) {
        fit &= inside(held->source[e], sources);
    }
    return fit;
}

int ltc_fits(const ltc *cell)
{
    return synapses_fit(&cell->sensory, cell->inputs, cell->neurons) &
           synapses_fit(&cell->recurrent, cell->neurons, cell->neurons);
}

size_t ltc_scratch(const ltc *cell)
{
    const size_t sensory = cell->sensory.count;
    const size_t recurrent = cell->recurrent.count;
    return (6 * cell->neurons) + (2 * ((sensory > recurrent) ? sensory : recurrent));
}

typedef struct { /* on one neuron */
    double conductance;
    double current;
} pull;

/* ``current`` and ``weight`` of open synapses, and in ``current`` the values at their sources before. */
FOUR_AT_A_TIME static void open_synapses(const synapses *held, double current[restrict], double weight[restrict])
{
    for (size_t e = 0; e < held->count; e++) {
        const double opening = sigmoid(limited((held->slope[e] * current[e]) + held->shift[e]));
        weight[e] = held->weight[e] * opening;
        current[e] = held->current[e] * opening;
    }
}

/* Pulls on all neurons: those ``held``, and those through the openings at ``values``. */
static void pull_all(const synapses *open, const pull held[restrict], size_t neurons, const double values[restrict],
                     double opened[restrict], pull pulled[restrict])
{
    double *current = opened;
    double *weight = &opened[open->count];
    for (size_t e = 0; e < open->count; e++) {
        current[e] = values[open->source[e]];
    }
    open_synapses(open, current, weight);
    int64_t e = 0;
    for (size_t i = 0; i < neurons; i++) {
        pull on = held[i];
        for (; e < open->end[i]; e++) {
            on.conductance += weight[e];
            on.current += current[e];
        }
        pulled[i] = on;
    }
}

/* The recurrent ones; 1 if one is NaN, and then no neuron may stay a number. */
static int pull_back(const ltc *cell, const pull held[], const double values[], double opened[], pull pulled[])
{
    pull_all(&cell->recurrent, held, cell->neurons, values, opened, pulled);
    int broken = 0;
    for (size_t i = 0; i < cell->neurons; i++) {
        broken |= (isnan(pulled[i].conductance) != 0) ? 1 : 0;
    }
    return broken;
}

static void fused_euler(const ltc *cell, const pull held[], double rate, double state[], pull pulled[],
                        double opened[])
{
    const int broken = pull_back(cell, held, state, opened, pulled);
    for (size_t i = 0; i < cell->neurons; i++) {
        const double inertia = cell->membranes[i].capacitance * rate;
        const double moved = ((inertia * state[i]) + pulled[i].current) / (inertia + pulled[i].conductance);
        state[i] = (broken != 0) ? (double)NAN : moved;
    }
}

/* ``state`` as it is a ``time`` [sub-steps] after ``start``, if what pulls does not change; ``elastance``: h/C. */
FOUR_AT_A_TIME static void relax_all(const double start[restrict], const double elastance[restrict],
                                     const pull pulled[restrict], double time, size_t count, double state[restrict])
{
    for (size_t i = 0; i < count; i++) {
        const decay e = decayed(limited(pulled[i].conductance * (time * elastance[i])));
        const double gone = (e.even * (1.0 - e.power)) - (e.odd * (1.0 + e.power)); /* 1 - e^-x = gone / below */
        const double below = e.even - e.odd;
        const double away = pulled[i].current - (pulled[i].conductance * start[i]);
        state[i] = start[i] + ((gone * away) / (below * pulled[i].conductance));
    }
}

/* The same with what pulls at ``state`` as it was. */
static void relax(const ltc *cell, const pull held[], const double start[], const double elastance[], double time,
                  double state[], pull pulled[], double opened[])
{
    const int broken = pull_back(cell, held, state, opened, pulled);
    relax_all(start, elastance, pulled, (broken != 0) ? (double)NAN : time, cell->neurons, state);
}

void ltc_step(const ltc *cell, const double inputs[], double state[], double rate, double scratch[])
{
    const size_t neurons = cell->neurons;
    pull *held = (pull *)scratch;
    pull *pulled = &held[neurons];
    double *start = &scratch[4 * neurons];
    double *elastance = &start[neurons]; /* of a sub-step */
    double *opened = &elastance[neurons];
    for (size_t i = 0; i < neurons; i++) {
        pulled[i] = (pull){cell->membranes[i].leak, cell->membranes[i].rest};
    }
    for (size_t i = 0; (cell->midpoint != 0) && (i < neurons); i++) {
        elastance[i] = 1.0 / (cell->membranes[i].capacitance * rate);
    }
    pull_all(&cell->sensory, pulled, neurons, inputs, opened, held);
    for (size_t k = 0; k < cell->substeps; k++) {
        if (cell->midpoint == 0) {
            fused_euler(cell, held, rate, state, pulled, opened);
        } else {
            memcpy(start, state, neurons * sizeof(double));
            relax(cell, held, start, elastance, 0.5, state, pulled, opened);
            relax(cell, held, start, elastance, 1.0, state, pulled, opened);
        }
    }
}

/* Closed-form continuous-time network (Hasani et al. 2022, Nature Machine Intelligence), layer by layer:

       x <- (1 - s) tanh(start) + s tanh(end),  s = sigmoid(rate time + offset)                                     */

int cfc_fits(const cfc *cell)
{
    int fit = 1;
    layer before = {0, 0};
    for (size_t k = 0; k < cell->layer_count; k++) {
        const layer *here = &cell->layers[k];
        fit &= (here->neurons >= before.neurons) & inside(here->neurons, cell->neurons + 1);
        fit &= (here->readings >= before.readings) & inside(here->readings, cell->reading_count + 1);
        before = *here;
    }
    for (size_t e = 0; e < cell->reading_count; e++) {
        fit &= inside(cell->readings[e].source, cell->inputs + cell->neurons);
        fit &= inside(cell->readings[e].target, cell->neurons);
    }
    return fit;
}

size_t cfc_scratch(const cfc *cell)
{
    return cell->inputs + ((1 + BRANCHES + 3) * cell->neurons);
}

void cfc_step(const cfc *cell, const double inputs[], double state[], double time, double scratch[])
{
    const size_t known = cell->inputs + cell->neurons;
    double *values = scratch;
    double *neurons = &values[cell->inputs];
    double(*maps)[BRANCHES] = (double(*)[BRANCHES]) & values[known];
    double *opening = &values[known + (BRANCHES * cell->neurons)];
    memcpy(values, inputs, cell->inputs * sizeof(double));
    memcpy(neurons, state, cell->neurons * sizeof(double));
    memcpy(maps, cell->bias, cell->neurons * sizeof(*maps));
    int64_t e = 0;
    int64_t first = 0;
    for (size_t k = 0; k < cell->layer_count; k++) {
        int broken = 0;
        for (size_t i = 0; i < known; i++) {
            broken |= (isfinite(values[i]) != 0) ? 0 : 1;
        }
        for (; e < cell->layers[k].readings; e++) {
            const reading *r = &cell->readings[e];
            for (int b = 0; b < BRANCHES; b++) {
                maps[r->target][b] += r->weight[b] * values[r->source];
            }
        }
        const int64_t last = cell->layers[k].neurons;
        const size_t count = (size_t)(last - first);
        for (int64_t i = first; i < last; i++) {
            double *o = &opening[3 * (i - first)];
            o[0] = 2.0 * maps[i][0]; /* tanh(x) = 2 sigmoid(2x) - 1 */
            o[1] = 2.0 * maps[i][1];
            o[2] = (maps[i][2] * time) + maps[i][3];
        }
        open_all(opening, 3 * count);
        for (int64_t i = first; i < last; i++) { /* only now: neurons of one layer read each other as they were */
            const double *o = &opening[3 * (i - first)];
            neurons[i] = (broken != 0) ? (double)NAN : (2.0 * (o[0] + (o[2] * (o[1] - o[0])))) - 1.0;
        }
        first = last;
    }
    memcpy(state, neurons, cell->neurons * sizeof(double));
}
