# SPDX-License-Identifier: Apache-2.0
"""A donkeycar tub of version 2: ``manifest.json``, ``catalog_N.catalog`` with a JSON object a line, ``images/``.

Layout: https://docs.donkeycar.com/parts/stores/ and ``donkeycar.parts.tub_v2``. An angle of 1 is full lock to the
*right* there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.mapping import DataMap, Source
from tidegate.data.recording import Picture, Recording, Tally
from tidegate.errors import DataError
from tidegate.records import Floats
from tidegate.security.parse import read_bounded

MANIFEST, IMAGES = "manifest.json", "images"
CAMERA = "cam/image_array"
DEFAULTS = {"angle": Source("user/angle", scale=-1.0), "throttle": Source("user/throttle")}
PILOT = "user/mode"
"""With another value than ``user`` the car was driven by a network, and ``user/angle`` is not what steered."""
CATALOG, IMAGE = re.compile(r"catalog_\d{1,6}\.catalog"), re.compile(r"[^/\\\0]{1,200}\.(jpe?g|png)", re.IGNORECASE)
LARGEST_MANIFEST, LARGEST_CATALOG, LARGEST_LINE, LARGEST_IMAGE = 1 << 24, 1 << 27, 1 << 16, 1 << 24
"""Bytes; a catalog has a thousand lines of some 200, unless its owner said otherwise."""
MEMORY = "._"
"""What macOS puts beside files on other file systems; no content of the tub."""


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a catalog: ``index``, ``stamp`` [ns], ``session``, name of the ``image``, and ``values`` by key."""

    index: int
    stamp: int
    session: str
    image: str
    values: dict[str, Any]


def is_tub(path: Path) -> bool:
    """Whether the folder looks like one, of whatever version."""
    return (path / MANIFEST).is_file() or (path / "meta.json").is_file() or any(path.glob("catalog_*.catalog"))


def read_tub(path: Path, chart: DataMap) -> Iterator[Recording]:
    """The recordings of a tub, one for each session.

    Args:
        path: folder of the tub.
        chart: the map; by default angle, throttle and camera are those of donkeycar's own template.

    Raises:
        DataError: no tub of version 2, or no record in it.
    """
    deleted, catalogs, tally = *_manifest(path), Tally()
    _note_others(path, catalogs, tally)
    chart = chart.with_default(**DEFAULTS)
    sessions: dict[str, list[Record]] = {}
    last = -1
    for name in catalogs:
        for record in records(path / name, chart.camera or CAMERA, tally):
            if record.index in deleted:
                tally.skipped["deleted by its owner"] += 1
            elif record.index <= last:
                tally.skipped["_index does not advance"] += 1
            elif record.values.get(PILOT, "user") != "user":
                tally.skipped[f"driven by the pilot ({PILOT} is not 'user')"] += 1
                last = record.index
            else:
                sessions.setdefault(record.session, []).append(record)
                last = record.index
    if not sessions:
        told = "; ".join(f"{count} × {reason}" for reason, count in tally.skipped.items())
        raise DataError(f"{path}: holds no record that can be used ({told or 'its catalogs are empty'})")
    for session, held in sessions.items():
        yield _recording(path, session, held, chart, tally)


def _manifest(path: Path) -> tuple[set[int], list[str]]:
    """Deleted indexes and the names of the catalogs.

    Raises:
        DataError: absent, broken, or of another version.
    """
    file = path / MANIFEST
    if not file.is_file():
        if (path / "meta.json").is_file():
            raise DataError(f"{path}: is a tub of version 1; donkeycar's convert_to_tub_v2.py makes one of version 2")
        raise DataError(f"{file}: is missing; it tells which catalogs there are and which records were deleted")
    try:
        lines = [json.loads(line) for line in read_bounded(file, LARGEST_MANIFEST).decode("utf-8").splitlines() if line]
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is broken ({error})") from error
    told = lines[-1] if lines else None
    if not isinstance(told, dict) or not isinstance(told.get("paths"), list):
        raise DataError(f"{file}: its last line must name the catalogs, as {{'paths': […], 'deleted_indexes': […]}}")
    names, deleted = told["paths"], told.get("deleted_indexes", [])
    if wrong := [name for name in names if not (isinstance(name, str) and CATALOG.fullmatch(name))]:
        raise DataError(f"{file}: names the catalog {wrong[0]!r}; it must be catalog_0.catalog or such, in its folder")
    if not isinstance(deleted, list) or not all(isinstance(one, int) for one in deleted):
        raise DataError(f"{file}: 'deleted_indexes' must be a list of whole numbers")
    if not names:
        raise DataError(f"{file}: names no catalog: nothing was recorded")
    return set(deleted), sorted(dict.fromkeys(names), key=lambda name: int(re.sub(r"\D", "", name)))


def _note_others(path: Path, named: list[str], tally: Tally) -> None:
    hidden = sum(1 for folder in (path, path / IMAGES) for _ in folder.glob(f"{MEMORY}*"))
    if hidden:
        tally.skipped["file of macOS (._…)"] += hidden
    more = sorted(
        file.name for file in path.glob("*.catalog") if CATALOG.fullmatch(file.name) and file.name not in named
    )
    if more:
        tally.note(f"{MANIFEST} does not name {', '.join(more[:3])}{' …' if len(more) > 3 else ''}: not read")


def records(file: Path, camera: str, tally: Tally) -> Iterator[Record]:
    """The usable lines of a catalog; the others are counted in ``tally.skipped``."""
    try:
        data = read_bounded(file, LARGEST_CATALOG)
    except FileNotFoundError:
        tally.note(f"{file.name}: is missing, the manifest names it")
        return
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise DataError(f"{file}: {error}") from error
    for line in data.split(b"\n"):
        if not line.strip(b"\r\0 "):
            continue
        record, why = parse(line, camera)
        if record is None:
            tally.skipped[why] += 1
        else:
            yield record


def parse(line: bytes, camera: str = CAMERA) -> tuple[Record | None, str]:
    """A line of a catalog, or None and what is wrong with it."""
    if len(line) > LARGEST_LINE:
        return None, f"line has more than {LARGEST_LINE:,} bytes"
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None, "line is broken"
    if not isinstance(values, dict):
        return None, "line is broken"
    index, stamp, image = _whole(values.get("_index")), _whole(values.get("_timestamp_ms")), values.get(camera)
    if index is None:
        return None, "line has no _index"
    if stamp is None:
        return None, "line has no _timestamp_ms"
    if not isinstance(image, str) or not IMAGE.fullmatch(image) or image.startswith(MEMORY):
        return None, f"line names no picture ({camera})"
    return Record(index, stamp * 1_000_000, str(values.get("_session_id", ""))[:100], image, values), ""


def _whole(value: Any) -> int | None:
    """A whole number from 0 on, below 2⁴³: as milliseconds up to the year 2248, whose nanoseconds fit 64 bits."""
    right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 43
    return value if right else None


def _recording(path: Path, session: str, held: list[Record], chart: DataMap, tally: Tally) -> Recording:
    def pictures() -> Iterator[Picture | str]:
        for record in held:
            yield _picture(path / IMAGES / record.image)

    channels = {name: _column(held, source) for name, source in chart.channels.items()}
    for name, values in channels.items():
        if not np.isfinite(values).any():
            keys = ", ".join(sorted(set().union(*(record.values for record in held[:100]))))
            raise DataError(
                f"{path}: no record has a number under '{chart.channels[name].key}' ({name}); it has {keys}"
            )
    return Recording(
        name=f"session {session}" if session else "tub",
        stamp=np.array([record.stamp for record in held], np.int64),
        number=np.array([record.index for record in held], np.int64),
        channels=channels,
        pictures=pictures,
        tally=tally,
    )


def _picture(file: Path) -> bytes | str:
    """As it is stored, or why it cannot be used."""
    try:
        data = read_bounded(file, LARGEST_IMAGE)
    except FileNotFoundError:
        return "picture is missing"
    except (OSError, ValueError):
        return "picture cannot be read"
    return data or "picture is empty"


def _column(held: list[Record], source: Source) -> Floats:
    """(T,): NaN where a record has no number there."""
    return source.scale * np.array([_number(record.values.get(source.key)) for record in held], np.float64)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:
        return math.nan
