# SPDX-License-Identifier: Apache-2.0
"""A training step, forward and backward, of 19 liquid neurons against ``ncps`` and an LSTM, in turns, one thread."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from common import Aim, add_check, in_turns, judge, mean_time, ratio, save, spread, table
from liquid_networks import NETWORKS, outputs, sizes, train
from torch import Tensor

WINDOWS, STEPS = 64, 32
PEERS = {"ltc": "ncps ltc", "ltc eager": "ncps ltc", "cfc": "ncps cfc", "cfc eager": "ncps cfc", "lstm": "ncps ltc"}
"""With what each is compared."""


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Forward and backward, against the same cell of the public package."""
    for cell, least in (("ltc", 8.0), ("cfc", 3.0)):
        yield Aim(f"training of the {cell}, times as fast as ncps", figures[cell]["ratio"], least=least)


def main(arguments: list[str] | None = None) -> None:
    """Time all in turns, in processor time: other load does not count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=3)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    wiring, policy = sizes()
    inputs = torch.randn(WINDOWS, STEPS, wiring.inputs, generator=torch.Generator().manual_seed(0))

    def run(network: Callable[[Tensor], Tensor]) -> Callable[[], list[float]]:
        return lambda: [mean_time(lambda: train(network, inputs), chosen.repeats, time.process_time)]

    times = in_turns({name: run(outputs(name)) for name in NETWORKS}, chosen.rounds)
    figures: dict[str, Any] = {
        "rounds": chosen.rounds,
        "repeats": chosen.repeats,
        "neurons": wiring.neurons,
        "inputs": wiring.inputs,
        "substeps": policy.substeps,
        "windows": WINDOWS,
        "steps": STEPS,
    }
    for name, parts in times.items():
        peer = times[PEERS.get(name, name)]
        ratios = spread(theirs[0] / mine[0] for theirs, mine in zip(peer, parts, strict=True))
        figures[name] = {"ms": statistics.median(part[0] for part in parts) / 1e3, **ratios}
    told = (f"{name} {figures[name]['ms']:.1f} ms ({figures[name]['ratio']:.1f})" for name in NETWORKS)
    print(save("liquid_training", figures), *told)
    judge(aims(figures), chosen.check)


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    words = {
        "ltc": ("tidegate LTC, kernels", "`ncps` LTC"),
        "ltc eager": ("tidegate LTC, eager reference", "`ncps` LTC"),
        "ncps ltc": ("`ncps` LTC", ""),
        "cfc": ("tidegate CfC, kernels", "`ncps` CfC"),
        "cfc eager": ("tidegate CfC, eager reference", "`ncps` CfC"),
        "ncps cfc": ("`ncps` CfC, wired", ""),
        "lstm": ("`torch.nn.LSTM`", "`ncps` LTC"),
    }
    rows = [
        (
            told,
            f"{(found := figures[name])['ms']:.1f}",
            f"{ratio(found, '.1f')} {peer}" if peer else "1",
        )
        for name, (told, peer) in words.items()
    ]
    return (
        f"## Training step\n\nForward and backward over {figures['windows']} windows of {figures['steps']} steps, "
        f"{figures['neurons']} neurons, {figures['inputs']} inputs, {figures['substeps']} sub-steps of the LTC, one "
        f"thread; {figures['rounds']} rounds of {figures['repeats']}, in turns within one process.\n\n"
        f"{table(('network', 'processor time [ms], median', 'times as fast as'), rows)}"
    )


if __name__ == "__main__":
    main()
