# SPDX-License-Identifier: Apache-2.0
"""The data of a comparison: bags read once, their pictures coded once by the frozen convolutions, and kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.bag import Drive, bag_hash
from tidegate.bundle import Bundle
from tidegate.curation.split import HELD_SHARE, split
from tidegate.errors import BagError
from tidegate.learning.dataset import Windows, read_bags
from tidegate.learning.recipe import Recipe, TrainRecipe
from tidegate.learning.train import Trainer
from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.stack import Stack

PARTS = ("train", "choose", "held")
"""Bags that teach, that choose between learning rates, and that measure."""
FACTS = "facts.json"
FIELDS = ("stamp", "images", "speed", "force", "curvature", "lane")
LEAST = 3
SLOW, SLOW_SHARE = 1.0, 0.01
"""Every drive begins standing, so of the lessons at least this share must be slower than so many [m/s]."""
BATCHES_LOOKED_AT = 64


def parted(bags: Sequence[Path]) -> dict[str, list[Path]]:
    """The bags of each of ``PARTS``; a bag is in one alone, however often it is named.

    Raises:
        BagError: too few.
    """
    bags = list(dict.fromkeys(path.resolve() for path in bags))
    if len(bags) < LEAST:
        raise BagError(f"{len(bags)} bag(s): a comparison needs {LEAST}, to learn from, to choose by and to measure on")
    rest, held = split(bags, HELD_SHARE, 0)
    train, choose = split(rest, HELD_SHARE, 1)
    return dict(zip(PARTS, (train, choose, held), strict=True))


def data_facts(parts: Mapping[str, Sequence[Path]], recipe: Recipe) -> dict[str, str]:
    """Digests of the bags, part by part, and of the recipe."""
    made = {part: [bag_hash(path) for path in paths] for part, paths in parts.items()}
    return {"data": _digest(made), "recipe": _digest(dataclasses.asdict(recipe))}


def keep_codes(
    parts: Mapping[str, Sequence[Path]],
    folder: Path,
    facts: Mapping[str, str],
    bundle: Bundle,
    settings: Settings,
    recipe: Recipe,
    processes: int,
    heard: Callable[[Path], None],
) -> None:
    """Write the drives of each part with codes for their pictures, unless ``folder`` has those of the same ``facts``.

    Those that teach are disturbed as in training, the others are as they are; every network learns from the same.

    Raises:
        BagError: a bag is unusable.
    """
    told = folder / FACTS
    if told.exists() and json.loads(told.read_text("utf-8")) == dict(facts):
        return
    folder.mkdir(parents=True, exist_ok=True)
    told.unlink(missing_ok=True)
    trainer = Trainer(Stack.from_bundle(bundle), recipe, settings)
    for part, paths in parts.items():
        code = trainer.code if part == "train" else trainer.plain_code
        arrays: dict[str, Any] = {}
        jobs = [(index, path, None) for index, path in enumerate(paths)]
        for (index, path, _), (drive, _) in read_bags(jobs, settings.perception, processes=processes):
            coded = dataclasses.replace(drive, images=code(drive.images))
            arrays |= {f"{index}.{name}": getattr(coded, name) for name in FIELDS}
            heard(path)
        np.savez(folder / f"{part}.npz", **arrays)
    told.write_text(json.dumps(dict(facts)), "utf-8")


def lessons(folder: Path, part: str, bundle: Bundle, settings: Settings, recipe: Recipe) -> Windows:
    """Windows of codes of one of ``PARTS``.

    Raises:
        OSError: nothing was kept; BagError: no drive is as long as a window.
    """
    with np.load(folder / f"{part}.npz", allow_pickle=False) as kept:
        count = len(kept.files) // len(FIELDS)
        drives = [
            Drive(path=Path(f"{part} {index}"), interrupted=False, **{name: kept[f"{index}.{name}"] for name in FIELDS})
            for index in range(count)
        ]
    mass = Car.from_settings(settings).effective_mass
    return Windows(drives, recipe.train, mass, 1 / settings.camera.rate_hz)


def slow_share(taught: Windows, recipe: TrainRecipe) -> float:
    """Share of the lessons, as training draws and counts them, that are slower than ``SLOW``."""
    random, speeds = np.random.default_rng(0), []
    for _ in range(BATCHES_LOOKED_AT):
        batch = taught.draw(random)
        counted = np.isfinite(batch.acceleration)
        counted[:, : recipe.warm_up] = False
        speeds.append(batch.speed[counted])
    every = np.concatenate(speeds)
    return float((every < SLOW).sum()) / max(len(every), 1)


def check_standing(taught: Windows, recipe: TrainRecipe) -> None:
    """Refuse lessons that do not show how to drive off: whether a car moves would be chance, whoever drives it.

    Raises:
        BagError: naming the share of slow lessons, and what is allowed.
    """
    share = slow_share(taught, recipe)
    if share < SLOW_SHARE:
        raise BagError(
            f"{share:.2%} of the lessons are slower than {SLOW:g} m/s, at least {SLOW_SHARE:.0%} must be: every drive "
            "begins standing; add bags in which the car stands and drives off, as in traffic"
        )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
