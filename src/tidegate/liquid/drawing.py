# SPDX-License-Identifier: Apache-2.0
"""A wiring as a picture: one column per layer, one curve per synapse, its colour the polarity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.liquid.wiring import Polarity, Wiring, input_names, motor_names
from tidegate.records import Floats

EXCITATORY, INHIBITORY = "#2a78b8", "#d1593b"
INK, QUIET, PAPER = "#22303c", "#6b7a86", "#ffffff"
LAYERS = (("sensory", "#8a97a3"), ("inter", "#3f9c86"), ("command", "#8b62b0"), ("motor", "#d59a2b"))
WIDTH, HEIGHT, TOP, BOTTOM = 960, 720, 90, 56
COLUMNS = (150.0, 370.0, 610.0, 800.0)
RADII = (4.5, 9.0, 12.0, 15.0)

UP, DOWN, NEUTRAL = (178, 24, 43), (33, 102, 172), (247, 247, 247)
"""Colours (RGB) of what is above zero, below it, and of zero, as in the charts."""

Place = tuple[float, float, float]
"""x, y and radius of a drawn neuron."""


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """One moment, each value as a share of its largest: ``inputs`` (I,), ``neurons`` (N,), and the ``currents`` (E,) of
    the synapses, sensory ones first; all in −1…1."""

    inputs: Floats
    neurons: Floats
    currents: Floats


def draw_policy(wiring: Wiring, title: str, activity: Activity | None = None) -> str:
    """The circuit that drives: its inputs are features and what is sensed, its motor neurons the command."""
    return draw_wiring(wiring, title, input_names(wiring), motor_names(wiring), activity)


def draw_wiring(
    wiring: Wiring,
    title: str,
    inputs: Sequence[str] | None = None,
    motors: Sequence[str] | None = None,
    activity: Activity | None = None,
) -> str:
    """The picture as an SVG document; ``inputs`` and ``motors`` are names, None = numbers.

    With an ``activity`` colours tell what goes on at a moment, without it layers and polarities.
    """
    inputs = [f"input {index}" for index in range(wiring.inputs)] if inputs is None else inputs
    motors = [f"output {index}" for index in range(wiring.motor)] if motors is None else motors
    sensors = _column(0, wiring.inputs)
    sizes = (wiring.inter, wiring.command, wiring.motor)
    split = int(np.count_nonzero(wiring.sensory))
    currents = np.zeros(0) if activity is None else activity.currents
    neurons = [place for layer, size in enumerate(sizes, start=1) for place in _column(layer, size)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        _text(28, 34, title, size=18, weight="bold"),
        *_curves(wiring, wiring.sensory, sensors, neurons, 1.0, currents[:split]),
        *_curves(wiring, wiring.recurrent, neurons, neurons, 1.6, currents[split:]),
    ]
    levels = [] if activity is None else [activity.inputs, *(activity.neurons[part] for part in wiring.layers)]
    for layer, places in enumerate([sensors, *(neurons[part] for part in wiring.layers)]):
        name, colour = LAYERS[layer]
        if not places:
            continue
        parts.append(_text(places[0][0], 68, f"{name} · {len(places)}", anchor="middle", size=14, weight="bold"))
        fills = [_shade(level) for level in levels[layer]] if levels else [colour] * len(places)
        edge = QUIET if levels else PAPER
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{fill}" stroke="{edge}" stroke-width="1.5"/>'
            for (x, y, r), fill in zip(places, fills, strict=True)
        ]
    parts += [
        _text(x - 12, y + 3, name, anchor="end", size=9, ink=QUIET)
        for name, (x, y, _) in zip(inputs, sensors, strict=True)
    ]
    parts += [
        _text(x + r + 8, y + 5, name, size=14)
        for name, (x, y, r) in zip(motors, neurons[wiring.layers[2]], strict=True)
    ]
    parts += _legend(wiring, activity is not None)
    return "\n".join([*parts, "</svg>\n"])


def _column(layer: int, count: int) -> list[Place]:
    """Evenly spaced places of one layer, top to bottom; small layers keep away from the edges."""
    room = HEIGHT - TOP - BOTTOM
    step = min(room / max(count, 1), 150.0)
    first = TOP + (room - step * (count - 1)) / 2
    return [(COLUMNS[layer], first + step * index, min(RADII[layer], 0.45 * step)) for index in range(count)]


def _shade(level: float) -> str:
    """A colour from ``DOWN`` through ``NEUTRAL`` to ``UP``."""
    end, share = (UP if level > 0 else DOWN), min(abs(float(level)), 1.0)
    return "#" + "".join(f"{round(zero + share * (full - zero)):02x}" for zero, full in zip(NEUTRAL, end, strict=True))


def _curves(
    wiring: Wiring,
    adjacency: Polarity,
    sources: list[Place],
    targets: list[Place],
    width: float,
    currents: Floats,
) -> list[str]:
    """``currents`` (E,) as in ``Activity``; empty = polarities are drawn."""
    curves = []
    for place, (source, target, polarity) in enumerate(zip(*wiring.edges(adjacency), strict=True)):
        (x, y, r), (to_x, to_y, to_r) = sources[source], targets[target]
        if to_x > x:
            start, end, bend = x + r, to_x - to_r, (to_x - x) / 2
            path = f"M{start:.1f} {y:.1f}C{start + bend:.1f} {y:.1f} {end - bend:.1f} {to_y:.1f} {end:.1f} {to_y:.1f}"
        elif source == target:
            path = f"M{x + r:.1f} {y - 4:.1f}c26 -26 26 34 0 8"
        else:  # within a layer or back: an arc beside the column, upward ones further out so that pairs stay apart
            out = x + r + (22 if to_y > y else 44) + 0.22 * abs(to_y - y)
            path = f"M{x + r:.1f} {y:.1f}C{out:.1f} {y:.1f} {out:.1f} {to_y:.1f} {to_x + to_r:.1f} {to_y:.1f}"
        colour, thick, opacity = EXCITATORY if polarity > 0 else INHIBITORY, width, 0.6
        if len(currents):
            strength = min(abs(currents[place]), 1.0)
            colour = _shade(math.copysign(1.0, currents[place]))
            thick, opacity = round(0.5 + 3 * strength, 2), round(0.05 + 0.8 * strength, 2)
        stroke = f'stroke="{colour}" stroke-width="{thick}" stroke-opacity="{opacity}"'
        curves.append(f'<path d="{path}" fill="none" {stroke}/>')
    return curves


def _legend(wiring: Wiring, live: bool) -> list[str]:
    y = HEIGHT - 22
    parts = []
    signs = (EXCITATORY, "excitatory"), (INHIBITORY, "inhibitory")
    if live:
        signs = (_shade(1.0), "pushes up"), (_shade(-1.0), "pushes down")
    for x, (colour, word) in zip((28, 150), signs, strict=True):
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{colour}" stroke-width="3"/>')
        parts.append(_text(x + 34, y + 4, word, size=13))
    counted = f"{wiring.neurons} neurons, {wiring.synapses} synapses"
    if wiring.dense_time:
        counted += "; time branches are dense, not drawn"
    return [*parts, _text(WIDTH - 28, y + 4, counted, anchor="end", size=13, ink=QUIET)]


def _text(
    x: float, y: float, words: str, *, size: int, anchor: str = "start", weight: str = "normal", ink: str = INK
) -> str:
    safe = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{ink}"'
        f' text-anchor="{anchor}">{safe}</text>'
    )
