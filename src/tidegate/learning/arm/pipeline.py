# SPDX-License-Identifier: Apache-2.0
"""From nothing to an arm's bundle: the teacher's lessons, training, rounds in which the network asks by itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle
from tidegate.card import write_card
from tidegate.learning.arm.collect import Glimpses, Lesson, LessonPlan, glimpse, record
from tidegate.learning.arm.recipe import ArmRecipe
from tidegate.learning.arm.train import ArmTrainer
from tidegate.learning.pipeline import Listener
from tidegate.liquid.compiled import RUNS_IN
from tidegate.machine import processor
from tidegate.settings.arm import load_arm_settings
from tidegate.workers import as_they_end

STEPS = ("sight_steps", "policy_steps")
ASKING = {"batch", "window", "warm_up", "fresh_share", "liquid_rate", "place_unit"}
"""What of the recipe the first stage does not go by."""


@dataclass(slots=True)
class ArmPipeline:
    """Keeps what the stages share.

    Attributes:
        config: the arm's settings file.
        work: folder for lessons and trained stages; what is there already is not made again.
        name: of the model.
    """

    config: Path
    work: Path
    recipe: ArmRecipe
    name: str = "arm-ltc19"
    listener: Listener = field(default_factory=Listener)
    lessons: list[Lesson] = field(default_factory=list)
    glimpses: list[Glimpses] = field(default_factory=list)
    held: dict[str, list[Lesson]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)

    def from_scratch(self, out: Path) -> Bundle:
        """Record the teacher, train, let the network ask and learn from the teacher's answers; write ``out``."""
        recipe, began = self.recipe, time.perf_counter()
        collect, dagger = recipe.collect, recipe.dagger
        torch.set_num_threads(recipe.threads)
        stack = ArmStack(load_arm_settings(self.config), recipe.seed)
        trainer = ArmTrainer(stack, recipe.train, recipe.augment, recipe.seed)
        first = collect.first_seed
        self._take(self._record("teacher", first, collect.episodes))
        first += int(max(collect.episodes))
        glimpsed = self._record("glimpses", collect.first_glimpsed, collect.glimpsed, work=glimpse)
        self.glimpses = [Glimpses.load(path) for paths in glimpsed.values() for path in paths]
        self._train(trainer, 0)
        for number in range(1, dagger.rounds + 1):
            draft = self.work / "draft"
            stack.to_bundle(self.name).save(draft)
            self._take(self._record(f"dagger{number}", first, dagger.episodes, str(draft)))
            self._train(trainer, number)
            first += int(max(dagger.episodes))
        self.durations["total"] = time.perf_counter() - began
        bundle = stack.to_bundle(self.name, self._account())
        bundle.save(out)
        write_card(out)
        return bundle

    def _record(
        self,
        stage: str,
        first: int,
        counts: tuple[float, ...],
        bundle: str = "",
        work: Callable[[LessonPlan], Path] = record,
    ) -> dict[str, list[Path]]:
        """Files of each scene, by seeds from ``first`` on."""
        collect, folder = self.recipe.collect, self.work / "lessons" / stage
        plans = [
            LessonPlan(str(self.config), scene, seed, seconds, folder / f"{scene}-{seed}.npz", collect, bundle, off)
            for scene, seconds, off, count in zip(collect.scenes, collect.seconds, collect.disturb, counts, strict=True)
            for seed in range(first, first + int(count))
        ]
        with self._timed(f"record {stage}", len(plans)):
            few = self.recipe.threads == 1
            done = ((plan, work(plan)) for plan in plans) if few else as_they_end(work, plans, self.recipe.threads)
            for _, path in done:
                self.listener.advance(path.name)
        made: dict[str, list[Path]] = {}
        for plan in plans:
            made.setdefault(plan.scene, []).append(plan.path)
            self.hashes[f"{stage}/{plan.path.stem}"] = hashlib.sha256(plan.path.read_bytes()).hexdigest()
        return made

    def _take(self, recorded: dict[str, list[Path]]) -> None:
        """Add lessons to those that are learnt from; of each scene's first ones the last share measures."""
        for scene, paths in recorded.items():
            kept = len(paths)
            if scene not in self.held:
                kept -= max(1, round(self.recipe.train.held_share * len(paths)))
                self.held[scene] = [Lesson.load(path) for path in paths[kept:]]
            self.lessons += [Lesson.load(path) for path in paths[:kept]]

    def _train(self, trainer: ArmTrainer, phase: int) -> None:
        """Both stages on all lessons so far."""
        recipe = self.recipe.train
        seen: list[Lesson | Glimpses] = [*self.lessons, *self.glimpses]
        stages = (
            ("see", int(recipe.sight_steps[phase]), partial(trainer.see, seen)),
            ("ask", int(recipe.policy_steps[phase]), partial(trainer.ask, self.lessons)),
        )
        for stage, count, learn in stages:
            shown = 0.0

            def heard(loss: float) -> None:
                nonlocal shown
                shown = 0.98 * shown + 0.02 * loss if shown else loss
                self.listener.advance(f"loss {shown:.3f}")

            done = self.work / f"train-{phase}-{stage}-{self._identity(stage, phase)}.pt"
            with self._timed(f"train {phase} {stage}", count):
                if done.exists():
                    trainer.stack.load_state_dict(torch.load(done, weights_only=True))
                    self.listener.done(count)
                else:
                    learn(count, phase, heard)
                    torch.save(trainer.stack.state_dict(), done)
        for scene, lessons in self.held.items():
            found = trainer.measure(lessons)
            self.metrics[f"train {phase} {scene}"] = {key: round(value, 5) for key, value in found.items()}
            self.listener.note(
                f"{scene}, episodes that are held out: places seen within {1000 * found['seen_m']:.1f} mm rms, asked "
                f"for within {1000 * found['asked_m']:.1f} mm, the share of the force within {found['press_share']:.3f}"
            )

    def _identity(self, stage: str, phase: int) -> str:
        """Of a stage's data and all that decides what it makes of them: who has trained it before need not again."""
        recipe = dataclasses.asdict(self.recipe)
        train = {key: value for key, value in recipe["train"].items() if key not in STEPS}
        steps = [recipe["train"][name][: phase + 1] for name in STEPS]
        if stage == "see" and phase == 0:
            train, steps = {key: value for key, value in train.items() if key not in ASKING}, steps[:1]
        settings = dataclasses.asdict(load_arm_settings(self.config))
        known = [train, steps, recipe["seed"], recipe["augment"], settings["policy"], self.hashes, stage, phase]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:12]

    def _account(self) -> dict[str, Any]:
        """The training record: data, seeds, versions, figures, durations."""
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "frames": sum(len(lesson.image) for lesson in self.lessons),
            "data_sha256": dict(sorted(self.hashes.items())),
            "metrics": self.metrics,
            "durations_s": {key: round(value, 1) for key, value in self.durations.items()},
            "versions": {name: version(name) for name in ("tidegate", "torch", "numpy", "mujoco")},
            "processor": processor(),
            "live_step": RUNS_IN,
            "threads": torch.get_num_threads(),
        }

    @contextmanager
    def _timed(self, stage: str, total: int) -> Iterator[None]:
        """Tell of a stage and keep how long it took."""
        self.listener.begin(stage, total)
        began = time.perf_counter()
        yield
        self.durations[stage] = self.durations.get(stage, 0.0) + time.perf_counter() - began
