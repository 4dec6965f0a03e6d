# SPDX-License-Identifier: Apache-2.0
"""The whole comparison: code the pictures, train every architecture with every seed, drive, and tell; it can go on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from tidegate.attack.campaign import run_jobs, shared_facts
from tidegate.bag import bags_in
from tidegate.bundle import Bundle
from tidegate.comparison.conditions import check_conditions
from tidegate.comparison.lessons import check_standing, data_facts, keep_codes, lessons, parted
from tidegate.comparison.peers import check_architectures
from tidegate.comparison.table import Told, table
from tidegate.comparison.training import Trained, Training, run_training
from tidegate.comparison.trial import Driven, Trial, run_trial
from tidegate.errors import SettingsError
from tidegate.evaluation.rollout import Task, check_task
from tidegate.learning.recipe import load_recipe
from tidegate.settings import load_settings

TRAININGS, DRIVES, TABLE = "trainings.jsonl", "drives.jsonl", "comparison.md"


@dataclass(slots=True)
class Listener:
    """What is told while it runs: ``begin`` a stage with its number of jobs, ``advance`` by one, ``note`` a line."""

    begin: Callable[[str, int], None] = lambda stage, total: None
    advance: Callable[[], None] = lambda: None
    note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to compare.

    Attributes:
        settings, bundle: of the robot and the network whose convolutions see for all.
        bags: what all learn from; a few of them choose the learning rate, a few measure.
        out: folder for codes, weights, figures and the table.
        architectures: names of ``peers.ARCHITECTURES``.
        trainings: of each, with the seeds 0, 1, …
        steps: of each training.
        rates: learning rates that the first seed tries; the one that costs least on the bags that choose is taken.
        conditions: names of ``conditions.CONDITIONS``.
        roads: (scene, seed) to drive.
        filtered: without the filter, with it, or both.
        longest_s: of a drive [s].
    """

    settings: Path
    bundle: Path
    bags: Sequence[Path]
    out: Path
    architectures: Sequence[str]
    trainings: int
    steps: int
    rates: Sequence[float]
    conditions: Sequence[str]
    roads: Sequence[tuple[str, int]]
    filtered: Sequence[bool] = (False, True)
    longest_s: float = math.inf
    processes: int = 2
    listener: Listener = field(default_factory=Listener)

    def run(self) -> Told:
        """Do what ``out`` does not hold yet, write the table, and return what it says.

        Raises:
            SettingsError: an architecture or a condition that there is none of, or ``out`` holds another comparison;
            BagError: bags that cannot be used, or that do not show how to drive off; BundleError, SceneError: as
            ``check_task``.
        """
        check_architectures(self.architectures)
        check_conditions(self.conditions)
        if not all(rate > 0 for rate in self.rates) or not self.rates:
            raise SettingsError(f"learning rates are {list(self.rates)}; there must be one, and all above 0")
        for scene in dict(self.roads):
            check_task(Task(str(self.settings), str(self.bundle), scene, self.roads[0][1]))
        facts = self._prepare()
        trained = self._train(facts)
        driven = self._drive(facts, [one for one in trained if not one.error])
        told = Told(trained, driven)
        (self.out / TABLE).write_text(table(told, self.conditions), "utf-8")
        return told

    def _prepare(self) -> dict[str, str]:
        """The facts that all of it depends on; codes of the pictures are there afterwards."""
        settings, recipe = load_settings(self.settings), load_recipe()
        parts = parted(bags_in(self.bags))
        facts = shared_facts(str(self.settings), str(self.bundle)) | data_facts(parts, recipe)
        self.listener.begin("read and code bags", sum(map(len, parts.values())))
        bundle = Bundle.load(self.bundle, settings.vehicle.name)
        keep_codes(
            parts,
            self.out / "codes",
            facts,
            bundle,
            settings,
            recipe,
            self.processes,
            lambda path: self.listener.advance(),
        )
        check_standing(lessons(self.out / "codes", "train", bundle, settings, recipe), recipe.train)
        return facts

    def _train(self, facts: dict[str, str]) -> list[Trained]:
        """The training of every architecture and seed, at the rate that was best for the first seed."""
        file = self.out / TRAININGS
        _forget_failures(file)

        def run(jobs: list[Training], stage: str) -> list[Trained]:
            self.listener.begin(stage, len(jobs))
            return run_jobs(jobs, run_training, Trained, file, facts, self.processes, self._heard)

        tried = run([self._training(name, 0, rate) for name in self.architectures for rate in self.rates], "train")
        chosen: list[Trained] = []
        for name in self.architectures:
            mine = [one for one in tried if one.architecture == name]
            chosen.append(min(mine, key=lambda one: one.choosing))
        others = [
            self._training(one.architecture, seed, one.rate)
            for seed, one in product(range(1, self.trainings), chosen)
            if not one.error
        ]
        return chosen + (run(others, "train the other seeds") if others else [])

    def _training(self, architecture: str, seed: int, rate: float) -> Training:
        return Training(str(self.settings), str(self.bundle), str(self.out), architecture, seed, rate, self.steps)

    def _drive(self, facts: dict[str, str], trained: Sequence[Trained]) -> list[Driven]:
        """Every network under every condition on every road, the easiest condition first."""
        file = self.out / DRIVES
        _forget_failures(file)
        trials = [
            Trial(
                str(self.settings),
                str(self.bundle),
                str(self._training(one.architecture, one.seed, one.rate).network),
                one.architecture,
                one.seed,
                one.rate,
                one.steps,
                condition,
                *road,
                filtered,
                self.longest_s,
            )
            for condition, filtered, one, road in product(self.conditions, self.filtered, trained, self.roads)
        ]
        if not trials:
            return []
        self.listener.begin("drive", len(trials))
        return run_jobs(trials, run_trial, Driven, file, facts, self.processes, self._heard)

    def _heard(self, one: Trained | Driven) -> None:
        self.listener.advance()
        if one.error:
            self.listener.note(f"{one.key}: {one.error}")


def _forget_failures(file: Path) -> None:
    """Take the lines of what failed out of ``file``, so that it is tried again."""
    if not file.exists():
        return
    lines = file.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not _failed(line)]
    if len(kept) < len(lines):
        file.with_suffix(".new").write_text("".join(kept), "utf-8")
        file.with_suffix(".new").replace(file)


def _failed(line: str) -> bool:
    try:
        return bool(json.loads(line).get("error"))
    except ValueError:
        return False  # cut off, which who reads the file deals with
