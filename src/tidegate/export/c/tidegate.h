/* SPDX-License-Identifier: Apache-2.0 */
/* Camera frame and speed in, wanted command out. Nothing here allocates or remembers: the state is the caller's. */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stdint.h>

#include "sizes.h" /* sizes of this network, and the order of its vectors */

typedef struct {
    float features[TIDEGATE_FEATURES]; /* for tidegate_decide */
    float lane[TIDEGATE_LANE];         /* offset [m], heading [rad], curvatures [1/m] */
    float lane_bound[TIDEGATE_LANE];   /* of their errors, same units; infinite if not calibrated */
} tidegate_percept;

typedef struct {
    float drive_force;            /* [N], forward positive; NaN = not commanded */
    float path_curvature;         /* [1/m], left positive; NaN = not commanded */
    float gains[TIDEGATE_GAINS];  /* of the barriers [1/s] */
} tidegate_decision;

typedef struct {
    float maps[2][TIDEGATE_MAP]; /* contents do not matter between calls */
} tidegate_workspace;

/* image: rows from the top, TIDEGATE_WIDTH pixels each, red green blue. */
void tidegate_see(const uint8_t image[TIDEGATE_IMAGE], tidegate_workspace *workspace, tidegate_percept *percept);

/* speed: of the car [m/s]. dt: since the last frame with a finite command [s]; neurons: as that frame left them.
   At a dt of 0 (the first frame) or above TIDEGATE_DT_MAX the neurons start anew. A feature or speed that is not
   finite, or so large that a neuron would not be, leaves them alone. */
void tidegate_decide(const float features[TIDEGATE_FEATURES], float speed, float dt, float neurons[TIDEGATE_NEURONS],
                     tidegate_decision *decision);

#endif
