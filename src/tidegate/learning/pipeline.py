# SPDX-License-Identifier: Apache-2.0
"""From recorded drives, or from nothing, to a bundle: first training, DAgger rounds, calibration."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tidegate.bag import Drive, bags_in, tells_of_lane
from tidegate.bundle import Bundle
from tidegate.card import write_card
from tidegate.curation.plan import Plan, plan_hash
from tidegate.curation.split import HELD_SHARE, split
from tidegate.errors import SettingsError
from tidegate.learning.calibrate import Calibration, calibrate
from tidegate.learning.collect import collect, plan_drives
from tidegate.learning.dataset import Windows, read_bags
from tidegate.learning.gains import learn_gains
from tidegate.learning.log import TrainingLog
from tidegate.learning.loss import Stage, baselines
from tidegate.learning.recipe import Recipe
from tidegate.learning.seen import seen_range
from tidegate.learning.train import Trainer
from tidegate.liquid.compiled import RUNS_IN
from tidegate.machine import processor
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.stack import Stack


@dataclass(slots=True)
class Listener:
    """What is told while it runs: ``begin`` a stage with its number of steps, how many of them were ``done`` before,
    ``advance`` it by one, ``note`` a line."""

    begin: Callable[[str, int], None] = lambda stage, total: None
    done: Callable[[int], None] = lambda steps: None
    advance: Callable[[str], None] = lambda text: None
    note: Callable[[str], None] = lambda text: None


@dataclass(slots=True)
class Pipeline:
    """Keeps what the stages share: paths, recipe, drives, and the record that goes into the bundle.

    Attributes:
        config: the robot's settings file.
        work: folder for bags, checkpoints and ``log.jsonl``; a run that was broken off continues from it.
        name: of the model.
        remap: names of topics in given bags, as ``BagReader`` takes them.
        planned: first frames of the windows to learn from, for each of ``drives``; None = all.
        plan_record: what the bundle tells of the plan.
    """

    config: Path
    work: Path
    recipe: Recipe
    name: str = "car-ltc19"
    listener: Listener = field(default_factory=Listener)
    remap: Mapping[str, str] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    drives: list[Drive] = field(default_factory=list)
    held: list[Drive] = field(default_factory=list)
    planned: list[list[int]] | None = None
    plan_record: dict[str, Any] = field(default_factory=dict)

    def from_scratch(self, out: Path) -> Bundle:
        """Record the expert, train, let the network drive and learn from the expert's answers, calibrate."""
        recipe, began = self.recipe, time.perf_counter()
        collected = self._record("expert", recipe.collect.first_seed, recipe.collect.drives)
        self._take(collected)
        trainer = self._first_training()
        bundle = self._draft(trainer.stack)
        for number in range(1, recipe.dagger.rounds + 1):
            first = recipe.collect.first_seed + recipe.collect.drives + (number - 1) * recipe.dagger.drives
            bags = self._record(
                f"dagger{number}",
                first,
                recipe.dagger.drives,
                bundle=str(bundle),
                expert_share=recipe.dagger.expert_share,
            )
            self._take(bags)
            self._train(trainer, number)
            bundle = self._draft(trainer.stack)
        first, count = recipe.calibrate.first_seed, recipe.calibrate.drives
        held_out = self._record("calibration", first, count, bundle=str(bundle))
        calibrated = self._calibrate(trainer.stack, self._load(held_out))
        return self._finish(self._learn_gains(calibrated), out, began)

    def from_bags(self, bags: Sequence[Path], out: Path) -> Bundle:
        """Train on given bags alone; the bags that are held out calibrate.

        Raises:
            BagError: a bag is unusable, or all together hold no window.
        """
        began = time.perf_counter()
        self._take(bags_in(bags))
        trainer = self._first_training()
        return self._finish(self._calibrate(trainer.stack, self.held), out, began)

    def from_plan(self, path: Path, out: Path) -> Bundle:
        """Train on exactly the windows that a plan of ``tidegate curate`` keeps; the bags that it holds out measure and
        calibrate.

        Raises:
            SettingsError: no plan, or its windows are not the recipe's.
            BagError: a bag has changed since, or is not there.
        """
        began, plan = time.perf_counter(), Plan.load(path)
        if plan.rules.window != self.recipe.train.window:
            raise SettingsError(
                f"{path}: its windows have {plan.rules.window} frames; train.window of the recipe is "
                f"{self.recipe.train.window}"
            )
        self.remap = plan.remap
        feeding = [bag for bag in plan.bags if bag.kept() and not bag.held]
        measuring = [bag for bag in plan.bags if bag.held]
        if not feeding:
            raise SettingsError(f"{path}: keeps no window to learn from")
        drives = self._load([bag.path for bag in feeding + measuring], [bag.sha256 for bag in feeding + measuring])
        self.drives, self.held = drives[: len(feeding)], drives[len(feeding) :]
        self.planned = [bag.kept() for bag in feeding]
        self.plan_record = {"sha256": plan_hash(path), "windows": sum(map(len, self.planned))}
        trainer = self._first_training()
        return self._finish(self._calibrate(trainer.stack, self.held), out, began)

    def _record(self, stage: str, first: int, count: int, **driver: str | float | None) -> list[Path]:
        recipe = self.recipe.collect
        if stage == "calibration":
            recipe = dataclasses.replace(
                recipe, duration_s=self.recipe.calibrate.duration_s, push_share=0.0, white_share=0.0
            )
        plans = plan_drives(self.config, self.work / "bags" / stage, first, count, recipe, **driver)
        with self._timed(f"record {stage}", count):
            return collect(plans, self.recipe.threads, lambda path: self.listener.advance(path.name))

    def _load(self, paths: Sequence[Path], sha256: Sequence[str | None] = ()) -> list[Drive]:
        """Read bags, in as many processes as the recipe has threads; with ``sha256`` none that has changed since."""
        shape = load_settings(self.config).perception
        jobs = list(zip(range(len(paths)), paths, sha256 or [None] * len(paths), strict=True))
        found: dict[int, Drive] = {}
        with self._timed("read bags", len(jobs)):
            for (index, path, _), (drive, digest) in read_bags(jobs, shape, self.remap, self.recipe.threads):
                found[index] = drive
                self.hashes[f"{path.parent.name}/{path.name}"] = digest
                if drive.interrupted:
                    self.listener.note(f"{path}: the recording was interrupted or is damaged; what can be read is used")
                self.listener.advance(path.name)
        return [found[index] for index in range(len(jobs))]

    def _take(self, bags: Sequence[Path]) -> None:
        """Add bags to the training drives and to those that measure it."""
        train, held = split(bags, HELD_SHARE, self.recipe.seed)
        drives = self._load([*train, *held])
        self.drives += drives[: len(train)]
        self.held += drives[len(train) :]

    def _first_training(self) -> Trainer:
        settings = load_settings(self.config)
        trainer = Trainer(Stack.from_settings(settings, self.recipe.seed), self.recipe, settings)
        self._train(trainer, 0)
        return trainer

    def _windows(self, drives: list[Drive], planned: list[list[int]] | None = None) -> Windows:
        settings = load_settings(self.config)
        mass = Car.from_settings(settings).effective_mass
        return Windows(drives, self.recipe.train, mass, 1 / settings.camera.rate_hz, planned)

    def _train(self, trainer: Trainer, phase: int) -> None:
        """The three stages on all drives so far."""
        recipe, windows = self.recipe.train, self._windows(self.drives, self.planned)
        share = self.recipe.dagger.effort if phase else 1.0
        lane = any(tells_of_lane(drive) for drive in self.drives)
        if not lane:
            self.listener.note(
                "no bag tells of the lane: nothing is learnt about it, and its bounds stay unknown; the convolutional "
                "network learns in the last stage alone (train.all_steps, train.tuning)"
            )
        stages: dict[Stage, int] = {
            "lane": round(share * recipe.lane_steps) if lane else 0,
            "policy": recipe.policy_steps,  # quick, and what the network does in its own states needs learning anew
            "all": round(share * recipe.all_steps),
        }
        held = self._windows(self.held) if self.held else None
        if recipe.patience and held is None:
            self.listener.note("no bag is held out, which train.patience goes by: every stage takes all its steps")
        log, shown = TrainingLog(self.work / "log.jsonl"), math.nan

        def heard(step: int, found: dict[str, float]) -> None:
            nonlocal shown
            shown = found["total"] if math.isnan(shown) else 0.98 * shown + 0.02 * found["total"]
            log.step(step, found)
            self.listener.advance(f"loss {shown:.3f}")

        for stage, steps in stages.items():
            shown = math.nan

            def resumed(done: int, stage: Stage = stage, steps: int = steps) -> None:
                log.begin(phase, stage, steps, done)
                self.listener.done(done)

            with self._timed(f"train {phase} {stage}", steps):
                checkpoint = self.work / f"train-{phase}-{stage}.pt"
                trainer.fit(windows, stage, steps, phase, checkpoint, heard, held, resumed)
        if held:
            found = trainer.measure(held) | baselines(held.every(), recipe)
            self.metrics[f"train {phase}"] = {key: round(value, 6) for key, value in found.items()}
            told = (
                f"held-out bags: command loss {found['curvature']:.3f} + {found['acceleration']:.3f} (curvature + "
                f"acceleration; always zero {found['curvature_zero']:.3f} + {found['acceleration_zero']:.3f}, repeat "
                f"the last {found['curvature_last']:.3f} + {found['acceleration_last']:.3f})"
            )
            if "lane_0" in found:
                told += (
                    f"; lane error {found['lane_0']:.3f} m, {found['lane_1']:.4f} rad, {found['lane_2']:.4f} 1/m here"
                )
            self.listener.note(told)

    def _draft(self, stack: Stack) -> Path:
        """A bundle without bounds, good enough to record with."""
        settings = load_settings(self.config)
        path = self.work / "draft"
        stack.to_bundle(self.name, settings, Car.from_settings(settings).effective_mass).save(path)
        return path

    def _calibrate(self, stack: Stack, held_out: list[Drive]) -> Bundle:
        """The network with its error bounds."""
        settings, recipe = load_settings(self.config), self.recipe
        with self._timed("calibrate", 1):
            found: Calibration = calibrate(stack, held_out, self.drives, recipe.calibrate.miscoverage)
        self.metrics["calibration"] = {
            key: [float(f"{value:.4g}") for value in values] for key, values in found.errors.items()
        }
        return stack.to_bundle(
            self.name,
            settings,
            Car.from_settings(settings).effective_mass,
            conformal=found.conformal.tolist() if np.isfinite(found.conformal).all() else (),
            seen=found.seen,
        )

    def _learn_gains(self, bundle: Bundle) -> Bundle:
        """The barrier gains, in closed loops of the whole stack; in the middle of their interval where none matters."""
        recipe, path = self.recipe.gains, self.work / "calibrated"
        bundle.save(path)
        with self._timed("gains", recipe.drives):
            learned = learn_gains(self.config, path, recipe, self.recipe.threads, self.listener.advance)
        self.metrics["gains"] = learned.metrics
        return learned.bundle

    def _finish(self, bundle: Bundle, out: Path, began: float) -> Bundle:
        """Save with the training record and the card."""
        self.durations["total"] = time.perf_counter() - began
        bundle = dataclasses.replace(bundle, training=self._account())
        bundle.save(out)
        write_card(out)
        return bundle

    def _account(self) -> dict[str, Any]:
        """The training record: data, seeds, versions, figures, durations."""
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "frames": int(sum(len(drive.stamp) for drive in self.drives)),
            **({"plan": self.plan_record} if self.plan_record else {}),
            "seen": seen_range(self.drives, load_settings(self.config).perception.saturated_level),
            "data_sha256": dict(sorted(self.hashes.items())),
            "metrics": self.metrics,
            "durations_s": {key: round(value, 1) for key, value in self.durations.items()},
            "versions": {name: version(name) for name in ("tidegate", "torch", "numpy", "mujoco", "rosbags")},
            "processor": processor(),
            "live_step": RUNS_IN,
            "threads": torch.get_num_threads(),
        }

    @contextmanager
    def _timed(self, stage: str, total: int) -> Any:
        """Tell of a stage and keep how long it took."""
        self.listener.begin(stage, total)
        began = time.perf_counter()
        yield
        self.durations[stage] = self.durations.get(stage, 0.0) + time.perf_counter() - began
