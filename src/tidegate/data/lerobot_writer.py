# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set of version 3 that grows by episodes; layout: see ``lerobot``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import BagReader
from tidegate.data.lerobot import EPISODES
from tidegate.data.lerobot_info import INFO, OURS
from tidegate.errors import DependencyError
from tidegate.records import Floats

try:
    import av
    import pyarrow
    from pyarrow import parquet
except ImportError as error:
    raise DependencyError(
        f"LeRobot data sets need pyarrow and av ({error}); type: pip install 'tidegate[data]'"
    ) from error

CAMERA = "observation.images.front"
STATE, ACTION = ("speed", "yaw_rate"), ("acceleration", "curvature")
"""Names of the columns' numbers: [m/s], [rad/s]; [m/s²], [1/m]."""
CHUNK = 1000
"""Files of a folder."""
NAMED = "chunk-{chunk_index:03d}/file-{file_index:03d}"
CODEC, QUALITY = "libx264", {"crf": "18", "g": "2"}
"""Nearly lossless, every other frame a key frame: readers jump."""
SEEN_EVERY = 10
"""Frames between two that count in the pictures' statistics."""


@dataclass(slots=True)
class Exported:
    """``episodes``: frames of each; ``left_out``: frames of the bags by reason; ``repeated``: ticks without a new
    picture, ``dropped``: pictures without a tick."""

    fps: float
    episodes: list[int] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """A stretch at the constant rate.

    ``picture`` (N,) which of the bag's pictures each frame shows; ``state`` (N, 2) as ``STATE``, ``action`` (N, 2) as
    ``ACTION`` name them.
    """

    picture: NDArray[np.int64]
    state: NDArray[np.float32]
    action: NDArray[np.float32]


class Writer:
    """Writes the data set, each episode with a table and a video of its own.

    Attributes:
        size: height and width [px] of its pictures.
        done: what was written so far.
    """

    def __init__(self, path: Path, fps: float, task: str, size: tuple[int, int]) -> None:
        self._path, self._task, self.size = path, task, size
        self.done = Exported(fps)
        self._rows: list[dict[str, Any]] = []
        self._columns: list[dict[str, NDArray[Any]]] = []
        self._seen: list[Floats] = []

    def told(self) -> str:
        """The size in words."""
        return f"those of the first bag are of {self.size[1]} × {self.size[0]}"

    def add(self, episode: Episode, reader: BagReader) -> None:
        """Write an episode whose pictures ``reader`` has."""
        number, begin, count = len(self.done.episodes), sum(self.done.episodes), len(episode.picture)
        place = {"chunk_index": number // CHUNK, "file_index": number % CHUNK}
        frame = np.arange(count)
        columns: dict[str, NDArray[Any]] = {
            "observation.state": episode.state,
            "action": episode.action,
            "timestamp": (frame / self.done.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(count, number),
            "index": begin + frame,
            "task_index": np.zeros(count, np.int64),
        }
        _save(
            self._path / "data" / f"{NAMED.format(**place)}.parquet",
            {name: _arrow(one) for name, one in columns.items()},
        )
        seen = self._video(self._path / "videos" / CAMERA / f"{NAMED.format(**place)}.mp4", episode, reader)
        stats = {name: _statistics(one) for name, one in columns.items()} | {CAMERA: _of_pictures(seen)}
        self._columns.append(columns)
        self._seen.append(seen)
        self._rows.append(
            {
                "episode_index": number,
                "tasks": [self._task],
                "length": count,
                **{f"data/{name}": value for name, value in place.items()},
                "dataset_from_index": begin,
                "dataset_to_index": begin + count,
                **{f"videos/{CAMERA}/{name}": value for name, value in place.items()},
                f"videos/{CAMERA}/from_timestamp": 0.0,
                f"videos/{CAMERA}/to_timestamp": count / self.done.fps,
                **{f"stats/{name}/{key}": value for name, one in stats.items() for key, value in one.items()},
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        self.done.episodes.append(count)

    def _video(self, file: Path, episode: Episode, reader: BagReader) -> Floats:
        """Encode the pictures; (P, 3) values of some of their pixels, 0 to 1."""
        file.parent.mkdir(parents=True, exist_ok=True)
        height, width = self.size
        seen: list[Floats] = []
        shown, done = episode.picture, 0
        with av.open(str(file), "w") as opened:
            stream = opened.add_stream(CODEC, rate=Fraction(self.done.fps).limit_denominator(1000), options=QUALITY)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for index, (_, _, record) in enumerate(reader.messages(["camera/image_raw"])):
                while done < len(shown) and shown[done] == index:
                    image = np.ascontiguousarray(record.image[:height, :width])
                    if done % SEEN_EVERY == 0:
                        seen.append(image[::4, ::4].reshape(-1, 3) / 255.0)
                    opened.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                    done += 1
                if done == len(shown):
                    break
            opened.mux(stream.encode())
        return np.concatenate(seen)

    def finish(self) -> None:
        """Write what describes the whole."""
        columns = {name: pyarrow.array([row[name] for row in self._rows]) for name in self._rows[0]}
        _save(self._path / EPISODES / f"{NAMED.format(chunk_index=0, file_index=0)}.parquet", columns)
        parquet.write_table(_tasks(self._task), self._path / "meta" / "tasks.parquet")
        whole = {name: np.concatenate([one[name] for one in self._columns]) for name in self._columns[0]}
        stats = {name: _statistics(one) for name, one in whole.items()} | {
            CAMERA: _of_pictures(np.concatenate(self._seen))
        }
        _dump(self._path / "meta" / "stats.json", stats)
        _dump(self._path / INFO, self._info())

    def _info(self) -> dict[str, Any]:
        height, width = self.size
        fps = int(self.done.fps) if self.done.fps == int(self.done.fps) else self.done.fps
        video = {
            "video.height": height,
            "video.width": width,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        }
        features: dict[str, Any] = {
            "observation.state": {"dtype": "float32", "shape": [len(STATE)], "names": list(STATE)},
            "action": {"dtype": "float32", "shape": [len(ACTION)], "names": list(ACTION)},
            CAMERA: {
                "dtype": "video",
                "shape": [height, width, 3],
                "names": ["height", "width", "channels"],
                "info": video,
            },
        }
        for name in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
            kind = "float32" if name == "timestamp" else "int64"
            features[name] = {"dtype": kind, "shape": [1], "names": None}
        return {
            "codebase_version": "v3.0",
            "robot_type": f"{OURS}_car",
            "total_episodes": len(self.done.episodes),
            "total_frames": sum(self.done.episodes),
            "total_tasks": 1,
            "chunks_size": CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 500,
            "fps": fps,
            "splits": {"train": f"0:{len(self.done.episodes)}"},
            "data_path": f"data/{NAMED}.parquet",
            "video_path": f"videos/{{video_key}}/{NAMED}.mp4",
            "features": features,
        }


def _arrow(values: NDArray[Any]) -> Any:
    """A column of numbers, or of vectors of one length."""
    if values.ndim == 1:
        return pyarrow.array(values)
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), values.shape[1])


def _save(file: Path, columns: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(dict(columns)), file)


def _tasks(task: str) -> Any:
    """The table of tasks as pandas keeps it: the words are its index."""
    described = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            _pandas("task_index", "int64", "int64"),
            _pandas("task", "unicode", "object"),
        ],
        "creator": {"library": "pyarrow", "version": pyarrow.__version__},
        "pandas_version": "2.0.0",
    }
    table = pyarrow.table({"task_index": pyarrow.array([0]), "task": pyarrow.array([task])})
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def _pandas(name: str, kind: str, stored: str) -> dict[str, Any]:
    return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": stored, "metadata": None}


def _statistics(values: NDArray[Any]) -> dict[str, list[Any]]:
    """Of a column (N,) or (N, D), as LeRobot normalises by."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found = {"min": rows.min(axis=0), "max": rows.max(axis=0), "mean": rows.mean(axis=0), "std": rows.std(axis=0)}
    return {**{name: one.tolist() for name, one in found.items()}, "count": [len(rows)]}


def _of_pictures(seen: Floats) -> dict[str, list[Any]]:
    """The same of pixels (P, 3), each value as (3, 1, 1)."""
    found = _statistics(seen)
    return {name: one if name == "count" else [[[value]] for value in one] for name, one in found.items()}


def _dump(file: Path, values: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values, indent=4) + "\n", "utf-8")
