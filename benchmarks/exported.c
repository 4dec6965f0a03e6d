/* SPDX-License-Identifier: Apache-2.0 */
/* Mean processor time [us] of tidegate_see over as many calls as the argument says. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "parity.h"
#include "tidegate.h"

static tidegate_workspace workspace;

int main(int count, char **arguments)
{
    if (count != 2) {
        return 2;
    }
    const long looks = strtol(arguments[1], NULL, 10);
    tidegate_percept percept;
    const clock_t start = clock();
    for (long i = 0; i < looks; i++) {
        tidegate_see(parity_images[i % PARITY_FRAMES], &workspace, &percept);
    }
    (void)printf("%.17g\n", (double)(clock() - start) * 1e6 / (double)CLOCKS_PER_SEC / (double)looks);
    return 0;
}
