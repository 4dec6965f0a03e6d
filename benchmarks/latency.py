# SPDX-License-Identifier: Apache-2.0
"""Camera to command and memory of the real node graph: real time, over DDS, its simulator on the same machine."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import MODEL, SETTINGS, save

from tidegate.nodes.bringup import GraphOptions
from tidegate.nodes.run_graph import run_graph

STACK = ("perception_node", "policy_node", "safety_node")
QUANTILES = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def main(arguments: list[str] | None = None) -> None:
    """Drive for a while and keep the quantiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scene", default="road")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--bundle", default=str(MODEL))
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


if __name__ == "__main__":
    main()
