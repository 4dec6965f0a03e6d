/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the library with the outputs that tidegate's live path gave at the export; exit code 1 if they differ. */
#include <math.h>
#include <stdio.h>

#include "parity.h"
#include "tidegate.h"

static tidegate_workspace workspace;

static float share_off(float found, float expected, float full_scale)
{
    if (found == expected) {
        return 0.0F; /* infinite bounds too */
    }
    const float scale = isfinite(expected) ? fmaxf(full_scale, fabsf(expected)) : full_scale;
    return fabsf(found - expected) / scale;
}

int main(void)
{
    float neurons[TIDEGATE_NEURONS] = {0.0F};
    float worst = 0.0F;
    int right = 1;
    for (int t = 0; t < PARITY_FRAMES; t++) {
        tidegate_percept percept;
        tidegate_decision decision;
        tidegate_see(parity_images[t], &workspace, &percept);
        tidegate_decide(percept.features, parity_speed[t], parity_dt[t], neurons, &decision);
        float found[PARITY_OUTPUTS];
        int k = 0;
        found[k++] = decision.drive_force;
        found[k++] = decision.path_curvature;
        for (int i = 0; i < TIDEGATE_GAINS; i++) {
            found[k++] = decision.gains[i];
        }
        for (int i = 0; i < TIDEGATE_LANE; i++) {
            found[k + i] = percept.lane[i];
            found[k + TIDEGATE_LANE + i] = percept.lane_bound[i];
        }
        for (int i = 0; i < PARITY_OUTPUTS; i++) {
            const float off = share_off(found[i], parity_expected[t][i], parity_full_scale[i]);
            right = ((right != 0) && (off <= PARITY_TOLERANCE)) ? 1 : 0; /* false for NaN */
            worst = fmaxf(worst, off);
        }
    }
    (void)printf("differs from the live path by %.1e of full scale; allowed %.0e: %s\n", (double)worst,
                 (double)PARITY_TOLERANCE, (right != 0) ? "right" : "WRONG");
    return (right != 0) ? 0 : 1;
}
