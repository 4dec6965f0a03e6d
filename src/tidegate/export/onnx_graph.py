# SPDX-License-Identifier: Apache-2.0
"""What is around the backbone as ONNX graphs: the image before it, the liquid neurons after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tidegate.export.network import Network
from tidegate.perception.export import OPSET

Value = str
"""Name of a tensor in a graph."""


class Graph:
    """Nodes and constants as they are added; names are made up where nobody asks for one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[Value, NDArray[Any]] = {}

    def __call__(self, operator: str, *inputs: Value, output: Value = "", **attributes: Any) -> Value:
        """Add a node with one output."""
        made = output or f"{self._name}/{operator.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [made], **attributes))
        return made

    def constant(self, value: Any) -> Value:
        """Add a constant; what is no integer is float32."""
        array = np.asarray(value)
        made = f"{self._name}/constant{len(self._constants)}"
        self._constants[made] = array if array.dtype == np.int64 else array.astype(np.float32)
        return made

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """All of it, of the same versions as the backbone."""
        constants = [numpy_helper.from_array(array, name) for name, array in self._constants.items()]
        graph = helper.make_graph(self._nodes, self._name, inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="tidegate")
        model.ir_version = 8
        return model


def camera_model(network: Network) -> onnx.ModelProto:
    """``image`` (H, W, 3) uint8 → ``pixels`` (1, 3, h, w), as ``perception.image.prepare`` makes them."""
    add, arrays = Graph("camera"), network.arrays
    channels = add("Transpose", add("Cast", "image", to=TensorProto.FLOAT), perm=[2, 0, 1])
    small = add("MatMul", add("MatMul", add.constant(arrays["rows"]), channels), add.constant(arrays["columns"].T))
    unit = add("Sub", add("Mul", add("Round", small), add.constant(1 / 127.5)), add.constant(1.0))
    add("Unsqueeze", unit, add.constant(np.array([0])), output="pixels")
    image, size = network.facts["image"], network.facts["input"]
    return add.model(
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [image["height"], image["width"], 3])],
        [floats("pixels", 1, 3, size["height"], size["width"])],
    )


def policy_model(network: Network) -> onnx.ModelProto:
    """Features, lane and its scale, each (1, …), speed, dt and neurons → all outputs of the export."""
    add, facts, arrays = Graph("policy"), network.facts, network.arrays
    known = add(
        "And", add("Greater", "dt", add.constant(0.0)), add("LessOrEqual", "dt", add.constant(facts["dt_max_s"]))
    )
    dt = add("Where", known, "dt", add.constant(facts["period_s"]))
    before = add("Where", known, "neurons", add.constant(0.0))
    flat, single = add.constant(np.array([-1])), add.constant(np.array([1]))
    values = add("Concat", add("Reshape", "features", flat), add("Reshape", "speed", single), axis=0)
    inputs = add("Add", add("Mul", values, add.constant(arrays["input_weight"])), add.constant(arrays["input_bias"]))
    after = (_ltc if facts["cell"] == "ltc" else _cfc)(add, network, inputs, before, dt)
    all_of = add("Concat", values, after, axis=0)  # finite values may be too large for their sums
    nothing = add("ReduceSum", add("Mul", all_of, add.constant(0.0)), keepdims=0)  # NaN where one is not finite
    finite = add("Equal", nothing, add.constant(0.0))
    after = add("Where", finite, after, before, output="next_neurons")
    inter, command, motor = facts["neurons"].values()
    heard = add("Gather", after, add.constant(np.arange(inter + command, inter + command + motor)))
    asked = add("Add", add("Mul", heard, add.constant(arrays["output_weight"])), add.constant(arrays["output_bias"]))
    asked = add("Where", finite, asked, add.constant(np.nan))
    add("Gather", asked, add.constant(np.array(0)), output="drive_force")
    add("Gather", asked, add.constant(np.array(1)), output="path_curvature")
    decided = add("Gather", after, add.constant(np.arange(inter, inter + command)))
    share = add("MatMul", decided, add.constant(arrays["gain_weight"]))
    share = add("Sigmoid", add("Add", share, add.constant(arrays["gain_bias"])))
    span = add("Mul", share, add.constant(facts["gain_high"] - facts["gain_low"]))
    add("Add", span, add.constant(facts["gain_low"]), output="gains")
    add("Reshape", "lane_value", flat, output="lane")
    scale = add("Add", add("Reshape", "lane_scale", flat), add.constant(arrays["lane_added"]))
    add("Mul", scale, add.constant(arrays["lane_factor"]), output="lane_bound")
    count, lane = inter + command + motor, len(facts["lane_names"])
    return add.model(
        [
            floats("features", 1, facts["features"]),
            floats("lane_value", 1, lane),
            floats("lane_scale", 1, lane),
            floats("speed"),
            floats("dt"),
            floats("neurons", count),
        ],
        [
            floats("drive_force"),
            floats("path_curvature"),
            floats("gains", len(facts["gain_names"])),
            floats("lane", lane),
            floats("lane_bound", lane),
            floats("next_neurons", count),
        ],
    )


def floats(name: Value, *shape: int) -> onnx.ValueInfoProto:
    """A float32 input or output."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _ltc(add: Graph, network: Network, inputs: Value, neurons: Value, dt: Value) -> Value:
    """The sub-steps of ``liquid.live.LtcStep``, one after the other."""
    arrays = network.arrays
    held, held_total = _currents(add, network, "sensory", inputs)
    inertia = add("Div", add.constant(arrays["inertia"]), dt)
    held = add("Add", held, add.constant(arrays["rest"]))
    held_total = add("Add", held_total, add.constant(arrays["leak"]))
    if network.facts["solver"] == "exponential_midpoint":
        return _midpoints(add, network, held, held_total, inertia, neurons)
    held_total = add("Add", held_total, inertia)
    for _ in range(network.facts["substeps"]):
        current, total = _currents(add, network, "recurrent", neurons)
        top = add("Add", add("Add", add("Mul", inertia, neurons), held), current)
        neurons = add("Div", top, add("Add", held_total, total))
    return neurons


def _midpoints(add: Graph, network: Network, held: Value, held_total: Value, inertia: Value, neurons: Value) -> Value:
    """The same by the exponential midpoint rule: each half a sub-step, then all of it with what pulled there."""
    one = add.constant(1.0)
    for _ in range(network.facts["substeps"]):
        start = neurons
        for share in (0.5, 1.0):
            current, total = _currents(add, network, "recurrent", neurons)
            conductance = add("Add", held_total, total)
            away = add("Sub", add("Div", add("Add", held, current), conductance), start)
            left = add("Exp", add("Mul", add.constant(-share), add("Div", conductance, inertia)))
            neurons = add("Add", start, add("Mul", add("Sub", one, left), away))
    return neurons


def _currents(add: Graph, network: Network, kind: str, values: Value) -> tuple[Value, Value]:
    """Sums over each neuron's synapses: weight · reversal potential · opening, and weight · opening, (N,)."""
    slope, shift, source, target, weight, current = (
        network.arrays[f"{kind}_{name}"] for name in ("slope", "shift", "source", "target", "weight", "current")
    )
    heard = add("Gather", values, add.constant(source))
    opening = add("Sigmoid", add("Add", add("Mul", heard, add.constant(slope)), add.constant(shift)))
    reaches = np.equal.outer(target, np.arange(len(network.arrays["leak"])))  # (E, N)
    return (
        add("MatMul", opening, add.constant(reaches * current[:, None])),
        add("MatMul", opening, add.constant(reaches * weight[:, None])),
    )


def _cfc(add: Graph, network: Network, inputs: Value, neurons: Value, dt: Value) -> Value:
    """The closed-form step of ``liquid.live.CfcStep``, layer by layer."""
    weight, bias, source, target = (network.arrays[name] for name in ("weight", "bias", "source", "target"))
    first, layers = 0, list(network.facts["neurons"].values())
    for size in layers:
        own = np.arange(first, first + size)
        read = add("Gather", add("Concat", inputs, neurons, axis=0), add.constant(source))
        reaches = np.equal.outer(target, own)  # (E, n)
        start, end, rate, offset = (
            add("Add", add("MatMul", read, add.constant(reaches * w[:, None])), add.constant(b[own]))
            for w, b in zip(weight, bias, strict=True)
        )
        gate = add("Sigmoid", add("Add", add("Mul", rate, dt), offset))
        start, end = add("Tanh", start), add("Tanh", end)
        made = add("Add", start, add("Mul", gate, add("Sub", end, start)))
        parts = [np.arange(first), np.arange(first + size, sum(layers))]
        low, high = (add("Gather", neurons, add.constant(part)) for part in parts)
        neurons = add("Concat", low, made, high, axis=0)
        first += size
    return neurons
