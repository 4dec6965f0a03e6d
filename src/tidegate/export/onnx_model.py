# SPDX-License-Identifier: Apache-2.0
"""The whole network as one ONNX model: image, speed, dt and neurons in; command, gains, lane and neurons out."""

from __future__ import annotations

import base64
import json

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import compose, helper

from tidegate.export.network import Network
from tidegate.export.onnx_graph import camera_model, policy_model
from tidegate.export.parity import Images, Parity, Step
from tidegate.records import Floats

OUTPUTS = ["drive_force", "path_curvature", "gains", "lane", "lane_bound", "next_neurons"]


def export_onnx(network: Network, backbone: bytes, parity: Parity) -> bytes:
    """Serialise the network; its metadata ``tidegate`` holds the facts, ``parity`` inputs and outputs, both as JSON.

    Inputs: ``image`` (H, W, 3) uint8 RGB; ``speed`` () [m/s]; ``dt`` () [s] since the last frame with a finite
    command, 0 for the first; ``neurons`` (N,). Outputs: ``drive_force`` () [N] and ``path_curvature`` () [1/m], NaN =
    not commanded; ``gains`` (G,) [1/s]; ``lane`` and ``lane_bound`` (2 + K,); ``next_neurons`` (N,).

    Args:
        network: the bundle, folded.
        backbone: its convolutional network, as the bundle holds it.
        parity: what goes along.
    """
    seen = compose.merge_models(
        camera_model(network),
        compose.add_prefix(onnx.load_from_string(backbone), "backbone/"),
        [("pixels", "backbone/image")],
        outputs=["backbone/features", "backbone/lane", "backbone/lane_scale"],
    )
    wires = [("features", "features"), ("lane", "lane_value"), ("lane_scale", "lane_scale")]
    model = compose.merge_models(seen, policy_model(network), [(f"backbone/{made}", taken) for made, taken in wires])
    vectors = {
        "images": base64.b64encode(parity.images.tobytes()).decode(),
        "speed": parity.speed.tolist(),
        "dt": parity.dt.tolist(),
        "outputs": [[f"{value:.9g}" for value in row] for row in parity.outputs],
    }
    helper.set_model_props(model, {"tidegate": json.dumps(network.facts), "parity": json.dumps(vectors)})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def onnx_step(model: bytes) -> Step:
    """An exported model under onnxruntime."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def step(
        image: Images, speed: float, dt: float, neurons: NDArray[np.float32]
    ) -> tuple[Floats, NDArray[np.float32]]:
        scalars = {"speed": np.array(speed, np.float32), "dt": np.array(dt, np.float32)}
        *outputs, after = session.run(OUTPUTS, {"image": image, "neurons": neurons, **scalars})
        return np.hstack(outputs).astype(np.float64), after

    return step
