# SPDX-License-Identifier: Apache-2.0
"""Camera to command and memory of the real node graph: real time, over DDS, its simulator on the same machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import MODEL, SETTINGS, Aim, add_check, judge, save

from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.run_graph import run_graph

STACK = ("perception_node", "policy_node", "safety_node")
QUANTILES = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Camera to command, the simulator on the same two cores."""
    for name, most in (("median", 10.0), ("p99", 25.0)):
        yield Aim(f"camera to command, {name} [ms]", figures["latency_ms"][name], most=most)


def main(arguments: list[str] | None = None) -> None:
    """Drive for a while and keep the quantiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scene", default="road")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--bundle", default=str(MODEL))
    add_check(parser)
    chosen = parser.parse_args(arguments)
    options = GraphOptions(Path(chosen.bundle), Path(SETTINGS), scene=chosen.scene, seed=chosen.seed)
    went = run_graph(options, duration_s=chosen.seconds)
    latency = np.array(went.latency_ms)
    quantiles = {name: float(np.quantile(latency, share)) for name, share in QUANTILES.items()}
    figures = {
        "scene": chosen.scene,
        "seconds": went.duration,
        "frames": len(latency),
        "latency_ms": quantiles,
        "pss_mb": went.pss_mb,
        "pss_stack_mb": sum(went.pss_mb[name] for name in STACK),
        "problems": list(went.problems),
    }
    print(save("latency", figures), quantiles)
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
