# SPDX-License-Identifier: Apache-2.0
"""A bundle as plain arrays and facts, constants folded: what every target of an export is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import ExportError, ImageError
from tidegate.export.cell import fold_cell
from tidegate.export.resize import area_weights
from tidegate.liquid.wiring import Wiring
from tidegate.perception.export import backbone_weights, export_backbone
from tidegate.perception.image import crop_rows
from tidegate.perception.lane import SCALE_ADDED
from tidegate.perception.layout import CONVS, LOG_SCALE_LIMIT, lane_values
from tidegate.settings import Settings

OPERATORS = {"Conv", "Relu", "ReduceMean", "Concat", "Flatten", "Gemm", "Split", "Mul", "Clip", "Exp"}


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """All that turns a frame into a command.

    Attributes:
        facts: what JSON can hold: names, sizes, units, times [s].
        arrays: float32 and int64, by name. ``rows`` (h, H) and ``columns`` (w, W) crop and average the image;
            ``convs.0.weight``… and the dense layers as in ``Backbone``; ``lane_*`` (2 + K,) unit, constant and
            conformal factor of the bound; ``input_*`` (I,), ``output_*`` (2,), ``gain_*`` scaled to SI units; the
            cell's own.
    """

    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, bundle: Bundle, settings: Settings) -> Network:
        """Fold ``bundle``; the camera and the longest step are those of ``settings``.

        Raises:
            ExportError: a cell that is not known, an image smaller than the network's input, or a backbone that is
                not the usual chain.
            KeyError, ValueError, IndexError: arrays are missing or do not fit the wiring.
        """
        wiring, policy = Wiring.from_dict(bundle.wiring), bundle.policy
        arrays = bundle.part("liquid")
        speed = np.ones(wiring.inputs)
        speed[-1] = 1 / policy.speed_scale
        command = np.array([policy.acceleration_scale * bundle.mass_kg, policy.curvature_scale])
        unit = np.array(lane_values(bundle.perception))
        folded = {
            **_image(bundle, settings),
            **_backbone(bundle),
            "lane_unit": unit,
            "lane_added": unit * SCALE_ADDED,
            "lane_factor": np.array(bundle.conformal or [np.inf] * len(unit)),
            "input_weight": arrays["input_weight"] * speed,
            "input_bias": arrays["input_bias"],
            "output_weight": arrays["output_weight"] * command,
            "output_bias": arrays["output_bias"] * command,
            "gain_weight": arrays["gain_weight"],
            "gain_bias": arrays["gain_bias"],
            **fold_cell(bundle, wiring),
        }
        return cls(_facts(bundle, settings, wiring, command, unit), {k: _single(v) for k, v in folded.items()})


def _single(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, None if array.dtype == np.int64 else np.float32)


def _facts(
    bundle: Bundle, settings: Settings, wiring: Wiring, command: NDArray[Any], unit: NDArray[Any]
) -> dict[str, Any]:
    policy, camera = bundle.policy, settings.camera
    span = policy.gain_high - policy.gain_low
    ahead = [f"lane_curvature at {distance:g} m [1/m]" for distance in bundle.perception.preview_m]
    lane = ["lane_offset [m]", "lane_heading [rad]", *ahead]
    return {
        "name": bundle.name,
        "robot": bundle.robot,
        "mass_kg": bundle.mass_kg,
        "cell": policy.cell,
        **({"solver": policy.solver} if policy.cell == "ltc" else {}),
        "substeps": policy.substeps,
        "image": {"height": camera.height, "width": camera.width, "layout": "rows from the top, RGB, uint8"},
        "input": {"height": bundle.perception.input_height, "width": bundle.perception.input_width},
        "features": bundle.perception.features,
        "neurons": wiring.sizes,
        "strides": [conv.stride for conv in CONVS],
        "log_scale_limit": LOG_SCALE_LIMIT,
        "period_s": 1 / camera.rate_hz,
        "dt_max_s": settings.policy.dt_max_s,
        "gain_low": policy.gain_low,
        "gain_high": policy.gain_high,
        "gain_names": list(policy.gain_names),
        "lane_names": lane,
        "outputs": [
            "drive_force [N]",
            "path_curvature [1/m]",
            *(f"gain of '{name}' [1/s]" for name in policy.gain_names),
            *lane,
            *(f"error bound of {name}" for name in lane),
        ],
        "full_scale": [*command.tolist(), *[span] * len(policy.gain_names), *unit.tolist(), *unit.tolist()],
        "wiring": bundle.wiring,
    }


def _image(bundle: Bundle, settings: Settings) -> dict[str, NDArray[Any]]:
    """Weights by which rows and columns of the camera's image make those of the network's input."""
    shape, camera = bundle.perception, settings.camera
    try:
        top, bottom = crop_rows(camera.height, shape)
    except ImageError as error:
        raise ExportError(f"bundle '{bundle.name}': {error}") from error
    if bottom - top < shape.input_height or camera.width < shape.input_width:
        raise ExportError(
            f"bundle '{bundle.name}': reads {shape.input_width} × {shape.input_height} px; the cropped image of "
            f"the camera is {camera.width} × {bottom - top} px and must not be smaller"
        )
    rows = np.zeros((shape.input_height, camera.height))
    rows[:, top:bottom] = area_weights(bottom - top, shape.input_height)
    return {"rows": rows, "columns": area_weights(camera.width, shape.input_width)}


def _backbone(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """Weights of the convolutional network, if it is the chain that ``export_backbone`` writes."""
    nodes = list(onnx.load_from_string(bundle.backbone).graph.node)
    for node in nodes:
        if node.op_type not in OPERATORS:
            raise ExportError(
                f"bundle '{bundle.name}': its backbone has the operator '{node.op_type}'; exported are "
                f"{', '.join(sorted(OPERATORS))}"
            )
    weights = backbone_weights(bundle.backbone)
    try:
        usual = list(onnx.load_from_string(export_backbone(weights, bundle.perception)).graph.node)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"bundle '{bundle.name}': its backbone lacks a layer of the usual chain ({error})") from error
    for place, (found, expected) in enumerate(zip(nodes, usual, strict=False)):
        if found != expected:
            raise ExportError(
                f"bundle '{bundle.name}': node {place} of its backbone is '{found.op_type}' of "
                f"{', '.join(found.input)}; exported is the usual chain, with '{expected.op_type}' of "
                f"{', '.join(expected.input)} there"
            )
    return weights
