# SPDX-License-Identifier: Apache-2.0
"""The training loop of an arm's policy: one seed gives one result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from tidegate.arm_stack import SIGHTS, ArmStack
from tidegate.learning.arm.collect import Glimpses, Lesson
from tidegate.learning.arm.recipe import ArmTrainRecipe
from tidegate.learning.augment import augment, to_tensor
from tidegate.learning.recipe import AugmentRecipe
from tidegate.learning.train import schedule
from tidegate.liquid.tool_policy import scaled

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
        self._centre = np.array([*self._tool.centre, 0.0, *self._tool.centre], np.float32)

    def see(
        self, lessons: Sequence[Lesson | Glimpses], steps: int, phase: int = 0, heard: Heard = lambda loss: None
    ) -> None:
        """The convolutional network learns from single pictures where things are."""
        recipe, random = self._recipe, np.random.default_rng([self._seed, phase, 0])
        backbone = self.stack.backbone
        thin = [slice(None, None, THIN if isinstance(lesson, Lesson) else 1) for lesson in lessons]
        images = np.concatenate([lesson.image[some] for lesson, some in zip(lessons, thin, strict=True)])
        wanted = np.concatenate([lesson.sights[some] for lesson, some in zip(lessons, thin, strict=True)])
        wanted -= self._centre
        peak = recipe.backbone_rate * (recipe.again if phase else 1.0)
        optimiser = torch.optim.AdamW(backbone.parameters(), weight_decay=recipe.weight_decay)
        for step in range(steps):
            _pace(optimiser, [peak], step, steps, recipe.ramp)
            chosen = random.integers(len(images), size=recipe.sight_frames)
            seen, _ = augment(images[chosen][:, None], self._look, random)
            loss = self._sight_loss(backbone(seen[:, 0]).lane, torch.from_numpy(wanted[chosen]))
            self._step(optimiser, loss, list(backbone.parameters()))
            heard(float(loss.detach()))

    def ask(self, lessons: Sequence[Lesson], steps: int, phase: int = 0, heard: Heard = lambda loss: None) -> None:
        """The liquid network, and the layer of the features before it, learn what the teacher asks for."""
        recipe, random = self._recipe, np.random.default_rng([self._seed, phase, 1])
        if phase == 0:
            self._tell()
        taught = [self._taught(lesson, self._code(lesson, random)) for lesson in lessons]
        liquid, features = list(self.stack.policy.parameters()), list(self.stack.backbone.features.parameters())
        optimiser = torch.optim.AdamW([{"params": liquid}, {"params": features}], weight_decay=0.0)
        lengths = np.array([len(one[0]) for one in taught], float)
        for step in range(steps):
            _pace(optimiser, [recipe.liquid_rate, recipe.features_rate], step, steps, recipe.ramp)
            fresh, size = random.random() < recipe.fresh_share, recipe.window
            rows: list[list[Tensor]] = []
            for number in random.choice(len(taught), recipe.batch, p=lengths / lengths.sum()):
                first = 0 if fresh else int(random.integers(len(taught[number][0]) - size + 1))
                rows.append([part[first : first + size] for part in taught[number]])
            code, senses, aim = (torch.stack(parts) for parts in zip(*rows, strict=True))
            made, _ = self.stack(code, senses, torch.full(code.shape[:2], self._period))
            used = slice(1 if fresh else recipe.warm_up, None)
            loss = self._aim_loss(made[:, used], aim[:, used])
            self._step(optimiser, loss, [*liquid, *features])
            heard(float(loss.detach()))

    @torch.no_grad()
    def _tell(self) -> None:
        """Let the first features begin as what the head says of places: they need not be found anew."""
        backbone = self.stack.backbone
        backbone.features.weight[:SIGHTS] = backbone.lane.weight[:SIGHTS]
        backbone.features.bias[:SIGHTS] = backbone.lane.bias[:SIGHTS]

    @torch.no_grad()
    def measure(self, lessons: Sequence[Lesson]) -> dict[str, float]:
        """Root mean square errors on lessons that were not learnt from: of places seen and asked for [m], of the share
        of the force."""
        seen, asked, pressed = [], [], []
        for lesson in lessons:
            code = self.stack.backbone.code(to_tensor(lesson.image))
            off = self.stack.backbone.heads(code).lane.numpy() - (lesson.sights - self._centre)
            seen.append(np.square(off[:, :3]).sum(axis=1))
            code, senses, aim = (part[None] for part in self._taught(lesson, code))
            made, _ = self.stack(code, senses, torch.full(code.shape[:2], self._period))
            wrong = (made - aim)[0, self._recipe.warm_up :].numpy()
            asked.append(np.square(self._tool.place * wrong[:, :3]).sum(axis=1))
            pressed.append(np.square(wrong[:, 3]))
        means = (float(np.sqrt(np.concatenate(parts).mean())) for parts in (seen, asked, pressed))
        return dict(zip(("seen_m", "asked_m", "press_share"), means, strict=True))

    def _taught(self, lesson: Lesson, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes, senses and aims (T, …) as the network hears and says them."""
        place = (lesson.aim[:, :3] - self._centre[:3]) / self._tool.place
        aim = np.concatenate((place, lesson.aim[:, 3:]), axis=1).astype(np.float32)
        senses = scaled(lesson.senses.astype(float), self._tool).astype(np.float32)
        return code, torch.from_numpy(senses), torch.from_numpy(aim)

    @torch.no_grad()
    def _code(self, lesson: Lesson, random: np.random.Generator) -> Tensor:
        """Codes (T, C) of a lesson's pictures, disturbed as in training."""
        images, _ = augment(lesson.image[None], self._look, random)
        code: Tensor = self.stack.backbone.code(images[0])
        return code

    def _sight_loss(self, seen: Tensor, wanted: Tensor) -> Tensor:
        """Mean cost over what there is; NaN = there is nothing."""
        known = wanted.isfinite()
        return smooth_l1_loss(
            seen[known] / self._recipe.place_unit, wanted[known] / self._recipe.place_unit, beta=SHARP
        )

    def _aim_loss(self, made: Tensor, wanted: Tensor) -> Tensor:
        unit = self._recipe.place_unit / self._tool.place
        off = torch.cat(((made - wanted)[..., :3] / unit, (made - wanted)[..., 3:] / self._recipe.press_unit), dim=-1)
        return smooth_l1_loss(off, torch.zeros_like(off), beta=SHARP)

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor, parameters: list[torch.nn.Parameter]) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, self._recipe.clip)
        optimiser.step()


def _pace(optimiser: torch.optim.Optimizer, peaks: Sequence[float], step: int, steps: int, ramp: float) -> None:
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["lr"] = peak * schedule(step, steps, ramp)
