/* SPDX-License-Identifier: Apache-2.0 */
/* Time [ns] of each of as many calls of tidegate_decide as the argument says, one to a line. */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "parity.h"
#include "tidegate.h"

static tidegate_workspace workspace;

static long nanoseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec * 1000000000L) + now.tv_nsec;
}

int main(int count, char **arguments)
{
    if (count != 2) {
        return 2;
    }
    const long calls = strtol(arguments[1], NULL, 10);
    float neurons[TIDEGATE_NEURONS] = {0.0F};
    tidegate_percept percept;
    tidegate_decision decision;
    tidegate_see(parity_images[0], &workspace, &percept);
    for (long i = 0; i < calls; i++) {
        const long start = nanoseconds();
        tidegate_decide(percept.features, parity_speed[i % PARITY_FRAMES], TIDEGATE_PERIOD, neurons, &decision);
        (void)printf("%ld\n", nanoseconds() - start);
    }
    return 0;
}
