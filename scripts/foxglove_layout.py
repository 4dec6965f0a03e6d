# SPDX-License-Identifier: Apache-2.0
"""Write ``config/foxglove.json``, the layout for Foxglove; needs ``pip install foxglove-sdk``.

Whether every topic and field in it exists is tested (``tests/operate/test_layouts.py``), without that package.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import foxglove.layouts as fl

OUT = Path(__file__).parents[1] / "config" / "foxglove.json"
SEA, CORAL, GREY = "#3fb6d8", "#f5a623", "#96a4ad"
BARRIERS = ("distance", "traction", "lateral", "edge", "lane", "speed", "curve", "sight")
"""In the order of ``safety_node/barriers``; behind them come mode, intervened, drive_force, path_curvature."""
MODES = (("NORMAL", "#3daa6e"), ("HOLD", "#f5a623"), ("STOPPING", "#e2583e"), ("STOPPED", "#964646"))
STATE = "/safety_node/barriers"
MODE, ACTS, FORCE, CURVATURE = (len(BARRIERS) + index for index in range(4))


def series(value: str, label: str, color: str | None = None) -> fl.PlotSeries:
    """One line of a plot over the time that the messages are stamped with."""
    return fl.PlotSeries(value=value, label=label, color=color, timestamp_method="headerStamp")


def plot(title: str, *lines: fl.PlotSeries) -> fl.PlotPanel:
    """The last ten seconds."""
    return fl.PlotPanel(title=title, config=fl.PlotConfig(paths=list(lines), following_view_width=10.0))


def split(direction: str, *parts: tuple[float, fl.Content]) -> fl.SplitContainer:
    """Contents with their shares of the room."""
    return fl.SplitContainer(
        direction=direction, items=[fl.SplitItem(proportion=share, content=content) for share, content in parts]
    )


scene = fl.ThreeDeePanel(
    title="What the filter goes by",
    config=fl.ThreeDeeConfig(
        follow_tf="base_link",
        camera_state=fl.ThreeDeeCameraState(distance=30, phi=60, theta_offset=90, target_offset=(10, 0, 0)),
        topics={
            "/markers": fl.BaseRendererRosMarkerTopicSettings(visible=True),
            "/points": fl.BaseRendererPointCloudTopicSettings(visible=True, point_size=4, color_field="ring"),
        },
    ),
)


def picture(title: str, topic: str) -> fl.ImagePanel:
    """The newest image of a topic."""
    return fl.ImagePanel(title=title, config=fl.ImageConfig(image_mode=fl.ImageModeConfig(image_topic=topic)))


def states(label: str, index: int, known: Sequence[tuple[str, str]]) -> fl.StateTransitionsSeries:
    """An entry of the filter's state that is one of ``known`` (name, colour) by its number."""
    return fl.StateTransitionsSeries(
        value=f"{STATE}.position[{index}]",
        label=label,
        timestamp_method="headerStamp",
        custom_states=fl.StateTransitionsDiscreteCustomStates(
            states=[
                fl.StateTransitionsDiscreteCustomState(value=str(value), label=name, color=color)
                for value, (name, color) in enumerate(known)
            ]
        ),
    )


image, neurons = picture("Saliency", "/saliency"), picture("Neurons: inter, command, motor", "/neurons")
mode = fl.StateTransitionsPanel(
    title="Mode, and the barrier that acts",
    config=fl.StateTransitionsConfig(
        paths=[states("mode", MODE, MODES), states("acts", ACTS, [(name, CORAL) for name in BARRIERS])]
    ),
)
command = [
    plot(
        title,
        series(f"{STATE}.position[{index}]", "wanted", GREY),
        series(f"{STATE}.velocity[{index}]", "allowed", SEA),
    )
    for title, index in (("Drive force [N]", FORCE), ("Path curvature [1/m]", CURVATURE))
]
barriers = plot("Barriers h", *(series(f"{STATE}.position[{index}]", name) for index, name in enumerate(BARRIERS)))
margins = plot("Margins of rows", *(series(f"{STATE}.velocity[{index}]", name) for index, name in enumerate(BARRIERS)))
lane = plot(
    "Lane offset [m] and its bound",
    series("/lane.position[0]", "offset", SEA),
    series("/lane.effort[0]", "bound", CORAL),
)
speed = plot("Speed [m/s]", series("/odom.twist.twist.linear.x", "speed", SEA))
diagnostics = fl.DiagnosticsSummaryPanel(
    config=fl.DiagnosticsSummaryConfig(topic_to_render="/diagnostics", sort_by_level=True)
)
layout = fl.Layout(
    content=split(
        "row",
        (1.4, split("column", (2, scene), (1, image), (0.3, neurons), (0.6, mode))),
        (1, split("column", (1, command[0]), (1, command[1]), (1.2, barriers), (1.2, margins))),
        (0.8, split("column", (1, lane), (1, speed), (1.2, diagnostics))),
    )
)

if __name__ == "__main__":
    OUT.write_text(json.dumps(json.loads(layout.to_json()), indent=1) + "\n", encoding="utf-8")
