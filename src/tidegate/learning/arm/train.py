# SPDX-License-Identifier: Apache-2.0
"""The training loop of an arm's policy: one seed gives one result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from tidegate.arm_stack import ArmStack
from tidegate.learning.arm.collect import Glimpses, Lesson
from tidegate.learning.arm.recipe import ArmTrainRecipe
from tidegate.learning.augment import augment, to_tensor
from tidegate.learning.recipe import AugmentRecipe
from tidegate.learning.train import schedule
from tidegate.liquid.tool_policy import drawn, heard

Heard = Callable[[float], None]
"""Gets the loss of a step."""

THIN = 4
"""Of so many pictures in a row one is looked at: its neighbours show the same."""
SHARP = 0.5
"""Error [units] above which a cost grows with it, below with its square."""


class ArmTrainer:
    """Trains ``stack`` on lessons, first to see, then to ask."""

    def __init__(self, stack: ArmStack, recipe: ArmTrainRecipe, look: AugmentRecipe, seed: int) -> None:
        self.stack, self._recipe, self._look, self._seed = stack, recipe, look, seed
        self._tool, self._period = stack.settings.policy.tool, 1 / stack.settings.camera.rate_hz
        self._units = torch.tensor([*[recipe.sight_unit] * 7, recipe.press_unit])

    def see(
        self, lessons: Sequence[Lesson | Glimpses], steps: int, phase: int = 0, listen: Heard = lambda loss: None
    ) -> None:
        """The convolutional network learns from single pictures where things are."""
        recipe, random = self._recipe, np.random.default_rng([self._seed, phase, 0])
        sight = self.stack.sight
        thin = [slice(None, None, THIN if isinstance(lesson, Lesson) else 1) for lesson in lessons]
        images = np.concatenate([lesson.image[some] for lesson, some in zip(lessons, thin, strict=True)])
        wanted = told(np.concatenate([lesson.sights[some] for lesson, some in zip(lessons, thin, strict=True)]))
        peak = recipe.sight_rate * (recipe.again if phase else 1.0)
        optimiser = torch.optim.AdamW(sight.parameters(), weight_decay=recipe.weight_decay)
        for step in range(steps):
            _pace(optimiser, [peak], step, steps, recipe.ramp)
            chosen = random.integers(len(images), size=recipe.sight_frames)
            seen, _ = augment(images[chosen][:, None], self._look, random)
            with torch.autocast("cpu", torch.bfloat16, enabled=step < recipe.coarse * steps):
                maps = sight.maps(seen[:, 0])
            loss = self._sight_loss(sight.read(maps.float()), torch.from_numpy(wanted[chosen]))
            self._step(optimiser, loss, list(sight.parameters()))
            listen(float(loss.detach()))

    def ask(self, lessons: Sequence[Lesson], steps: int, phase: int = 0, listen: Heard = lambda loss: None) -> None:
        """The liquid network learns what the teacher asks for, from what is seen and sensed."""
        recipe, random = self._recipe, np.random.default_rng([self._seed, phase, 1])
        taught = [self._taught(lesson, self._sights(lesson, random)) for lesson in lessons]
        liquid = list(self.stack.policy.parameters())
        optimiser = torch.optim.AdamW(liquid, weight_decay=0.0)
        lengths = np.array([len(one[0]) for one in taught], float)
        for step in range(steps):
            _pace(optimiser, [recipe.liquid_rate], step, steps, recipe.ramp)
            fresh, size = random.random() < recipe.fresh_share, recipe.window
            rows: list[list[Tensor]] = []
            for number in random.choice(len(taught), recipe.batch, p=lengths / lengths.sum()):
                first = 0 if fresh else int(random.integers(len(taught[number][0]) - size + 1))
                rows.append([part[first : first + size] for part in taught[number]])
            inputs, aim = (torch.stack(parts) for parts in zip(*rows, strict=True))
            made, _ = self.stack(inputs, torch.full(inputs.shape[:2], self._period))
            used = slice(1 if fresh else recipe.warm_up, None)
            loss = self._aim_loss(made[:, used], aim[:, used])
            self._step(optimiser, loss, liquid)
            listen(float(loss.detach()))

    @torch.no_grad()
    def measure(self, lessons: Sequence[Lesson]) -> dict[str, float]:
        """Root mean square errors on lessons that were not learnt from: of the goal seen and of the place asked for
        [m], of the share of the force."""
        seen, asked, pressed = [], [], []
        for lesson in lessons:
            sights = self.stack.sight(to_tensor(lesson.image)).numpy()
            seen.append(np.square(sights[:, :3] - lesson.sights[:, :3]).sum(axis=1))
            inputs, aim = (part[None] for part in self._taught(lesson, sights))
            made, _ = self.stack(inputs, torch.full(inputs.shape[:2], self._period))
            wrong = (made - aim)[0, self._recipe.warm_up :].numpy()
            asked.append(np.square(self._tool.near * wrong[:, :3]).sum(axis=1))
            pressed.append(np.square(wrong[:, 3]))
        means = (float(np.sqrt(np.concatenate(parts).mean())) for parts in (seen, asked, pressed))
        return dict(zip(("seen_m", "asked_m", "press_share"), means, strict=True))

    def _taught(self, lesson: Lesson, sights: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """What is heard (T, 19) in a lesson and what is to be asked for (T, 4), as the network says it."""
        senses, seen, tool = lesson.senses.astype(float), sights.astype(float), self._tool
        place = senses[:, :3]
        added = drawn(lesson.aim[:, :3] - place, tool.far) - drawn(seen[:, :3] - place, tool.far)
        aim = np.concatenate((added / tool.near, lesson.aim[:, 3:]), axis=1)
        moved = np.diff(seen, axis=0, prepend=seen[:1]) / self._period
        inputs = heard(seen, moved, senses, tool)
        return torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(aim.astype(np.float32))

    @torch.no_grad()
    def _sights(self, lesson: Lesson, random: np.random.Generator) -> NDArray[np.float32]:
        """What is seen (T, 8) in a lesson's pictures, disturbed as in training."""
        images, _ = augment(lesson.image[None], self._look, random)
        seen: NDArray[np.float32] = self.stack.sight(images[0]).numpy()
        return seen

    def _sight_loss(self, seen: Tensor, wanted: Tensor) -> Tensor:
        """Mean cost over what there is; NaN = there is nothing."""
        off = ((seen - wanted) / self._units)[wanted.isfinite()]
        return smooth_l1_loss(off, torch.zeros_like(off), beta=SHARP)

    def _aim_loss(self, made: Tensor, wanted: Tensor) -> Tensor:
        unit = self._recipe.place_unit / self._tool.near
        off = torch.cat(((made - wanted)[..., :3] / unit, (made - wanted)[..., 3:] / self._recipe.press_unit), dim=-1)
        return smooth_l1_loss(off, torch.zeros_like(off), beta=SHARP)

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor, parameters: list[torch.nn.Parameter]) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, self._recipe.clip)
        optimiser.step()


def told(sights: NDArray[np.float32]) -> NDArray[np.float32]:
    """``sights`` (T, 7) of ``ArmTask`` with whether something is in the way (T, 8)."""
    return np.concatenate((sights, np.isfinite(sights[:, 4:5]).astype(np.float32)), axis=1)


def _pace(optimiser: torch.optim.Optimizer, peaks: Sequence[float], step: int, steps: int, ramp: float) -> None:
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["lr"] = peak * schedule(step, steps, ramp)
