# SPDX-License-Identifier: Apache-2.0
"""The page about a distilled policy, out of plain values alone (``distil_facts``) and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from tidegate.insight.distil_facts import MEASURES, Facts
from tidegate.insight.moment_parts import number
from tidegate.insight.page import Section, Tile, page, picture, table

STYLE = """
pre { overflow-x: auto; font-size: .82rem; line-height: 1.5; background: #f7fafb; padding: .8rem; border-radius: 6px; }
.apart { display: grid; grid-template-columns: minmax(160px, 320px) 1fr; gap: 1rem; margin-top: 1rem; }
@media (max-width: 620px) { .apart { grid-template-columns: 1fr; } }
"""


def distil_page(told: Facts, pictures: Sequence[NDArray[np.uint8]]) -> str:
    """The page as text; ``pictures`` (H, W, 3) RGB are those of its disagreements."""
    sections = [_tree(told), _faith(told), _drives(told), _apart(told, pictures), _neurons(told), _neuron_trees(told)]
    title = f"tidegate: {told['bundle']} as a tree"
    subtitle = f"scene {told['scene']} · {told['leaves']} leaves · fitted to {told['fitted_frames']} states"
    return page(title, subtitle, _tiles(told), [one for one in sections if one], style=STYLE)


def _tiles(told: Facts) -> list[Tile]:
    held_out = told["r2"][told["leaf_kind"]]["held_out"]
    tiles = [
        Tile(str(told["leaves"]), "leaves, force and curvature together"),
        Tile(number(held_out["force"], 3), "R² of the force, held-out states"),
        Tile(number(held_out["curvature"], 3), "R² of the curvature, held-out states"),
    ]
    for name, one in told["drives"].items():
        tiles.append(Tile(f"{one['completed']}/{one['total']}", f"drives completed, {name}"))
    return tiles


def _tree(told: Facts) -> Section:
    note = "Every number is the one that computes: tree.py and tree.c hold the same tree as one function each."
    return Section("The policy as if/else", note, f'<pre tabindex="0">{escape(told["tree"])}</pre>')


def _faith(told: Facts) -> Section:
    note = (
        f"R² is the share of the network's variance that the tree explains: where it was fitted "
        f"({told['fitted_frames']} states), and on held-out drives in which it drove itself "
        f"({told['held_out_frames']} states, seeds {', '.join(map(str, told['held_out_seeds']))}). The rest is what "
        "the network sees in the picture beyond the lane estimate, what it remembers, and what so few leaves cannot "
        "say. Leaves of the other kind are told for comparison."
    )
    rows = []
    for kind, one in told["r2"].items():
        for where, words in (("held_out", "held out"), ("fitted", "fitted")):
            values = (number(one[where][name], 3) for name in ("force", "curvature"))
            rows.append((f"{kind} leaves, {words}", str(one["leaves"]), *values))
    body = table(("", "leaves", "R² of the force", "R² of the curvature"), rows)
    met = [
        (
            f"fit {turn}",
            str(one["frames"]),
            str(one["leaves"]),
            *(number(one["r2_met"].get(name), 3) for name in ("force", "curvature")),
        )
        for turn, one in enumerate(told["rounds"])
    ]
    head = ("", "states fitted to", "leaves", "R² of the force where it then drove", "of the curvature")
    return Section("How far to believe it", note, f"{body}<h3>Round by round</h3>{table(head, met)}")


def _drives(told: Facts) -> Section | None:
    if not told["drives"]:
        return None
    note = "The tree's force and curvature in place of the network's; perception and barrier gains as ever."
    rows = [
        (
            name,
            f"{one['completed']}/{one['total']}",
            str(one["collisions"]),
            str(one["limit_violations"]),
            number(one["max_abs_lane_error_m"], 2, "m"),
        )
        for name, one in told["drives"].items()
    ]
    head = ("", "completed", "collisions", "limits violated", "widest off the lane's centre")
    return Section("Driving with it", note, table(head, rows))


def _apart(told: Facts, pictures: Sequence[NDArray[np.uint8]]) -> Section | None:
    if not pictures:
        return None
    body = ""
    for one, image in zip(told["disagreements"], pictures, strict=True):
        network, tree = one["network"], one["tree"]
        words = f"seed {one['seed']}, {number(one['time_s'], 2, 's')}"
        said = (
            f"<b>{words}</b><br>network {number(network['force'], 0, 'N')}, {number(network['curvature'], 4, '1/m')}"
            f"<br>tree {number(tree['force'], 0, 'N')}, {number(tree['curvature'], 4, '1/m')}"
            f"<br>apart by {number(one['standard_deviations'], 1)} standard deviations"
        )
        state = [(name, number(value, 4)) for name, value in one["state"].items()]
        way = "".join(f"<li>{escape(line)}</li>" for lines in one["path"].values() for line in lines)
        more = f"<summary>state and way through the tree</summary>{table(('', ''), state)}<ul>{way}</ul>"
        shown = f"<div>{said}<details>{more}</details></div>"
        body += f'<div class="apart"><div>{picture(image, words)}</div>{shown}</div>'
    note = "Frames of the held-out drives in which tree and network are furthest apart, at most three of a drive."
    return Section("Where tree and network differ most", note, body)


def _neurons(told: Facts) -> Section:
    made = told["neurons"]
    rows = [(one["name"], str(one["leaves"]), *(number(one[key], 2) for key in MEASURES)) for one in made["neurons"]]
    mean = ["mean", "", *(number(made["mean"][key], 2) for key in MEASURES)]
    head = ("neuron", "leaves", "R²", "variance within a path", "information gap", "modularity", "path read", "usual")
    note = (
        "A tree of at most 16 leaves for each neuron, from the same state to its response (Wang et al., CoRL 2023), "
        f"measured on {made['frames']} held-out states. Variance within a path: 0 = the path says all of the response. "
        "Information gap: how much more the neuron tells of its own path than any other does; below zero another tells "
        "more. Modularity: 1 = it tells of one neuron's paths alone. Path read: how often the path can be read off "
        "the response; usual: how often guessing the most frequent one would be right. Logic conflict: paths "
        f"read off two neurons contradict one another in {made['conflict']:.1%} of "
        "states and pairs."
    )
    return Section("One tree per neuron", note, table(head, [*rows, mean]))


def _neuron_trees(told: Facts) -> Section:
    rows = []
    for one in told["neurons"]["neurons"]:
        asked = ", ".join(f"{name.split(' [')[0]} {share:.0%}" for name, share in one["asks"][:2])
        rows.append((one["name"], asked))
    note = "The two features that make most of each neuron's tree. They go together: one can stand for another."
    return Section("What each neuron goes by", note, table(("neuron", "asks for"), rows))
