# SPDX-License-Identifier: Apache-2.0
"""The network as a C99 library: the hand-written sources in ``c/`` with sizes, weights and parity beside them."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np

from tidegate.export.c_camera import camera_sizes, camera_weights
from tidegate.export.c_source import defines, literal, table, wrapped
from tidegate.export.cell import Folded
from tidegate.export.network import Network
from tidegate.export.parity import Parity
from tidegate.export.standalone import TOLERANCE

SOURCES = ("tidegate.h", "liquid.h", "liquid.c", "camera.h", "camera.c", "check.c", "Makefile", "CMakeLists.txt")


def export_c(network: Network, parity: Parity) -> dict[str, str]:
    """Text of each file, by name.

    Args:
        network: the bundle, folded.
        parity: what ``make check`` compares with.
    """
    written = files("tidegate.export") / "c"
    cell = network.facts["cell"]
    source = f"cell_ltc_{network.facts['solver']}.c" if cell == "ltc" else "cell_cfc.c"
    return {
        **{name: (written / name).read_text("utf-8") for name in SOURCES},
        "cell.h": (written / f"cell_{cell}.h").read_text("utf-8"),
        "cell.c": (written / source).read_text("utf-8"),
        "sizes.h": _sizes(network),
        "liquid_weights.c": _liquid_weights(network),
        "camera_weights.c": camera_weights(network),
        "parity.h": _parity(network, parity),
        "network.json": json.dumps(network.facts, indent=1),
    }


def _sizes(network: Network) -> str:
    facts, arrays = network.facts, network.arrays
    features, neurons = facts["features"], facts["neurons"]
    groups = {
        f"Network '{facts['name']}' ({facts['cell'].upper()}) for robot '{facts['robot']}'. Its image:": {
            "HEIGHT": facts["image"]["height"],
            "WIDTH": facts["image"]["width"],
            "IMAGE": "(TIDEGATE_HEIGHT * TIDEGATE_WIDTH * 3)",
        },
        f"gains[]: {', '.join(facts['gain_names'])} [1/s]. lane[]: {', '.join(facts['lane_names'])}.": {
            "FEATURES": features,
            "GAINS": len(facts["gain_names"]),
            "LANE": len(facts["lane_names"]),
        },
        "neurons[]: inter, command, motor. The cell's inputs: features, speed.": {
            "INTER": neurons["inter"],
            "COMMAND": neurons["command"],
            "MOTOR": neurons["motor"],
            "NEURONS": "(TIDEGATE_INTER + TIDEGATE_COMMAND + TIDEGATE_MOTOR)",
            "INPUTS": "(TIDEGATE_FEATURES + 1)",
            **(
                {
                    "SENSORY": len(arrays["sensory_source"]),
                    "RECURRENT": len(arrays["recurrent_source"]),
                    "SUBSTEPS": facts["substeps"],
                }
                if facts["cell"] == "ltc"
                else {"READS": len(arrays["source"])}
            ),
        },
        "Nominal time between frames and longest gap that keeps the neurons [s]; interval of the gains [1/s].": {
            "PERIOD": literal(facts["period_s"]),
            "DT_MAX": literal(facts["dt_max_s"]),
            "GAIN_LOW": literal(facts["gain_low"]),
            "GAIN_HIGH": literal(facts["gain_high"]),
        },
        "Inside of the camera part.": camera_sizes(network),
    }
    return defines("TIDEGATE", groups)


def _liquid_weights(network: Network) -> str:
    arrays = network.arrays
    names = ("input_weight", "input_bias", "output_weight", "output_bias", "gain_weight", "gain_bias")
    parts = [table("float", f"tidegate_{name}", arrays[name]) for name in names]
    if network.facts["cell"] == "ltc":
        for kind in ("sensory", "recurrent"):
            parts += _synapses(arrays, kind)
        parts += [table("float", f"tidegate_{name}", arrays[name]) for name in ("leak", "rest", "inertia")]
    else:
        reads = list(zip(arrays["source"], arrays["target"], arrays["weight"].T, strict=True))
        parts += [
            table("tidegate_read", "tidegate_reads", reads),
            table("tidegate_branches", "tidegate_bias", arrays["bias"].T),
        ]
    return "\n".join(["/* Weights of the liquid part. */", '#include "cell.h"', '#include "liquid.h"', "", *parts])


def _synapses(arrays: Folded, kind: str) -> list[str]:
    """Column by column, so that a processor loads those of neighbours at once; ``kind``: sensory or recurrent."""
    source, target = arrays[f"{kind}_source"], arrays[f"{kind}_target"]
    prefix = f"tidegate_{kind}"
    columns = {"end": np.searchsorted(target, np.arange(len(arrays["leak"])), "right").astype(np.uint16)}
    columns |= {"source": source.astype(np.uint16)}
    columns |= {name: arrays[f"{kind}_{name}"] for name in ("slope", "shift", "weight", "current")}
    parts = [
        table("uint16_t" if name in ("end", "source") else "float", f"{prefix}_{name}", column, "static ")
        for name, column in columns.items()
    ]
    held = ", ".join([str(len(source)), *(f"{prefix}_{name}" for name in columns)])
    return [*parts, f"const tidegate_synapses {prefix} = {{\n{wrapped(held)}\n}};\n"]


def _parity(network: Network, parity: Parity) -> str:
    count, outputs = parity.outputs.shape
    sizes = {"FRAMES": count, "OUTPUTS": outputs, "TOLERANCE": literal(TOLERANCE)}
    return "\n".join(
        [
            defines("PARITY", {"A short drive and what the live path makes of it.": sizes}),
            "#include <math.h>",
            "#include <stdint.h>",
            "",
            table("uint8_t", "parity_images", parity.images.reshape(count, -1), "static "),
            table("float", "parity_speed", parity.speed, "static "),
            table("float", "parity_dt", parity.dt, "static "),
            table("float", "parity_expected", parity.outputs, "static "),
            table("float", "parity_full_scale", network.facts["full_scale"], "static "),
        ]
    )
