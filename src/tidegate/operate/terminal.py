# SPDX-License-Identifier: Apache-2.0
"""A ``View`` as text for a terminal of 100 columns or more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from itertools import zip_longest
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tidegate.messages import layers_of
from tidegate.operate.view import BARE, EXPECTED, QUIET_S, Seen, View, expected, silent
from tidegate.records import Command, JointStates, LaneEstimate, Level, Mode, SafetyState, seconds

WIDTH = 108
MODE_STYLE = {
    Mode.NORMAL: "bold white on green",
    Mode.HOLD: "bold black on yellow",
    Mode.STOPPING: "bold white on red",
    Mode.STOPPED: "bold white on dark_red",
}
LEVEL_STYLE = {Level.OK: "green", Level.WARN: "yellow", Level.ERROR: "bold red", Level.STALE: "bold red"}
LAYER_STYLE = ("cyan", "green", "yellow")
BARS = " ▁▂▃▄▅▆▇█"
NEURON = 2
"""Columns per neuron."""
SILENT_MAX = 6
"""Lines that say what is silent; more are counted."""


def render(view: View) -> RenderableType:
    """The whole view, what matters most first: a small window shows the top."""
    left = Group(_panel("camera and lane", _camera(view)), _panel("neurons", _neurons(view)), _efforts(view))
    right = Group(_panel("command", _command(view)), _panel("barriers", _barriers(view)))
    columns = Table.grid(expand=True)
    columns.add_column(ratio=1)
    columns.add_column(ratio=1)
    columns.add_row(left, right)
    return Group(_verdict(view), *_silence(view), columns, _panel("topics", _topics(view)))


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="bright_black")


def _table(*headings: str) -> Table:
    """Columns of numbers behind a column of names."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bright_black")
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if place else "left", no_wrap=True)  # no markup: [ms] is a unit
    return table


def _verdict(view: View) -> Panel:
    """Mode with its reasons, time, speed, and whether anybody wants a stop or drives by hand."""
    state: SafetyState | None = _fresh(view, "safety_node/barriers")
    words = Text()
    if state is None:
        words.append(" NO VERDICT ", "bold white on red")
        words.append("  the safety node is silent", "bold red")
    else:
        words.append(f" {state.mode.name} ", MODE_STYLE[state.mode])
        status = view.statuses.get("safety_node")
        reasons = [] if status is None else [value for key, value in status.values.items() if key.startswith("reason_")]
        told = status is not None and status.values.get("mode") == state.mode.name
        words.append("  " + ("; ".join(reasons) or "all well" if told else "its reasons have not come yet"))
    words.append("\n")
    used = _fresh(view, "safety_node/inputs")
    flags = {} if used is None else used.flags
    stops = [name.replace("_", " ") for name, raised in flags.items() if raised]
    words.append(" · ".join(stops) or "no stop asked for", "bold red" if stops else "")
    manual = _fresh(view, "manual")
    driver = manual is not None and manual.engaged
    words.append("  ·  ")
    words.append("driver has taken over" if driver else "no driver", "yellow" if driver else "")
    odometry = _fresh(view, "odom")
    words.append(f"  ·  {'speed unknown' if odometry is None else f'{odometry.speed:.2f} m/s'}")
    clock = f"{seconds(view.now):.2f} s simulated" if view.simulated else _date(view.now)
    place = view.namespace if view.namespace.strip("/") else "no namespace"
    return Panel(
        words, title="tidegate", subtitle=f"{clock}, domain {view.domain}, {place}", title_align="left", padding=(0, 1)
    )


def _camera(view: View) -> RenderableType:
    rows = Table.grid(padding=(0, 2, 0, 0))
    if view.pictures:
        rows.add_row("topic", view.pictures)
    frames, health = view.topics.get("health", Seen()), _fresh(view, "health")
    rows.add_row(
        "frames", f"{_number(frames.rate_hz, '.1f')} Hz, the newest {_number(1e3 * frames.age_s, '.0f')} ms old"
    )
    if health is None:
        rows.add_row("health", Text("unknown", "bold red"))
    else:
        rows.add_row("health", Text("; ".join(health.reasons) or health.level.name, LEVEL_STYLE[health.level]))
    lane: LaneEstimate | None = _fresh(view, "lane")
    if lane is None:
        rows.add_row("lane", Text("unknown", "bold red"))
        return rows
    rows.add_row("offset", f"{lane.offset:+.3f} ± {lane.bound[0]:.3f} m")
    rows.add_row("heading", f"{lane.heading:+.3f} ± {lane.bound[1]:.3f} rad")
    for place, (value, bound) in enumerate(zip(lane.curvature, lane.bound[2:], strict=False)):
        rows.add_row("" if place else "curvature", f"{1e3 * value:+.1f} ± {1e3 * bound:.1f}  10⁻³/m")
    return rows


def _neurons(view: View) -> RenderableType:
    neurons, status = _fresh(view, "neurons"), view.statuses.get("policy_node")
    if neurons is None:
        return Text("unknown", "bold red")
    sizes = {} if status is None else layers_of(status)
    if sum(sizes.values()) != len(neurons.values):
        sizes = {"neurons": len(neurons.values)}
    names, above, below = Text("  "), Text("+ "), Text("− ")
    start, largest = 0, max(1.0, float(np.abs(neurons.values).max()))
    for place, (name, size) in enumerate(sizes.items()):
        style, width = LAYER_STYLE[place % len(LAYER_STYLE)], max(NEURON * size, len(name)) + 1
        values = neurons.values[start : start + size] / largest
        start += size
        names.append(name.ljust(width), style)
        above.append("".join(_bar(value) for value in values).ljust(width), style)
        below.append("".join(_bar(-value) for value in values).ljust(width), style)
    return Group(names, above, below, Text(f"full bar: {largest:.1f}", "bright_black"))


def _bar(value: float) -> str:
    """The positive part of ``value`` up to one, in eighths; a trace shows as one."""
    eighths = min(math.ceil(8 * value), 8) if value > 0.01 else 0
    return BARS[eighths] * (NEURON - 1) + " "


def _command(view: View) -> RenderableType:
    table = _table("", "policy", "wanted", "allowed")
    nominal, state = _fresh(view, "nominal"), _fresh(view, "safety_node/barriers")
    nan = (math.nan, math.nan)
    asked = nan if nominal is None else (nominal.force, nominal.curvature)
    wanted, allowed = (nan, nan) if state is None else (state.wanted, state.allowed)
    for place, (name, form) in enumerate((("force [N]", ".0f"), ("curvature [1/m]", ".4f"))):
        changed = abs(allowed[place] - wanted[place]) > (1.0, 1e-5)[place]
        style = "bold yellow" if changed else ""
        table.add_row(
            name,
            _number(asked[place], "+" + form),
            _number(wanted[place], "+" + form),
            Text(_number(allowed[place], "+" + form), style),
        )
    return table


def _barriers(view: View) -> RenderableType:
    state: SafetyState | None = _fresh(view, "safety_node/barriers")
    if state is None:
        return Text("unknown", "bold red")
    table = _table("", "h", "margin", "")
    for barrier in state.barriers:
        acts = barrier.name in view.acted
        marks = [*(["◀ acts"] if acts else []), *([_gives(state, barrier.name)] if barrier.relaxed else [])]
        style = "bold red" if barrier.h < 0 else "bold yellow" if acts or barrier.relaxed else ""
        numbers = (_number(barrier.h, ".2f"), _number(barrier.margin, ".2f"))
        table.add_row(Text(barrier.name, style), *numbers, Text(", ".join(marks), style))
    return table


def _gives(state: SafetyState, name: str) -> str:
    """By how much a barrier gives way, in that row which does most."""
    most = max((row for row in state.rows if row.barrier == name), key=lambda row: row.slack, default=None)
    return "gives way" if most is None else f"gives {most.slack:.2g} {most.unit}"


def _efforts(view: View) -> RenderableType:
    command: Command | None = _fresh(view, "command")
    joints: JointStates | None = _fresh(view, "joint_states")
    if command is None:
        return _panel("joint efforts", Text("no command", "bold red"))
    measured = {} if joints is None else dict(zip(joints.names, joints.effort.tolist(), strict=True))
    table = _table("", "commanded [N·m]", "measured")
    for name, effort in zip(command.names, command.effort.tolist(), strict=True):
        found = _number(measured.get(name, math.nan), "+.0f")
        table.add_row(name.removesuffix("_joint").replace("_", " "), f"{effort:+.0f}", found)
    return _panel("joint efforts", table)


def _topics(view: View) -> RenderableType:
    """Two topics to a line."""
    names = [topic for topic in view.topics if topic in EXPECTED or view.topics[topic].publishers]
    half = (len(names) + 1) // 2
    table = _table("", "Hz", "age [ms]", "", "Hz", "age [ms]")
    table.columns[2].justify, table.columns[3].justify = "right", "left"
    for pair in zip_longest(names[:half], names[half:], fillvalue=""):
        table.add_row(*_cells(view, pair))
    return table


def _cells(view: View, names: Sequence[str]) -> Iterable[Text]:
    wanted = expected(view)
    for name in names:
        seen = view.topics.get(name, Seen())
        style = "bold red" if name in wanted and not seen.quiet_s <= QUIET_S else ""
        yield Text(name, style)
        alive = name in BARE and seen.quiet_s <= QUIET_S
        yield Text("alive" if alive else _number(seen.rate_hz, ".1f") if name else "", style)
        yield Text(_number(1e3 * seen.age_s, ".0f") if name else "", style)


def _silence(view: View) -> list[RenderableType]:
    words = list(silent(view))
    if len(words) > SILENT_MAX:
        words = [*words[:SILENT_MAX], f"and {len(words) - SILENT_MAX} more"]
    return [_panel("silent", Text("\n".join(words), "bold red"))] if words else []


def _fresh(view: View, topic: str) -> Any:
    """The newest record; None where the topic has fallen silent: what was true a while ago is not shown as true."""
    return view.records.get(topic) if view.topics.get(topic, Seen()).quiet_s <= QUIET_S else None


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else "off" if math.isinf(value) else format(value, form)


def _date(now: int) -> str:
    return datetime.fromtimestamp(seconds(now), timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
