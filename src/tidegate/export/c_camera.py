# SPDX-License-Identifier: Apache-2.0
"""The convolutional network's weights in the order in which ``c/camera.c`` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.export.c_source import literal, table
from tidegate.export.network import Network

BLOCK = 8
"""TIDEGATE_BLOCK of ``c/camera.h``."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution: ``before`` and ``after`` (h, w, c) of its maps, ``weight`` (O, I, k, k), ``bias`` (O,)."""

    name: str
    before: tuple[int, int, int]
    after: tuple[int, int, int]
    weight: NDArray[Any]
    bias: NDArray[Any]
    stride: int
    rectified: bool

    def structure(self) -> str:
        """Its ``tidegate_conv``."""
        numbers = [*self.before, *self.after, self.weight.shape[2], self.stride, int(self.rectified)]
        return "{" + ", ".join(map(str, numbers)) + f", {self.name}_weight, {self.name}_bias}}"

    def arrays(self) -> str:
        """Weights and biases."""
        channels, inputs = self.after[2], self.before[2]
        filled = np.zeros((channels, inputs, *self.weight.shape[2:]), np.float32)
        filled[: self.weight.shape[0], : self.weight.shape[1]] = self.weight
        blocks = filled.reshape(channels // BLOCK, BLOCK, *filled.shape[1:]).transpose(0, 3, 4, 2, 1)
        bias = np.zeros(channels, np.float32)
        bias[: len(self.bias)] = self.bias
        kept = (("weight", blocks.reshape(-1)), ("bias", bias))
        return "\n".join(table("float", f"{self.name}_{name}", array, "static ") for name, array in kept)


def camera_sizes(network: Network) -> dict[str, int | str]:
    """Constants of the camera part."""
    layers, size, arrays = layers_of(network), network.facts["input"], network.arrays
    return {
        "INPUT_HEIGHT": size["height"],
        "INPUT_WIDTH": size["width"],
        "ROW_SPAN": _shares(arrays["rows"])[1].shape[1],
        "COLUMN_SPAN": _shares(arrays["columns"])[1].shape[1],
        "CONVS": len(layers) - 2,
        "MAP": workspace_map(network),
        "LOG_SCALE": literal(network.facts["log_scale_limit"]),
    }


def workspace_map(network: Network) -> int:
    """Floats in the largest map, the network's input included."""
    return max(int(np.prod(shape)) for layer in layers_of(network) for shape in (layer.before, layer.after))


def camera_weights(network: Network) -> str:
    """Source of all constants that ``camera.h`` declares."""
    layers, arrays = layers_of(network), network.arrays
    *convs, features, lane = layers
    listed = ",\n    ".join(layer.structure() for layer in convs)
    parts = [layer.arrays() for layer in layers]
    parts += [
        f"const tidegate_conv tidegate_convs[TIDEGATE_CONVS] = {{\n    {listed}\n}};\n",
        f"const tidegate_conv tidegate_features = {features.structure()};\n",
        f"const tidegate_conv tidegate_lane = {lane.structure()};\n",
        *(table("float", f"tidegate_{name}", arrays[name]) for name in ("lane_unit", "lane_added", "lane_factor")),
    ]
    for name, key in (("row", "rows"), ("column", "columns")):
        first, share = _shares(arrays[key])
        parts.append(table("uint16_t", f"tidegate_{name}_first", first))
        parts.append(table("float", f"tidegate_{name}_share", share))
    return "\n".join(["/* Weights of the camera part. */", '#include "camera.h"', "", "#include <math.h>", "", *parts])


def layers_of(network: Network) -> list[Layer]:
    """Convolutions, the hidden layer, features and lane head; a dense layer reads a map of 1 × 1."""
    arrays, size = network.arrays, network.facts["input"]
    before, layers = (size["height"], size["width"], 3), []
    for index, stride in enumerate(network.facts["strides"]):
        weight = arrays[f"convs.{index}.weight"]
        kernel = weight.shape[2]
        height, width = ((side + 2 * (kernel // 2) - kernel) // stride + 1 for side in before[:2])
        after = (height, width, _whole(len(weight)))
        layers.append(Layer(f"conv{index}", before, after, weight, arrays[f"convs.{index}.bias"], stride, True))
        before = after
    channels = len(layers[-1].bias)  # those that are there, without filling
    hidden = arrays["hidden.weight"].reshape(-1, channels, *before[:2])
    filled = np.zeros((len(hidden), before[2], *before[:2]), np.float32)
    filled[:, :channels] = hidden
    flat = filled.transpose(0, 2, 3, 1).reshape(len(hidden), -1)
    layers.append(_dense("hidden", flat, arrays["hidden.bias"], rectified=True))
    width = layers[-1].after[2]
    for name in ("features", "lane"):
        weight = arrays[f"{name}.weight"]
        layers.append(_dense(name, np.pad(weight, ((0, 0), (0, width - weight.shape[1]))), arrays[f"{name}.bias"]))
    return layers


def _dense(name: str, weight: NDArray[Any], bias: NDArray[Any], rectified: bool = False) -> Layer:
    outputs, inputs = weight.shape
    return Layer(name, (1, 1, inputs), (1, 1, _whole(outputs)), weight[:, :, None, None], bias, 1, rectified)


def _whole(channels: int) -> int:
    """``channels`` filled up to whole blocks."""
    return -(-channels // BLOCK) * BLOCK


def _shares(weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """First column with a share (R,) and the shares from there on (R, span) of a matrix (R, C) of averages."""
    found = weights > 0
    span = int(found.sum(axis=1).max())
    first = np.minimum(found.argmax(axis=1), weights.shape[1] - span)
    return first, np.take_along_axis(weights, first[:, None] + np.arange(span), axis=1)
