# SPDX-License-Identifier: Apache-2.0
"""Drives that nobody drove: every value tells its frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tidegate.bag import Drive
from tidegate.learning.recipe import TrainRecipe

RECIPE = TrainRecipe(batch=5, window=8, warm_up=2)


def drive(frames: int, **changes: Any) -> Drive:
    count = np.arange(frames)
    values: dict[str, Any] = {
        "path": Path("made"),
        "stamp": 50_000_000 * count.astype(np.int64),
        "images": np.broadcast_to(count.astype(np.uint8)[:, None, None, None], (frames, 2, 3, 3)),
        "speed": count.astype(float),
        "force": 1000.0 * count,
        "curvature": 0.001 * count,
        "lane": np.tile(count[:, None], (1, 6)).astype(float),
        "interrupted": False,
    }
    return Drive(**(values | changes))
