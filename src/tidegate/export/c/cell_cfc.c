/* SPDX-License-Identifier: Apache-2.0 */
/* Closed-form continuous-time network (Hasani et al. 2022, Nature Machine Intelligence), layer by layer:

       x <- (1 - s) tanh(start) + s tanh(end),  s = sigmoid(rate dt + offset)                                       */
#include "cell.h"
#include "liquid.h"

void tidegate_cell_step(const float inputs[TIDEGATE_INPUTS], float neurons[TIDEGATE_NEURONS], float dt)
{
    int e = 0;
    int first = 0;
    const int layers[3] = {TIDEGATE_INTER, TIDEGATE_COMMAND, TIDEGATE_MOTOR};
    for (int layer = 0; layer < 3; layer++) {
        const int last = first + layers[layer];
        float moved[TIDEGATE_NEURONS];
        for (int i = first; i < last; i++) {
            tidegate_branches sum = tidegate_bias[i];
            while ((e < TIDEGATE_READS) && ((int)tidegate_reads[e].target == i)) {
                const tidegate_read *r = &tidegate_reads[e];
                const int source = (int)r->source;
                const float value = (source < TIDEGATE_INPUTS) ? inputs[source] : neurons[source - TIDEGATE_INPUTS];
                sum.start += r->weight.start * value;
                sum.end += r->weight.end * value;
                sum.rate += r->weight.rate * value;
                sum.offset += r->weight.offset * value;
                e++;
            }
            const float gate = tidegate_sigmoid((sum.rate * dt) + sum.offset);
            moved[i] = ((1.0F - gate) * tanhf(sum.start)) + (gate * tanhf(sum.end));
        }
        for (int i = first; i < last; i++) {
            neurons[i] = moved[i]; /* only now: neurons of one layer read each other as they were */
        }
        first = last;
    }
}
