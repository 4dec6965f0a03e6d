/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from standard input (speed, dt, image), outputs to standard output (command, gains, lane, bounds, neurons). */
#include <stdio.h>

#include "tidegate.h"

static tidegate_workspace workspace;
static uint8_t image[TIDEGATE_IMAGE];

int main(void)
{
    float neurons[TIDEGATE_NEURONS] = {0.0F};
    float given[2];
    while (fread(given, sizeof(float), 2U, stdin) == 2U) {
        tidegate_percept percept;
        tidegate_decision decision;
        if (fread(image, 1U, sizeof(image), stdin) != sizeof(image)) {
            return 1;
        }
        tidegate_see(image, &workspace, &percept);
        tidegate_decide(percept.features, given[0], given[1], neurons, &decision);
        (void)fwrite(&decision.drive_force, sizeof(float), 1U, stdout);
        (void)fwrite(&decision.path_curvature, sizeof(float), 1U, stdout);
        (void)fwrite(decision.gains, sizeof(float), TIDEGATE_GAINS, stdout);
        (void)fwrite(percept.lane, sizeof(float), TIDEGATE_LANE, stdout);
        (void)fwrite(percept.lane_bound, sizeof(float), TIDEGATE_LANE, stdout);
        (void)fwrite(neurons, sizeof(float), TIDEGATE_NEURONS, stdout);
    }
    return 0;
}
