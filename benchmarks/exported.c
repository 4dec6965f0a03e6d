/* SPDX-License-Identifier: Apache-2.0 */
/* Mean time [us] of tidegate_decide and of tidegate_see over as many calls as the two arguments say. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "parity.h"
#include "tidegate.h"

static tidegate_workspace workspace;

static double microseconds(clock_t start, long calls)
{
    return (double)(clock() - start) * 1e6 / (double)CLOCKS_PER_SEC / (double)calls;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        return 2;
    }
    const long decisions = strtol(arguments[1], NULL, 10);
    const long looks = strtol(arguments[2], NULL, 10);
    float neurons[TIDEGATE_NEURONS] = {0.0F};
    tidegate_percept percept;
    tidegate_decision decision;
    clock_t start = clock();
    for (long i = 0; i < looks; i++) {
        tidegate_see(parity_images[i % PARITY_FRAMES], &workspace, &percept);
    }
    const double look = microseconds(start, looks);
    start = clock();
    for (long i = 0; i < decisions; i++) {
        tidegate_decide(percept.features, parity_speed[i % PARITY_FRAMES], TIDEGATE_PERIOD, neurons, &decision);
    }
    (void)printf("%.17g %.17g\n", microseconds(start, decisions), look);
    return 0;
}
