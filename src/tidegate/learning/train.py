# SPDX-License-Identifier: Apache-2.0
"""The training loop: one seed gives one result, whether it ran through or was resumed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidegate.learning.augment import augment, to_tensor
from tidegate.learning.checkpoint import EarlyStop, Kept
from tidegate.learning.dataset import Batch, Windows
from tidegate.learning.loss import Losses, Stage, lane_loss, losses, tau_loss
from tidegate.learning.memory import Memory
from tidegate.learning.recipe import Recipe
from tidegate.learning.viewpoint import Viewpoint
from tidegate.liquid.ltc import LTC
from tidegate.settings import Settings
from tidegate.stack import Stack

Heard = Callable[[int, dict[str, float]], None]
"""Gets the number of steps done and the losses of the newest."""

CHECKPOINT_EVERY = 100
"""Steps between checkpoints, and between passes through all drives that find the neurons' states."""


class Trainer:
    """Trains ``stack`` in phases: the first, and one after each round of DAgger."""

    def __init__(self, stack: Stack, recipe: Recipe, settings: Settings) -> None:
        """``settings`` of the robot that recorded the drives: where its camera sits."""
        torch.set_num_threads(recipe.threads)
        self.stack, self._recipe = stack, recipe
        self._viewpoint = Viewpoint(settings)
        self._unit = stack.backbone.lane_scale

    def fit(
        self,
        windows: Windows,
        stage: Stage,
        steps: int,
        phase: int = 0,
        checkpoint: Path | None = None,
        heard: Heard = lambda step, found: None,
        held: Windows | None = None,
        resumed: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Take ``steps`` steps on ``windows``.

        Args:
            windows: training data; for the policy stage they may hold codes, as ``code`` makes them, for images.
            stage: ``lane``: the convolutional network learns the lane from single frames; ``policy``: the liquid
                network learns to drive on what the frozen convolutional network says; ``all``: both, end to end.
            steps: how many.
            phase: number of this training, so that each draws anew; after the first, the lane is learnt more gently.
            checkpoint: file that keeps the state now and then; if it is there, the training resumes from it.
            heard: told of every step.
            held: windows of bags that measure; with ``train.patience`` of the recipe the stage stops where they no
                longer cost less, and ends with the weights with which they cost least.
            resumed: told how many steps were done before.

        Raises:
            BundleError: the checkpoint belongs to another training.
        """
        recipe = self._recipe.train
        optimiser = torch.optim.AdamW(self._groups(stage), weight_decay=0.0)
        identity = self._identity(windows, stage, steps, phase, held if recipe.patience else None)
        memory = None
        if stage != "lane":
            coded = windows if windows.hold_codes else windows.coded(lambda images: self.code(images, phase))
            memory = Memory(coded, self.stack.policy.cell.neurons)
            windows = coded if stage == "policy" else windows
        stop = EarlyStop(self.stack, stage, held, recipe) if held and recipe.patience else None
        kept = Kept(self.stack, optimiser, memory, stop, identity)
        first = kept.resume(checkpoint) if checkpoint and checkpoint.exists() else 0
        resumed(first)
        gentle = {"lane": recipe.again if phase else 1.0, "policy": 1.0, "all": recipe.tuning}[stage]
        frames = self._lane_frames(windows, phase, range(first, steps)) if stage == "lane" else iter(())
        self.stack.train()
        for step in range(first, steps):
            if stop and stop.over:
                break
            random = self._random(stage, phase, step)
            if memory and step % CHECKPOINT_EVERY == 0:
                memory.refresh(self.stack, random)
            for group in optimiser.param_groups:
                group["lr"] = gentle * group["peak"] * schedule(step, steps, recipe.ramp)
            optimiser.zero_grad(set_to_none=True)
            if stage == "lane":
                found = self._lane_loss(*next(frames))
            else:
                found = (self._policy_loss if stage == "policy" else self._loss)(windows, random, memory)
            found.total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_((p for g in optimiser.param_groups for p in g["params"]), recipe.clip)
            optimiser.step()
            heard(step + 1, as_floats(found))
            if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps:
                if stop:
                    stop.measure()
                if checkpoint:
                    kept.keep(checkpoint, step + 1)
        if stop:
            stop.go_back()

    def _groups(self, stage: Stage) -> list[dict[str, Any]]:
        """What a stage trains, and how fast."""
        stack, recipe = self.stack, self._recipe.train
        backbone = {
            "params": list(stack.backbone.parameters()),
            "peak": recipe.backbone_rate,
            "weight_decay": recipe.weight_decay,
        }
        liquid = {"params": list(stack.policy.parameters()), "peak": recipe.liquid_rate}
        features = {"params": list(stack.backbone.features.parameters()), "peak": recipe.features_rate}
        return {"lane": [backbone], "policy": [features, liquid], "all": [backbone, liquid]}[stage]

    def _loss(self, windows: Windows, random: np.random.Generator, memory: Memory | None) -> Losses:
        batch = windows.draw(random)
        start = self._start(batch, random, memory)
        images, blind = augment(batch.images, self._recipe.augment, random)
        out = self.stack(images, torch.from_numpy(batch.speed), torch.from_numpy(batch.dt), start)
        return self._ranged(losses(out, batch, self._unit, self._recipe.train, torch.from_numpy(blind)))

    def _policy_loss(self, windows: Windows, random: np.random.Generator, memory: Memory | None) -> Losses:
        batch = windows.draw(random)
        start = self._start(batch, random, memory)
        out = self.stack.from_code(
            torch.from_numpy(batch.images), torch.from_numpy(batch.speed), torch.from_numpy(batch.dt), start
        )
        return self._ranged(losses(out, batch, self._unit, self._recipe.train))

    def _start(self, batch: Batch, random: np.random.Generator, memory: Memory | None) -> Tensor | None:
        """Neurons (B, N) with which the windows begin: as driven, some as after a reset."""
        if memory is None:
            return None
        fresh = random.random(len(batch.places)) < self._recipe.train.fresh_share
        return memory.before(batch.places) * torch.from_numpy(~fresh)[:, None]

    def _ranged(self, found: Losses) -> Losses:
        """``found`` with the cost of time constants outside their range in its total."""
        cell = self.stack.policy.cell
        if not isinstance(cell, LTC):
            return found  # the closed form has gates instead
        return found._replace(total=found.total + tau_loss(cell.time_constants(), self._recipe.train))

    def _random(self, stage: Stage, phase: int, step: int) -> np.random.Generator:
        """Draws of one step alone, so that a resumed training draws the same."""
        return np.random.default_rng([self._recipe.seed, phase, *stage.encode(), step])

    def _lane_frames(self, windows: Windows, phase: int, steps: range) -> Iterator[tuple[Tensor, Tensor]]:
        """Disturbed single frames (B, 3, h, w) and their lane (B, 2 + K) for each step, made in a thread of their own
        while the network learns from those before: else one core of two would wait half of the time."""
        recipe = self._recipe.augment

        def make(step: int) -> tuple[Tensor, Tensor]:
            random = self._random("lane", phase, step)
            batch = windows.draw_frames(random)
            moved, lane = self._viewpoint.disturb(batch.images[:, 0], batch.lane[:, 0], recipe, random)
            images, _ = augment(moved[:, None], recipe, random)
            return images[:, 0], torch.from_numpy(lane)

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(make, steps.start)
            for step in steps:
                made, coming = coming.result(), pool.submit(make, step + 1)
                yield made

    def _lane_loss(self, images: Tensor, wanted: Tensor) -> Losses:
        seen = self.stack.backbone(images)
        lane = lane_loss(seen.lane, seen.lane_log_scale, wanted, self._unit, self._recipe.train)
        return Losses(lane, torch.zeros(()), torch.zeros(()), lane)

    @torch.no_grad()
    def code(self, images: NDArray[np.uint8], phase: int = 0) -> NDArray[np.float32]:
        """Codes (T, C) of a drive's images (T, h, w, 3), disturbed as in training, in pieces of a window each."""
        random = np.random.default_rng([self._recipe.seed, phase, len(images), int(images[0].sum())])
        size, codes = self._recipe.train.window, []
        no_glare = replace(self._recipe.augment, glare_share=0.0)
        for first in range(0, len(images), size):
            changed, _ = augment(images[None, first : first + size], no_glare, random)
            codes.append(self.stack.backbone.code(changed[0]))
        return np.asarray(torch.cat(codes).numpy(), np.float32)

    @torch.no_grad()
    def plain_code(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Codes (T, C) of a drive's images (T, h, w, 3) as they are."""
        return np.asarray(self.stack.backbone.code(to_tensor(images[None])[0]).numpy(), np.float32)

    @torch.no_grad()
    def measure(self, windows: Windows) -> dict[str, float]:
        """Mean losses and errors on validation drives: commands as trained, and root mean squares in SI units.

        The neurons have driven before: through all drives once, then up to where a window begins. ``windows`` hold
        images, or the codes of ``plain_code``.
        """
        self.stack.eval()
        coded = windows if windows.hold_codes else windows.coded(self.plain_code)
        memory = Memory(coded, self.stack.policy.cell.neurons)
        for again in range(2):
            memory.refresh(self.stack, np.random.default_rng([self._recipe.seed, again]))
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        for batch in coded.every():
            start = memory.before(batch.places)
            code, speed, dt = (torch.from_numpy(each) for each in (batch.images, batch.speed, batch.dt))
            out = self.stack.from_code(code, speed, dt, start)
            found = as_floats(losses(out, batch, self._unit, self._recipe.train))
            used = slice(self._recipe.train.warm_up, None)
            error = (out.lane - torch.from_numpy(batch.lane)).square()
            told = error.isfinite().all(dim=-1)  # frames that tell of the lane
            if told.any():
                found |= {f"lane_{index}": float(value) for index, value in enumerate(error[told].mean(dim=0))}
            for name in ("curvature", "acceleration"):
                wrong = getattr(out, name).numpy() - getattr(batch, name)
                wrong = wrong[:, used][np.isfinite(wrong[:, used])]
                found[f"{name}_error"] = float(np.square(wrong).sum()) / max(wrong.size, 1)
            share = {"acceleration": float(np.isfinite(batch.acceleration).mean()), "lane": float(told.float().mean())}
            for name, value in found.items():
                weight = len(batch.images) * share.get(name.partition("_")[0], 1.0)
                sums[name], counts[name] = sums.get(name, 0.0) + value * weight, counts.get(name, 0.0) + weight
        means = {name: value / max(counts[name], 1e-9) for name, value in sums.items()}
        roots = {name for name in means if name.startswith("lane_") or name.endswith("_error")}
        return {name: math.sqrt(value) if name in roots else value for name, value in means.items()}

    def _identity(self, windows: Windows, stage: Stage, steps: int, phase: int, held: Windows | None) -> str:
        made = [asdict(self._recipe), self.stack.wiring.to_dict(), windows.fingerprint(), stage, steps, phase]
        made += [held.fingerprint()] if held else []
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def schedule(step: int, steps: int, ramp: float) -> float:
    """Share of the peak learning rate: linear rise, then half a cosine down to 2 % (Loshchilov & Hutter 2017)."""
    rise = max(1, round(ramp * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def as_floats(found: Losses) -> dict[str, float]:
    """The losses as plain numbers."""
    values: dict[str, Tensor] = found._asdict()
    return {name: float(value.detach()) for name, value in values.items()}
