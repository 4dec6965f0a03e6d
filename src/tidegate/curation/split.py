# SPDX-License-Identifier: Apache-2.0
"""Which bags measure a training instead of feeding it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

HELD_SHARE = 0.08
"""Share of the bags that are held out."""


def split(paths: Sequence[Path], share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """Bags for training and for validation; a bag is never in both."""
    order = np.random.default_rng([seed, 17]).permutation(len(paths))
    held = set(order[: max(1, round(share * len(paths)))].tolist()) if len(paths) > 1 else set()
    train = [path for index, path in enumerate(paths) if index not in held]
    return train, [path for index, path in enumerate(paths) if index in held]
