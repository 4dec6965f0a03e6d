# SPDX-License-Identifier: Apache-2.0
"""Sections that explain the network, each with the figure that says how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.insight import attribution, tree
from tidegate.insight.page import Section, picture, table
from tidegate.liquid.drawing import draw_policy
from tidegate.liquid.wiring import Wiring
from tidegate.perception import Perception
from tidegate.records import Floats, Frame

SHOWN = 6
"""Example pictures on the page."""

Image = NDArray[np.uint8]


def wiring_section(wiring: Wiring) -> Section:
    """The circuit that computes: every synapse drawn is one that exists, and no other does."""
    note = f"{wiring.neurons} liquid neurons, {wiring.synapses} synapses; each neuron is a differential equation."
    facts = {"neurons": wiring.neurons, "synapses": wiring.synapses}
    return Section("Wiring", note, draw_policy(wiring, ""), facts)


def saliency_section(
    perception: Perception, images: Sequence[Image], masks: Sequence[Mapping[str, NDArray[np.bool_]]] = ()
) -> Section:
    """VisualBackProp on ``images`` with its faithfulness; ``masks`` add where the saliency lies."""
    maps = [perception.saliency(Frame(0, image)).astype(np.float64) for image in images]
    result = faithfulness(_reader(perception), images, maps)
    every = max(1, len(images) // SHOWN)
    tiles = [overlay(image, map_) for image, map_ in zip(images[::every], maps[::every], strict=True)][:SHOWN]
    width = (len(tiles) + 1) // 2
    rows = [np.concatenate(tiles[start : start + width], axis=1) for start in range(0, len(tiles) - width + 1, width)]
    body = picture(np.concatenate(rows), "camera images with what the network looked at in amber")
    body += attribution.chart(result)
    note = (
        "VisualBackProp: amber is what the camera network reacts to. Painting out the most salient patches first moves "
        f"features and lane estimate {result.advantage:.2f} times as far as painting out patches by chance "
        f"({len(images)} images; 1 = no better than chance)."
    )
    facts: dict[str, Any] = {"advantage": result.advantage, "images": len(images)}
    if masks:
        found = attribution.shares(maps, masks)
        facts["shares"] = {
            name: {"saliency": share, "picture": area, "ratio": share / area if area else None}
            for name, (share, area) in found.items()
        }
        rows_ = [
            (name, f"{share:.1%}", f"{area:.1%}", f"{share / area:.2f}" if area else "–")
            for name, (share, area) in found.items()
        ]
        body += table(("surface", "share of saliency", "share of picture", "ratio"), rows_)
    return Section("What the camera network looks at", note, body, facts)


def faithfulness(
    read: attribution.Predict, images: Sequence[Image], maps: Sequence[Floats], spread: Floats | None = None
) -> attribution.Deletion:
    """``attribution.deletion`` in the rows that any of ``maps`` points at."""
    looked = np.flatnonzero(np.any([map_ > 0 for map_ in maps], axis=(0, 2)))
    seen = slice(int(looked[0]), int(looked[-1]) + 1) if len(looked) else slice(None)
    return attribution.deletion(read, images, maps, rows=seen, spread=spread)


def tree_sections(fitted: list[tree.Sheet], held_out: list[tree.Sheet]) -> list[Section]:
    """One decision tree per output, with R² on drives that it never saw."""
    made = []
    for surrogate in tree.fit(fitted, held_out):
        ranked = sorted(zip(tree.STATE, surrogate.importance, strict=True), key=lambda pair: -pair[1])
        used = ", ".join(f"{name.split(' [')[0]} {share:.0%}" for name, share in ranked if share >= 0.01)
        note = (
            f"A tree of {surrogate.tree.get_n_leaves()} leaves that stands in for the network. It explains "
            f"R² = {surrogate.r2_held_out:.2f} of its variance where it was not fitted (drives: {len(held_out)}) and "
            f"{surrogate.r2_fitted:.2f} where it was (drives: {len(fitted)}, with their mirror images). "
            f"It asks for: {used}."
        )
        facts = {
            "leaves": surrogate.tree.get_n_leaves(),
            "r2_held_out": surrogate.r2_held_out,
            "r2_fitted": surrogate.r2_fitted,
            "drives_held_out": len(held_out),
            "drives_fitted": len(fitted),
            "asks_for": dict(ranked),
        }
        made.append(Section(f"A tree for the {surrogate.output}", note, tree.picture(surrogate), facts))
    return made


def overlay(image: Image, map_: Floats, scale: int = 3) -> Image:
    """``image`` enlarged with its saliency (H, W) in amber."""
    size = (image.shape[1] * scale, image.shape[0] * scale)
    large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(float)
    alpha = 0.75 * np.clip(cv2.resize(map_, size, interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
    blended: Image = (large * (1 - alpha) + np.array([245.0, 166.0, 35.0]) * alpha).clip(0, 255).astype(np.uint8)
    return blended


def _reader(perception: Perception) -> attribution.Predict:
    """What the camera network makes of an image: features, and the lane where it is known."""
    stamp = 0

    def read(image: Image) -> Floats:
        nonlocal stamp
        stamp += 50_000_000
        percept = perception.process(Frame(stamp, image))
        lane = [percept.lane.offset, percept.lane.heading, *percept.lane.curvature]
        return np.concatenate([percept.features.values.astype(np.float64), lane])

    return read
