# SPDX-License-Identifier: Apache-2.0
"""The wiring picture: every neuron a dot, every synapse that exists a line."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import FancyArrowPatch

from tidegate.insight.charts import CORAL, INK, LEAF, MUTED, SEA, figure, svg
from tidegate.liquid.wiring import MOTORS, Wiring
from tidegate.records import Floats

COLUMNS = (0.0, 1.6, 3.0, 4.2)


def neuron_names(wiring: Wiring) -> list[str]:
    """Names in the order of the state vector."""
    motors = [MOTORS[index] if index < len(MOTORS) else f"motor {index}" for index in range(wiring.motor)]
    inter = [f"inter {index}" for index in range(wiring.inter)]
    return inter + [f"command {index}" for index in range(wiring.command)] + motors


def layer_sizes(wiring: Wiring) -> dict[str, int]:
    """Neurons per layer, in the order of the state vector."""
    return {"inter": wiring.inter, "command": wiring.command, "motor": wiring.motor}


def circuit(wiring: Wiring) -> str:
    """Draw sensory inputs → inter → command → motor as an SVG; recurrent synapses are arcs."""
    inputs = _column(COLUMNS[0], wiring.inputs)
    layers = [_column(x, count) for x, count in zip(COLUMNS[1:], layer_sizes(wiring).values(), strict=True)]
    neurons = np.concatenate(layers)
    with figure(4.4) as (made, axes):
        for source, target, polarity in zip(*wiring.edges(wiring.sensory), strict=True):
            _straight(axes, inputs[source], neurons[target], polarity, 0.35)
        for source, target, polarity in zip(*wiring.edges(wiring.recurrent), strict=True):
            start, end = neurons[source], neurons[target]
            if start[0] != end[0]:
                _straight(axes, start, end, polarity, 0.75)
            elif source == target:
                axes.plot(
                    *(end + (0.0, 0.045)), "o", markersize=11, fillstyle="none", color=_colour(polarity), zorder=2
                )
            else:
                arc = FancyArrowPatch(
                    tuple(start),
                    tuple(end),
                    connectionstyle="arc3,rad=0.45",
                    arrowstyle="-",
                    color=_colour(polarity),
                    linewidth=1,
                    zorder=2,
                )
                axes.add_patch(arc)
        axes.scatter(*inputs.T, s=16, color=MUTED, zorder=3)
        for places, colour, size in zip(layers, (SEA, LEAF, INK), (70, 95, 130), strict=True):
            axes.scatter(*places.T, s=size, color=colour, edgecolor="white", linewidth=1.2, zorder=4)
        for index, name in enumerate(MOTORS[: wiring.motor]):
            axes.text(COLUMNS[3] + 0.12, layers[2][index][1], name, va="center", color=INK)
        counts = (wiring.inputs, wiring.inter, wiring.command, wiring.motor)
        for x, name, count in zip(COLUMNS, ("inputs", "inter", "command", "motor"), counts, strict=True):
            axes.text(x, 1.07, f"{count} {name}", ha="center", color=MUTED, fontweight="bold")
        axes.plot([], [], color=LEAF, label="excitatory")
        axes.plot([], [], color=CORAL, label="inhibitory")
        axes.legend(loc="lower right", bbox_to_anchor=(1, -0.04))
        axes.set_xlim(-0.2, COLUMNS[3] + 0.9)
        axes.set_ylim(-0.06, 1.13)
        axes.axis("off")
        return svg(made)


def _column(x: float, count: int) -> Floats:
    spread = min(1.0, 0.09 * count + 0.1)
    y = np.linspace(0.5 + spread / 2, 0.5 - spread / 2, count) if count > 1 else np.array([0.5])
    return np.stack([np.full(count, x), y], axis=1)


def _colour(polarity: float) -> str:
    return LEAF if polarity > 0 else CORAL


def _straight(axes: object, start: Floats, end: Floats, polarity: float, strength: float) -> None:
    axes.plot(  # type: ignore[attr-defined]
        [start[0], end[0]], [start[1], end[1]], color=_colour(polarity), alpha=strength, linewidth=0.9, zorder=1
    )
