/* SPDX-License-Identifier: Apache-2.0 */
/* As many calls of tidegate_see and of tidegate_decide as the two arguments say, and nothing else. */
#include <stdlib.h>

#include "parity.h"
#include "tidegate.h"

static tidegate_workspace workspace;

int main(int count, char **arguments)
{
    if (count != 3) {
        return 2;
    }
    const long looks = strtol(arguments[1], NULL, 10);
    const long decisions = strtol(arguments[2], NULL, 10);
    float neurons[TIDEGATE_NEURONS] = {0.0F};
    tidegate_percept percept = {{0.0F}, {0.0F}, {0.0F}};
    tidegate_decision decision;
    for (long i = 0; i < looks; i++) {
        tidegate_see(parity_images[i % PARITY_FRAMES], &workspace, &percept);
    }
    for (long i = 0; i < decisions; i++) {
        tidegate_decide(percept.features, parity_speed[i % PARITY_FRAMES], TIDEGATE_PERIOD, neurons, &decision);
    }
    return 0;
}
