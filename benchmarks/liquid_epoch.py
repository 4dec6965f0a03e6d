# SPDX-License-Identifier: Apache-2.0
"""An epoch of the driving task: 19 neurons learn the expert's command from what the shipped network's camera part says
of recorded drives; ours against ``ncps`` and an LSTM, in turns, one thread."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from common import MODEL, SETTINGS, Aim, add_check, in_turns, judge, mean_time, ratio, save, spread, table
from liquid_networks import NETWORKS
from torch import Tensor, nn

from tidegate.bundle import Bundle
from tidegate.learning.augment import to_tensor
from tidegate.learning.collect import collect, plan_drives
from tidegate.learning.dataset import Windows, load_drive
from tidegate.learning.recipe import load_recipe
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.stack import Stack

SEED = 3200
"""Of the first drive; no test and no shipped training knows these roads."""
PEERS = {"ltc": "ncps ltc", "cfc": "ncps cfc", "lstm": "ncps ltc"}
COMPARED = ("ltc", "ncps ltc", "cfc", "ncps cfc", "lstm")


def batches(drives: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """All windows that do not overlap: inputs (B, T, F + 1), ``dt`` (B, T) [s], wanted outputs (B, T, 2)."""
    settings, recipe = load_settings(SETTINGS), load_recipe()
    stack = Stack.from_bundle(Bundle.load(MODEL))
    policy, car = settings.policy, Car.from_settings(settings)
    with tempfile.TemporaryDirectory() as folder:
        plans = plan_drives(
            Path(SETTINGS), Path(folder), SEED, drives, dataclasses.replace(recipe.collect, white_share=0)
        )
        loaded = [load_drive(path, settings.perception)[0] for path in collect(plans, recipe.threads)]
    windows = Windows(loaded, recipe.train, car.effective_mass, 1 / settings.camera.rate_hz)
    made = []
    for batch in windows.every():
        with torch.no_grad():
            images = to_tensor(batch.images)
            features = stack.backbone(images.flatten(0, 1)).features.view(*images.shape[:2], -1)
        speed = torch.from_numpy(batch.speed)[..., None] / policy.speed_scale
        wanted = torch.stack(
            [
                torch.from_numpy(batch.acceleration).nan_to_num() / policy.acceleration_scale,
                torch.from_numpy(batch.curvature) / policy.curvature_scale,
            ],
            dim=-1,
        )
        made.append((torch.cat([features, speed], dim=-1), torch.from_numpy(batch.dt), wanted))
    return made


def epoch(name: str, data: list[tuple[Tensor, Tensor, Tensor]]) -> Callable[[], None]:
    """Learn from every window once; ours are told the steps' true length, the others cannot be."""
    network: nn.Module = NETWORKS[name]()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    timed = name in ("ltc", "cfc")

    def learn() -> None:
        for inputs, dt, wanted in data:
            optimiser.zero_grad(set_to_none=True)
            found = (network(inputs, dt) if timed else network(inputs))[0][..., : wanted.shape[-1]]
            torch.nn.functional.smooth_l1_loss(found, wanted).backward()
            optimiser.step()

    return learn


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """As for a single training step."""
    for cell, least in (("ltc", 8.0), ("cfc", 3.0)):
        yield Aim(f"epoch of the {cell}, times as fast as ncps", figures[cell]["ratio"], least=least)


def main(arguments: list[str] | None = None) -> None:
    """Time all in turns, in processor time: other load does not count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--drives", type=int, default=24, help="of the expert, 20 s each")
    add_check(parser)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = batches(chosen.drives)

    def run(learn: Callable[[], None]) -> Callable[[], list[float]]:
        return lambda: [mean_time(learn, 1, time.process_time)]

    times = in_turns({name: run(epoch(name, data)) for name in COMPARED}, chosen.rounds)
    frames = sum(dt.numel() for _, dt, _ in data)
    figures: dict[str, Any] = {"rounds": chosen.rounds, "drives": chosen.drives, "frames": frames}
    for name, parts in times.items():
        ratios = spread(theirs[0] / mine[0] for theirs, mine in zip(times[PEERS.get(name, name)], parts, strict=True))
        figures[name] = {"ms": statistics.median(part[0] for part in parts) / 1e3, **ratios}
    told = (f"{name} {figures[name]['ms']:.0f} ms ({figures[name]['ratio']:.1f})" for name in COMPARED)
    print(save("liquid_epoch", figures), *told)
    judge(aims(figures), chosen.check)


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    words = {
        "ltc": ("tidegate LTC", "`ncps` LTC"),
        "ncps ltc": ("`ncps` LTC", ""),
        "cfc": ("tidegate CfC", "`ncps` CfC"),
        "ncps cfc": ("`ncps` CfC, wired", ""),
        "lstm": ("`torch.nn.LSTM`", "`ncps` LTC"),
    }
    rows = [
        (told, f"{(found := figures[name])['ms']:.0f}", f"{ratio(found, '.1f')} {peer}" if peer else "1")
        for name, (told, peer) in words.items()
    ]
    return (
        f"## Epoch of the driving task\n\nThe liquid part alone learns the expert's command once from each of "
        f"{figures['frames']} frames ({figures['drives']} drives, windows of {load_recipe().train.window}), optimiser "
        f"included, the camera part's answers made before; 19 neurons, one thread; {figures['rounds']} rounds in turns "
        f"within one process.\n\n{table(('network', 'processor time [ms], median', 'times as fast as'), rows)}"
    )


if __name__ == "__main__":
    main()
