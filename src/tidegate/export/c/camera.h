/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of the camera part. */
#ifndef TIDEGATE_CAMERA_H
#define TIDEGATE_CAMERA_H

#include <stdint.h>

#include "sizes.h"

#define TIDEGATE_BLOCK 8 /* channels computed at a time; maps are filled up with zeros to whole blocks */

/* A convolution with zeros around its input; a dense layer is one with a kernel of 1 on a map of 1 x 1. */
typedef struct {
    int in_height;
    int in_width;
    int in_channels;
    int height;
    int width;
    int channels;
    int kernel;
    int stride;
    int rectified;
    const float *weight; /* [channels / BLOCK][kernel][kernel][in_channels][BLOCK] */
    const float *bias;   /* [channels] */
} tidegate_conv;

extern const tidegate_conv tidegate_convs[TIDEGATE_CONVS]; /* the hidden layer is the last one */
extern const tidegate_conv tidegate_features;
extern const tidegate_conv tidegate_lane;
extern const float tidegate_lane_unit[TIDEGATE_LANE];
extern const float tidegate_lane_added[TIDEGATE_LANE];
extern const float tidegate_lane_factor[TIDEGATE_LANE];

/* Share of each image row (column) in a row (column) of the input, from the first that has one. */
extern const uint16_t tidegate_row_first[TIDEGATE_INPUT_HEIGHT];
extern const float tidegate_row_share[TIDEGATE_INPUT_HEIGHT][TIDEGATE_ROW_SPAN];
extern const uint16_t tidegate_column_first[TIDEGATE_INPUT_WIDTH];
extern const float tidegate_column_share[TIDEGATE_INPUT_WIDTH][TIDEGATE_COLUMN_SPAN];

#endif
