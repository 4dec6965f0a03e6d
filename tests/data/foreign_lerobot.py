# SPDX-License-Identifier: Apache-2.0
"""A small LeRobot v3 data set, written with pyarrow and PyAV alone: two episodes in one table and one video."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tubs import HEIGHT, WIDTH, jpeg, views

FPS = 10
CAMERA = "observation.images.front"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


def action(count: int) -> NDArray[np.float32]:
    """(T, 2): steering [rad] and throttle."""
    return np.stack([0.2 * np.sin(np.arange(count) / 5), np.full(count, 0.5)], axis=1).astype(np.float32)


def vectors(rows: NDArray[Any]) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])


def save(file: Path, **columns: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name.replace("__", "/"): column for name, column in columns.items()}), file)


def info(path: Path, **changes: Any) -> None:
    told: dict[str, Any] = {
        "codebase_version": "v3.0",
        "robot_type": "rc_car",
        "fps": FPS,
        "data_path": DATA,
        "video_path": VIDEO,
        "features": {
            "action": {"dtype": "float32", "shape": [2], "names": ["steering", "throttle"]},
            "observation.speed": {"dtype": "float32", "shape": [1], "names": None},
            CAMERA: {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": ["height", "width", "channels"]},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            "frame_index": {"dtype": "int64", "shape": [1], "names": None},
            "episode_index": {"dtype": "int64", "shape": [1], "names": None},
        },
    }
    (path / "meta").mkdir(parents=True, exist_ok=True)
    (path / "meta" / "info.json").write_text(json.dumps(told | changes), "utf-8")


def video(file: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as opened:
        stream = opened.add_stream("libx264", rate=FPS, options={"crf": "1", "g": "7"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures:
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        opened.mux(stream.encode())


def lerobot(path: Path, lengths: Sequence[int] = (25, 35), stored: bool = False, **changes: Any) -> Path:
    """``stored``: pictures stand in the table, as JPEG; ``changes`` of columns of the data by name."""
    numbers = [np.arange(length) for length in lengths]
    frame, total = np.concatenate(numbers), sum(lengths)
    ends = np.cumsum(lengths)
    columns: dict[str, Any] = {
        "action": vectors(np.concatenate([action(length) for length in lengths])),
        "observation.speed": pa.array((2 + 0.01 * np.arange(total)).astype(np.float32)),
        "timestamp": pa.array((frame / FPS).astype(np.float32)),
        "frame_index": pa.array(frame),
        "episode_index": pa.array(np.repeat(np.arange(len(lengths)), lengths)),
    }
    if stored:
        columns[CAMERA] = pa.array([{"bytes": jpeg(one), "path": None} for one in views(total)])
    save(path / DATA.format(chunk_index=0, file_index=0), **{**columns, **changes})
    zeros = pa.array([0] * len(lengths))
    rows: dict[str, Any] = {
        "episode_index": pa.array(range(len(lengths))),
        "length": pa.array(list(lengths)),
        "data__chunk_index": zeros,
        "data__file_index": zeros,
    }
    if not stored:
        begins = [float(end - length) / FPS for end, length in zip(ends, lengths, strict=True)]
        rows[f"videos__{CAMERA}__chunk_index"] = rows[f"videos__{CAMERA}__file_index"] = zeros
        rows[f"videos__{CAMERA}__from_timestamp"] = pa.array(begins)
        video(path / VIDEO.format(video_key=CAMERA, chunk_index=0, file_index=0), views(total))
    save(path / "meta/episodes/chunk-000/file-000.parquet", **rows)
    info(path)
    if stored:
        told = json.loads((path / "meta/info.json").read_text("utf-8"))
        told["features"][CAMERA]["dtype"] = "image"
        (path / "meta/info.json").write_text(json.dumps(told), "utf-8")
    return path
