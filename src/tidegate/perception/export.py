# SPDX-License-Identifier: Apache-2.0
"""The trained backbone as an ONNX model, written node by node from its weights; and its weights back out of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tidegate.perception.layout import CONVS, LOG_SCALE_LIMIT, SIGNATURE_CONVS, lane_values
from tidegate.settings.perception import PerceptionSettings

OPSET = 17


def export_backbone(weights: Mapping[str, NDArray[Any]], settings: PerceptionSettings) -> bytes:
    """Serialise the backbone.

    Input ``image`` (1, 3, h, w). Outputs ``features`` (1, F); ``lane`` and ``lane_scale`` (1, 2 + K) in SI units;
    ``signature`` (1, S) as ``Backbone.signature``; and ``map0``… (1, 1, h', w'), the mean over channels of each
    convolution, which saliency asks for.

    Args:
        weights: state dictionary of ``backbone.Backbone`` as arrays.
        settings: those it was trained with.
    """
    scale = np.array(lane_values(settings), np.float32)
    constants: dict[str, Any] = {name: np.asarray(array, np.float32) for name, array in weights.items()}
    constants |= {"unit": scale, "low": np.float32(-LOG_SCALE_LIMIT), "high": np.float32(LOG_SCALE_LIMIT)}
    nodes, last = [], "image"
    for index, conv in enumerate(CONVS):
        wires = [last, f"convs.{index}.weight", f"convs.{index}.bias"]
        half = conv.kernel // 2
        nodes.append(helper.make_node("Conv", wires, [f"conv{index}"], pads=[half] * 4, strides=[conv.stride] * 2))
        last = f"relu{index}"
        nodes.append(helper.make_node("Relu", [f"conv{index}"], [last]))
        nodes.append(helper.make_node("ReduceMean", [last], [f"map{index}"], axes=[1], keepdims=1))

    def dense(source: str, name: str, target: str) -> onnx.NodeProto:
        return helper.make_node("Gemm", [source, f"{name}.weight", f"{name}.bias"], [target], transB=1)

    for index in range(len(SIGNATURE_CONVS)):
        nodes.append(helper.make_node("ReduceMean", [f"relu{index}"], [f"mean{index}"], axes=[2, 3], keepdims=0))
    nodes += [
        helper.make_node("Concat", [f"mean{index}" for index in range(len(SIGNATURE_CONVS))], ["signature"], axis=1),
        helper.make_node("Flatten", [last], ["flat"]),
        dense("flat", "hidden", "dense"),
        helper.make_node("Relu", ["dense"], ["code"]),
        dense("code", "features", "features"),
        dense("code", "lane", "head"),
        helper.make_node("Split", ["head"], ["value", "log_scale"], axis=1),
        helper.make_node("Mul", ["value", "unit"], ["lane"]),
        helper.make_node("Clip", ["log_scale", "low", "high"], ["clipped"]),
        helper.make_node("Exp", ["clipped"], ["relative"]),
        helper.make_node("Mul", ["relative", "unit"], ["lane_scale"]),
    ]
    graph = helper.make_graph(
        nodes,
        "backbone",
        [_value("image", [1, 3, settings.input_height, settings.input_width])],
        [
            _value("features", [1, settings.features]),
            _value("lane", [1, len(scale)]),
            _value("lane_scale", [1, len(scale)]),
            _value("signature", [1, sum(conv.channels for conv in SIGNATURE_CONVS)]),
            *(_value(f"map{index}", [1, 1, None, None]) for index in range(len(CONVS))),
        ],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="tidegate")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def backbone_weights(model: bytes) -> dict[str, NDArray[Any]]:
    """The state dictionary that ``export_backbone`` was given."""
    arrays = {item.name: numpy_helper.to_array(item) for item in onnx.load_from_string(model).graph.initializer}
    return {name: array for name, array in arrays.items() if name.endswith((".weight", ".bias"))}


def _value(name: str, shape: list[int | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
