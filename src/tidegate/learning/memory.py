# SPDX-License-Identifier: Apache-2.0
"""The states that neurons really reach while driving: training windows begin with them.

A window that always begins with neurons at zero teaches nothing about the states that minutes of driving lead to, and
a network with two stable states may then stay in the wrong one (Kapturowski et al. 2019 found the same for replayed
sequences and keep the recurrent state with them).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidegate.learning.dataset import Windows
from tidegate.stack import Stack


class Memory:
    """Neurons before every frame of every drive, as the network in training reaches them."""

    def __init__(self, coded: Windows, neurons: int) -> None:
        """Neurons at zero everywhere; ``coded`` holds codes of the images."""
        self._whole = coded.whole()
        drives, frames = self._whole.speed.shape
        self._before = torch.zeros(drives, frames, neurons)
        self.ends = torch.zeros(drives, neurons)
        """(D, N) neurons after each drive; with the weights, all that a resumed training needs."""

    @torch.no_grad()
    def refresh(self, stack: Stack, random: np.random.Generator) -> None:
        """Drive through all drives anew, each beginning with the neurons with which another one ended before.

        So the neurons grow older by the length of a drive with every pass.
        """
        whole = self._whole
        start = self.ends[torch.from_numpy(random.permutation(len(self.ends)))]
        driven = stack.from_code(
            torch.from_numpy(whole.images), torch.from_numpy(whole.speed), torch.from_numpy(whole.dt), start
        )
        self._before = torch.cat([start[:, None], driven.neurons[:, :-1]], dim=1)
        self.ends = driven.neurons[torch.arange(len(start)), torch.from_numpy(whole.length - 1)]

    def before(self, places: NDArray[np.int64]) -> Tensor:
        """Neurons (B, N) before the frames ``places`` (B, 2) = (drive, frame)."""
        return self._before[torch.from_numpy(places[:, 0]), torch.from_numpy(places[:, 1])]
