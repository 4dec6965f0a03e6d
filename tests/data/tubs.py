# SPDX-License-Identifier: Apache-2.0
"""Tubs written without any code of ours: a camera that goes to and fro over a landscape."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.data.bags import Imported

Take = Callable[..., Imported]
"""Of the fixture ``take``."""
HEIGHT, WIDTH = 24, 32
CAR = {"wheelbase_m": 0.2, "full_lock_deg": 30.0, "full_throttle_mps": 4.0, "throttle_lag_s": 0.5}


def landscape(seed: int = 0) -> NDArray[np.uint8]:
    """(HEIGHT, 4 · WIDTH, 3), smooth."""
    rough = np.random.default_rng(seed).integers(0, 255, (6, 32, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (4 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def views(count: int) -> list[NDArray[np.uint8]]:
    """``count`` pictures (HEIGHT, WIDTH, 3) of a camera that goes to and fro over the landscape."""
    wide = landscape()
    places = np.rint(1.5 * WIDTH * (1 - np.cos(np.linspace(0, 2 * np.pi, count)))).astype(int)
    return [np.ascontiguousarray(wide[:, place : place + WIDTH]) for place in places]


def jpeg(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def steering(count: int) -> NDArray[np.float64]:
    """(T,) donkeycar's angle, right positive."""
    return 0.5 * np.sin(np.linspace(0, 6, count))


def tub(
    path: Path,
    count: int = 60,
    *,
    deleted: Sequence[int] = (),
    per_catalog: int = 40,
    change: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda record: record,
) -> Path:
    """A tub v2 at 20 Hz; ``change`` may alter a record or leave it out."""
    (path / "images").mkdir(parents=True)
    names, lines = [], {}
    pictures, angles = views(count), steering(count)
    for index in range(count):
        name = f"{index}_cam_image_array_.jpg"
        (path / "images" / name).write_bytes(jpeg(pictures[index]))
        record = change(
            {
                "_index": index,
                "_session_id": "26-01-01_0",
                "_timestamp_ms": 1_700_000_000_000 + 50 * index,
                "cam/image_array": name,
                "user/angle": float(angles[index]),
                "user/mode": "user",
                "user/throttle": 0.5,
            }
        )
        catalog = f"catalog_{index // per_catalog}.catalog"
        if catalog not in names:
            names.append(catalog)
        if record is not None:
            lines.setdefault(catalog, []).append(json.dumps(record, sort_keys=True) + "\n")
    for catalog in names:
        (path / catalog).write_text("".join(lines.get(catalog, [])), "utf-8")
    manifest(path, paths=names, current_index=count, max_len=per_catalog, deleted_indexes=list(deleted))
    return path


def manifest(path: Path, **told: Any) -> None:
    inputs = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
    rows: list[Any] = [inputs, ["image_array", "float", "float", "str"], {}, {"created_at": 1.7e9}, told]
    (path / "manifest.json").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
