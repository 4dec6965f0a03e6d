# SPDX-License-Identifier: Apache-2.0
"""What a training needs to go on after it was killed, and when it had better stop."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch

from tidegate.errors import BundleError
from tidegate.learning.augment import to_tensor
from tidegate.learning.dataset import Batch, Windows
from tidegate.learning.loss import Stage, lane_loss, losses
from tidegate.learning.memory import Memory
from tidegate.learning.recipe import TrainRecipe
from tidegate.stack import Stack


class EarlyStop:
    """Measures a stage by what held-out windows cost, undisturbed, neurons at zero; remembers the best weights."""

    def __init__(self, stack: Stack, stage: Stage, held: Windows, recipe: TrainRecipe) -> None:
        """``held`` are windows of images; in the policy stage their codes are made once."""
        self._stack, self._stage, self._recipe = stack, stage, recipe
        self._batches = held.every()
        self._codes = [self._code(batch) for batch in self._batches] if stage == "policy" else []
        self.state: dict[str, Any] = {"best": math.inf, "worse": 0, "weights": {}}

    @property
    def over(self) -> bool:
        """Whether the last ``patience`` measurements were none better."""
        return bool(self.state["worse"] >= self._recipe.patience)

    def measure(self) -> None:
        """Measure once more."""
        cost = self.cost()
        if cost < self.state["best"]:
            self.state = {"best": cost, "worse": 0, "weights": copy.deepcopy(self._stack.state_dict())}
        else:
            self.state["worse"] += 1

    def go_back(self) -> None:
        """To the best weights that were measured, if any."""
        if self.state["weights"]:
            self._stack.load_state_dict(self.state["weights"])

    @torch.no_grad()
    def cost(self) -> float:
        """Mean of the stage's loss over the windows."""
        stack, total, count = self._stack, 0.0, 0
        for index, batch in enumerate(self._batches):
            if self._stage == "lane":
                seen = stack.backbone(to_tensor(batch.images).flatten(0, 1))
                wanted = torch.from_numpy(batch.lane).flatten(0, 1)
                found = lane_loss(seen.lane, seen.lane_log_scale, wanted, stack.backbone.lane_scale, self._recipe)
            else:
                code = self._codes[index] if self._codes else self._code(batch)
                out = stack.from_code(code, torch.from_numpy(batch.speed), torch.from_numpy(batch.dt))
                found = losses(out, batch, stack.backbone.lane_scale, self._recipe).total
            total, count = total + float(found) * len(batch.places), count + len(batch.places)
        return total / count

    @torch.no_grad()
    def _code(self, batch: Batch) -> torch.Tensor:
        images = to_tensor(batch.images)
        return self._stack.backbone.code(images.flatten(0, 1)).view(*images.shape[:2], -1)


class Kept:
    """A stage's whole state, as one file that is there whole or not at all."""

    def __init__(
        self,
        stack: Stack,
        optimiser: torch.optim.Optimizer,
        memory: Memory | None,
        stop: EarlyStop | None,
        identity: str,
    ) -> None:
        """``identity`` tells one training from another."""
        self._stack, self._optimiser, self._memory, self._stop = stack, optimiser, memory, stop
        self._identity = identity

    def keep(self, path: Path, step: int) -> None:
        """Write the state after ``step`` steps."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "identity": self._identity,
            "step": step,
            "stack": self._stack.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "ends": None if self._memory is None else self._memory.ends,
            "stop": None if self._stop is None else self._stop.state,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def resume(self, path: Path) -> int:
        """Take the state from a file; how many steps it has behind it.

        Raises:
            BundleError: it is no checkpoint, or of another training.
        """
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
            known, step = str(state["identity"]), int(state["step"])
        except Exception as error:  # torch has no error class of its own for a file that is no checkpoint
            raise BundleError(f"{path}: is no checkpoint ({error}); delete it to begin anew") from error
        if known != self._identity:
            raise BundleError(
                f"{path}: belongs to another training (recipe, wiring, data or phase); delete it to begin anew"
            )
        self._stack.load_state_dict(state["stack"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self._memory is not None:
            self._memory.ends = state["ends"]
        if self._stop is not None:
            self._stop.state = state["stop"]
        return step
