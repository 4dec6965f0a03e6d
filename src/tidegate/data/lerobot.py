# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set of version 3: ``meta/info.json``, Parquet tables of many episodes each, and one video of many
episodes for each camera and file.

Layout: https://huggingface.co/docs/lerobot/lerobot-dataset-v3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.lerobot_info import INFO, OURS, DataSet, names, numeric, read_info
from tidegate.data.mapping import CHANNELS, DataMap, Source
from tidegate.data.recording import Picture, Recording, Tally
from tidegate.errors import DataError, DependencyError
from tidegate.records import NANOSECONDS, Floats

try:
    import pyarrow
    from pyarrow import compute, parquet

    from tidegate.data.video import video_frames
except ImportError as error:
    raise DependencyError(
        f"LeRobot data sets need pyarrow and av ({error}); type: pip install 'tidegate[data]'"
    ) from error

EPISODES = "meta/episodes"
LARGEST_PICTURE = 1 << 24
LARGEST_TABLE = 1 << 30
"""Bytes that the columns which are read have, uncompressed, as their file says."""
FIRST = NANOSECONDS
"""Stamp [ns] of an episode's time 0; to ROS a stamp of 0 means none."""
BROKEN = (pyarrow.ArrowException, OSError, ValueError)
"""What pyarrow raises of a damaged file; ValueError where a name is no UTF-8."""
COLUMNS = ("episode_index", "length", "data/chunk_index", "data/file_index")


@dataclass(frozen=True, slots=True)
class Column:
    """Which numbers of a column are added: ``places`` in its vectors."""

    name: str
    places: tuple[int, ...]
    scale: float


def read_lerobot(path: Path, chart: DataMap) -> Iterator[Recording]:
    """The episodes of a data set.

    Args:
        path: folder.
        chart: names the channels, and the camera where there is more than one.

    Raises:
        DataError: another version, a file is missing or broken, or the map does not fit.
    """
    told = read_info(path)
    camera = _camera(told, chart.camera)
    sources = chart.channels or (_own(told) if told.robot_type.startswith(OURS) else {})
    if not sources:
        held = "; ".join(f"{name}: {', '.join(names(one)) or one['shape']}" for name, one in numeric(told).items())
        raise DataError(
            f"{path}: which columns tell of speed and steering? name them under 'channels' in a map (--map); it has "
            f"{held}"
        )
    columns = {name: _column(told, name, source) for name, source in sources.items()}
    tally = Tally()
    table: Any = None
    opened: Path | None = None
    for episode in _episodes(told, camera):
        numbers = {"chunk_index": episode["data/chunk_index"], "file_index": episode["data/file_index"]}
        file = told.file(told.data_path, **numbers)
        if file != opened:
            table, opened = _table(file, [*("episode_index", "frame_index", "timestamp"), *_distinct(columns)]), file
        yield _recording(told, camera, episode, file, table, columns, tally)


def _camera(told: DataSet, named: str) -> str:
    if named and named not in told.cameras:
        raise DataError(f"{told.path}: no camera '{named}'; it has {', '.join(told.cameras) or 'none'}")
    if not named and len(told.cameras) != 1:
        several = f"more than one: {', '.join(told.cameras)}; name one as 'camera' in the map (--map)"
        raise DataError(f"{told.path}: pictures: it has {several if told.cameras else 'no camera'}")
    return named or told.cameras[0]


def _own(told: DataSet) -> dict[str, Source]:
    return {
        name: Source(column, (name,))
        for column, one in numeric(told).items()
        for name in names(one)
        if name in CHANNELS and name != "yaw_rate"
    }


def _column(told: DataSet, channel: str, source: Source) -> Column:
    known = numeric(told)
    if source.key not in known:
        raise DataError(
            f"{told.path}: channel '{channel}': no column '{source.key}'; it has {', '.join(known) or 'none'}"
        )
    feature = known[source.key]
    called, size = names(feature), math.prod(feature["shape"])
    places = []
    for field in source.fields or (("0",) if size == 1 else ()):
        place = called.index(field) if field in called else int(field) if field.isdigit() else size
        if place >= size:
            raise DataError(
                f"{told.path}: channel '{channel}': '{source.key}' has no '{field}'; it has "
                f"{', '.join(called) or f'0 to {size - 1}'}"
            )
        places.append(place)
    if not places:
        raise DataError(
            f"{told.path}: channel '{channel}': '{source.key}' has {size} numbers; say in 'fields' which: "
            f"{', '.join(called) or f'0 to {size - 1}'}"
        )
    return Column(source.key, tuple(places), source.scale)


def _distinct(columns: dict[str, Column]) -> list[str]:
    return list(dict.fromkeys(column.name for column in columns.values()))


def _table(file: Path, columns: Sequence[str]) -> Any:
    """The ``columns`` of a Parquet file.

    Raises:
        DataError: no Parquet, a column is missing, or too large.
    """
    try:
        opened = parquet.ParquetFile(file, thrift_string_size_limit=1 << 26, thrift_container_size_limit=1 << 22)
        if absent := [name for name in columns if name not in opened.schema_arrow.names]:
            raise DataError(f"{file}: has no column '{absent[0]}'; it has {', '.join(opened.schema_arrow.names)}")
        size = _size(opened.metadata, columns)
        if size > LARGEST_TABLE:
            raise DataError(f"{file}: its columns have {size:,} bytes; {LARGEST_TABLE:,} are allowed")
        return opened.read(columns=list(columns))
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(f"{file}: is no Parquet file, or a broken one ({_first_line(error)})") from error


def _size(metadata: Any, columns: Sequence[str]) -> int:
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    parts = (group.column(index) for group in groups for index in range(group.num_columns))
    # a vector's own column is called action.list.element
    return sum(int(one.total_uncompressed_size) for one in parts if one.path_in_schema.startswith(tuple(columns)))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _episodes(told: DataSet, camera: str) -> list[dict[str, Any]]:
    """The rows of ``meta/episodes`` in order.

    Raises:
        DataError: there is none, or a number is no index.
    """
    files = sorted((told.path / EPISODES).glob("chunk-*/file-*.parquet"))
    video = [f"videos/{camera}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
    columns = [*COLUMNS, *(video if told.features[camera]["dtype"] == "video" else [])]
    rows = [row for file in files for row in _table(file, columns).to_pylist()]
    if not rows:
        raise DataError(f"{told.path / EPISODES}: tells of no episode")
    for row in rows:
        if wrong := next((name for name in columns if not _counts(row[name], name)), None):
            raise DataError(f"{told.path / EPISODES}: '{wrong}' is {row[wrong]!r} in episode {row['episode_index']!r}")
    return sorted(rows, key=lambda row: int(row["episode_index"]))


def _counts(value: Any, name: str) -> bool:
    if name.endswith("from_timestamp"):
        return isinstance(value, float) and 0 <= value < 1e7
    return isinstance(value, int) and 0 <= value < 1 << 40


def _recording(
    told: DataSet,
    camera: str,
    episode: dict[str, Any],
    file: Path,
    table: Any,
    columns: dict[str, Column],
    tally: Tally,
) -> Recording:
    number = int(episode["episode_index"])
    try:
        rows = table.filter(compute.equal(table["episode_index"], number))
    except BROKEN as error:
        raise DataError(f"{file}: 'episode_index' holds no whole numbers ({_first_line(error)})") from error
    if rows.num_rows != episode["length"]:
        tally.note(f"episode {number}: {file.name} has {rows.num_rows} of its {episode['length']} frames")
    time = _numbers(rows, Column("timestamp", (0,), 1.0), file)
    if not np.isfinite(time).all() or (time.size and (time.min() < 0 or time.max() > 1e7)):
        raise DataError(f"{file}: episode {number} has a 'timestamp' that is no time from 0 s on")
    if told.features[camera]["dtype"] == "video":
        keys = ("chunk_index", "file_index", "from_timestamp")
        chunk, part, begin = (episode[f"videos/{camera}/{key}"] for key in keys)
        video = told.file(told.video_path, video_key=camera, chunk_index=chunk, file_index=part)

        def pictures() -> Iterator[Picture | str]:
            return video_frames(video, begin + time, 0.5 / told.fps)

    else:

        def pictures() -> Iterator[Picture | str]:
            return _stored(file, camera, number)

    return Recording(
        name=f"episode {number}",
        stamp=FIRST + np.rint(time * NANOSECONDS).astype(np.int64),
        number=_numbers(rows, Column("frame_index", (0,), 1.0), file).astype(np.int64),
        channels={name: _numbers(rows, column, file) for name, column in columns.items()},
        pictures=pictures,
        tally=tally,
    )


def _numbers(rows: Any, column: Column, file: Path) -> Floats:
    """(T,) sums of a column's ``places``; NaN where one is missing."""
    try:
        found = [[one] if isinstance(one, (int, float)) else list(one or []) for one in rows[column.name].to_pylist()]
        picked = [[math.nan if one[place] is None else one[place] for place in column.places] for one in found]
        return np.asarray(column.scale * np.array(picked, np.float64).reshape(len(found), -1).sum(axis=1))
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{file}: column '{column.name}' does not hold what {INFO} says ({_first_line(error)})"
        ) from error


def _stored(file: Path, camera: str, number: int) -> Iterator[Picture | str]:
    """Pictures that stand in the table itself."""
    try:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=64, columns=["episode_index", camera]):
                for row in batch.to_pylist():
                    if row["episode_index"] == number:
                        yield _bytes(row[camera])
    except BROKEN:
        yield "table is broken there"


def _bytes(cell: Any) -> bytes | str:
    data = cell.get("bytes") if isinstance(cell, dict) else None
    return data if isinstance(data, bytes) and 0 < len(data) <= LARGEST_PICTURE else "picture is missing"
