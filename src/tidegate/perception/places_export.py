# SPDX-License-Identifier: Apache-2.0
"""An arm's trained sight as an ONNX model, written node by node from its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tidegate.perception.export import OPSET
from tidegate.perception.layout import PLACE_CONVS, place_grid
from tidegate.settings.perception import PerceptionSettings


def export_places(
    weights: Mapping[str, NDArray[Any]], settings: PerceptionSettings, unit: NDArray[Any], zero: NDArray[Any]
) -> bytes:
    """Serialise the network: input ``image`` (1, 3, h, w), output ``features`` (1, V), as ``places.Places`` tells them.

    Args:
        weights: state dictionary of ``places.Places`` as arrays.
        settings: those it was trained with.
        unit, zero: (V,) what one and zero of its head mean.
    """
    constants: dict[str, Any] = {name: np.asarray(array, np.float32) for name, array in weights.items()}
    constants |= {"grid": place_grid(settings), "unit": unit, "zero": zero}
    maps = PLACE_CONVS[-1].channels
    shapes = {"flat_shape": [0, maps, -1], "row_shape": [0, maps]}
    nodes, last = [], "image"
    for index, conv in enumerate(PLACE_CONVS):
        wires, half = [last, f"convs.{index}.weight", f"convs.{index}.bias"], conv.kernel // 2
        nodes.append(helper.make_node("Conv", wires, [f"conv{index}"], pads=[half] * 4, strides=[conv.stride] * 2))
        last = f"relu{index}"
        nodes.append(helper.make_node("Relu", [f"conv{index}"], [last]))
    nodes.pop()  # the last maps may be below zero
    nodes += [
        helper.make_node("Reshape", [f"conv{len(PLACE_CONVS) - 1}", "flat_shape"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["share"], axis=2),
        helper.make_node("MatMul", ["share", "grid"], ["moments"]),
        helper.make_node("Split", ["moments"], ["x1", "y1", "square1"], axis=2),
        *(helper.make_node("Reshape", [f"{name}1", "row_shape"], [name]) for name in ("x", "y", "square")),
        helper.make_node("Mul", ["x", "x"], ["xx"]),
        helper.make_node("Mul", ["y", "y"], ["yy"]),
        helper.make_node("Sub", ["square", "xx"], ["less"]),
        helper.make_node("Sub", ["less", "yy"], ["spread"]),
        helper.make_node("Concat", ["x", "y", "spread"], ["seen"], axis=1),
        helper.make_node("Gemm", ["seen", "hidden.weight", "hidden.bias"], ["dense"], transB=1),
        helper.make_node("Relu", ["dense"], ["code"]),
        helper.make_node("Gemm", ["code", "head.weight", "head.bias"], ["value"], transB=1),
        helper.make_node("Mul", ["value", "unit"], ["scaled"]),
        helper.make_node("Add", ["scaled", "zero"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "places",
        [_value("image", [1, 3, settings.input_height, settings.input_width])],
        [_value("features", [1, len(unit)])],
        [
            *(numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants.items()),
            *(numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="tidegate")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _value(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
