/* SPDX-License-Identifier: Apache-2.0 */
/* The liquid cells, one sample at a time, in double precision; sizes and parameters are known at run time.

   Strict C99, to be compiled without fast-math and without contraction: the same operations in the same order on every
   processor, so the same bits wherever doubles are IEEE 754. A source that is NaN, of a closed form an infinite one too,
   makes all neurons NaN, as in live.py's dense products: a broken network commands nothing. */
#ifndef TIDEGATE_CELLS_H
#define TIDEGATE_CELLS_H

#include <stddef.h>
#include <stdint.h>

#define LAYOUT 2 /* of what follows, as compiled.py fills it: another number with each change */

#define BRANCHES 4 /* affine maps of the closed form: its two ends, the rate of its gate and the gate's offset */

typedef struct { /* opening = sigmoid(slope * values[source] + shift), column by column, by target */
    size_t count;
    const int64_t *end; /* [neurons]: those of neuron i come before it */
    const int64_t *source;
    const double *slope;
    const double *shift;
    const double *weight;  /* conductance when open */
    const double *current; /* weight times reversal potential */
} synapses;

typedef struct {
    double capacitance; /* [s] */
    double leak;
    double rest; /* leak times resting potential */
} membrane;

typedef struct {
    size_t inputs;
    size_t neurons;
    size_t substeps;
    int midpoint; /* how a sub-step is solved: 1 exponential midpoint, 0 fused Euler */
    const membrane *membranes; /* [neurons] */
    synapses sensory;          /* from inputs */
    synapses recurrent;        /* from neurons */
} ltc;

typedef struct {
    int64_t source; /* inputs first, then neurons */
    int64_t target;
    double weight[BRANCHES];
} reading;

typedef struct { /* where it ends among the neurons, and among the readings */
    int64_t neurons;
    int64_t readings;
} layer;

typedef struct {
    size_t inputs;
    size_t neurons;
    size_t layer_count;
    size_t reading_count;
    const double (*bias)[BRANCHES]; /* [neurons] */
    const reading *readings;        /* by layer */
    const layer *layers;            /* one after the other */
} cfc;

/* 1 if every index lies inside and what must be in order is, else 0. */
int ltc_fits(const ltc *cell);
int cfc_fits(const cfc *cell);

/* Numbers that a step scribbles on. */
size_t ltc_scratch(const ltc *cell);
size_t cfc_scratch(const cfc *cell);

/* Moves ``state`` [neurons] with ``inputs`` [inputs] held; ``rate``: sub-steps per second of this step [1/s]. */
void ltc_step(const ltc *cell, const double inputs[], double state[], double rate, double scratch[]);

/* The same; ``time``: length of the step in the unit of the gate's clock. */
void cfc_step(const cfc *cell, const double inputs[], double state[], double time, double scratch[]);

#endif
