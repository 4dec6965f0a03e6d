# SPDX-License-Identifier: Apache-2.0
"""The way that one moment's state takes through the policy's tree, beside what the network asked for."""

from __future__ import annotations

from html import escape

import numpy as np

from tidegate.insight.intervention import Facts
from tidegate.insight.moment import FrameView
from tidegate.insight.moment_parts import number
from tidegate.insight.page import Section, table
from tidegate.insight.policy_tree import PolicyTree, state_of
from tidegate.insight.tree_source import state_names, taken
from tidegate.records import Odometry


def tree_facts(tree: PolicyTree, frame: FrameView, odometry: Odometry | None) -> Facts | None:
    """The state behind ``frame``, the way through ``tree``, its command and the network's; None = it is not known."""
    state = None if odometry is None else state_of(frame.percept.lane, odometry)
    if state is None or not np.isfinite(state).all():
        return None
    force, curvature = tree.command(state)
    asked = None if frame.decision is None else frame.decision.nominal
    return {
        "bundle": tree.bundle,
        "state": dict(zip(state_names(tree), state.tolist(), strict=True)),
        "path": taken(tree, state),
        "force_n": force,
        "curvature_1_m": curvature,
        "network_force_n": None if asked is None else asked.force,
        "network_curvature_1_m": None if asked is None else asked.curvature,
    }


def way(told: Facts) -> Section | None:
    """The section on it; None where there is no tree."""
    one = told.get("tree")
    if one is None:
        return None
    rows = [
        ("drive force [N]", number(one["force_n"], 0), number(one["network_force_n"], 0)),
        ("path curvature [1/m]", number(one["curvature_1_m"], 4), number(one["network_curvature_1_m"], 4)),
    ]
    lines = "".join(f"<li>{escape(line)}</li>" for lines in one["path"].values() for line in lines)
    state = table(("state", ""), [(name, number(value, 4)) for name, value in one["state"].items()])
    note = (
        f"A tree distilled from {one['bundle']} stands in for the network: how near it comes here is in the table, how "
        "near in general in the report of tidegate distil. It has no memory and sees no other cars."
    )
    body = f"{table(('', 'tree', 'network'), rows)}<ul>{lines}</ul>{state}"
    return Section("The way through the tree", note, body)
