/* SPDX-License-Identifier: Apache-2.0 */
/* Image to features and lane: crop and average over areas, convolutions, lane head. Maps are (row, column, channel). */
#include "camera.h"

#include <math.h>

#include "tidegate.h"

/* Averages of areas, rounded to whole levels, in [-1, 1]. */
static void shrink(const uint8_t image[TIDEGATE_IMAGE], float small[])
{
    for (int y = 0; y < TIDEGATE_INPUT_HEIGHT; y++) {
        for (int x = 0; x < TIDEGATE_INPUT_WIDTH; x++) {
            float sum[3] = {0.0F, 0.0F, 0.0F};
            for (int j = 0; j < TIDEGATE_ROW_SPAN; j++) {
                const int row = (int)tidegate_row_first[y] + j;
                const uint8_t *pixel = &image[((row * TIDEGATE_WIDTH) + (int)tidegate_column_first[x]) * 3];
                for (int i = 0; i < TIDEGATE_COLUMN_SPAN; i++) {
                    const float share = tidegate_row_share[y][j] * tidegate_column_share[x][i];
                    for (int c = 0; c < 3; c++) {
                        sum[c] += share * (float)pixel[(i * 3) + c];
                    }
                }
            }
            for (int c = 0; c < 3; c++) {
                small[(((y * TIDEGATE_INPUT_WIDTH) + x) * 3) + c] = (rintf(sum[c]) * (1.0F / 127.5F)) - 1.0F;
            }
        }
    }
}

/* One place of the output, TIDEGATE_BLOCK channels of it: what lies beyond the map's edge counts as zero. */
static void convolve_at(const tidegate_conv *conv, const float before[], const float weight[], int y, int x,
                        float sum[TIDEGATE_BLOCK])
{
    const int top = (y * conv->stride) - (conv->kernel / 2);
    const int left = (x * conv->stride) - (conv->kernel / 2);
    const int first = (left < 0) ? -left : 0;
    const int last = ((left + conv->kernel) > conv->in_width) ? (conv->in_width - left) : conv->kernel;
    const int length = (last - first) * conv->in_channels;
    for (int ky = 0; ky < conv->kernel; ky++) {
        if (((top + ky) >= 0) && ((top + ky) < conv->in_height)) {
            const float *in = &before[(((top + ky) * conv->in_width) + left + first) * conv->in_channels];
            const float *w = &weight[((ky * conv->kernel) + first) * conv->in_channels * TIDEGATE_BLOCK];
            for (int i = 0; i < length; i++) {
                for (int n = 0; n < TIDEGATE_BLOCK; n++) {
                    sum[n] += in[i] * w[(i * TIDEGATE_BLOCK) + n];
                }
            }
        }
    }
}

static void convolve(const tidegate_conv *conv, const float before[], float after[])
{
    const int size = conv->kernel * conv->kernel * conv->in_channels * TIDEGATE_BLOCK;
    for (int y = 0; y < conv->height; y++) {
        for (int x = 0; x < conv->width; x++) {
            float *out = &after[((y * conv->width) + x) * conv->channels];
            for (int block = 0; block < (conv->channels / TIDEGATE_BLOCK); block++) {
                float sum[TIDEGATE_BLOCK];
                for (int n = 0; n < TIDEGATE_BLOCK; n++) {
                    sum[n] = conv->bias[(block * TIDEGATE_BLOCK) + n];
                }
                convolve_at(conv, before, &conv->weight[block * size], y, x, sum);
                for (int n = 0; n < TIDEGATE_BLOCK; n++) {
                    out[(block * TIDEGATE_BLOCK) + n] = ((conv->rectified != 0) && (sum[n] < 0.0F)) ? 0.0F : sum[n];
                }
            }
        }
    }
}

void tidegate_see(const uint8_t image[TIDEGATE_IMAGE], tidegate_workspace *workspace, tidegate_percept *percept)
{
    float *before = workspace->maps[0];
    float *after = workspace->maps[1];
    shrink(image, before);
    for (int i = 0; i < TIDEGATE_CONVS; i++) {
        convolve(&tidegate_convs[i], before, after);
        float *const made = after;
        after = before;
        before = made;
    }
    convolve(&tidegate_features, before, after);
    for (int i = 0; i < TIDEGATE_FEATURES; i++) {
        percept->features[i] = after[i];
    }
    convolve(&tidegate_lane, before, after);
    for (int i = 0; i < TIDEGATE_LANE; i++) {
        const float limited = fmaxf(-TIDEGATE_LOG_SCALE, fminf(after[TIDEGATE_LANE + i], TIDEGATE_LOG_SCALE));
        const float scale = (expf(limited) * tidegate_lane_unit[i]) + tidegate_lane_added[i];
        percept->lane[i] = after[i] * tidegate_lane_unit[i];
        percept->lane_bound[i] = tidegate_lane_factor[i] * scale;
    }
}
