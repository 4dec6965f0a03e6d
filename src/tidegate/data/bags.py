# SPDX-License-Identifier: Apache-2.0
"""Recordings as bags that training reads: a folder with one bag for each piece that is one time series."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import BagWriter
from tidegate.bag.typestore import make, serialise
from tidegate.data.mapping import DataMap
from tidegate.data.motion import Motion, motion
from tidegate.data.recording import Picture, Recording, Tally
from tidegate.data.series import StaticError, check_moves, look, pieces
from tidegate.errors import DataError
from tidegate.messages import COMPRESSED, PICTURES, SUFFIX, encode
from tidegate.messages.common import assign, stamped
from tidegate.records import NANOSECONDS, Frame, Nominal, Odometry

LONGEST_S = 60.0
"""Length [s] at which the next bag begins: training holds out whole bags, and one alone leaves nothing to judge by."""


@dataclass(slots=True)
class Imported:
    """What became of a source.

    Attributes:
        bags: written, with frames and length [s] of each.
        frames: taken; ``lessons`` of them tell what the driver asked for: ``curvature`` and ``acceleration``.
        tally: what was left out.
    """

    bags: dict[Path, tuple[int, float]] = field(default_factory=dict)
    frames: int = 0
    lessons: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Frames of a recording that make one bag: ``index`` (N,), ``stamp`` (N,) [ns], and their motion."""

    index: NDArray[np.int64]
    stamp: NDArray[np.int64]
    motion: Motion


def write_bags(
    source: str,
    recordings: Iterable[Recording],
    chart: DataMap,
    out: Path,
    mass_kg: float,
    longest_s: float = LONGEST_S,
    origin: Mapping[str, str] | None = None,
) -> Imported:
    """Write every piece that is a time series as a bag ``out/drive-0000`` and so on.

    Args:
        source: what errors call it.
        recordings: of one tally.
        chart: the map.
        out: folder, which appears once it is whole.
        mass_kg: effective mass of the robot that is to be trained: bags tell forces, training divides them by it.
        longest_s: a bag is no longer [s].
        origin: what else travels in each bag, text by name.

    Raises:
        DataError: nothing is left, ``out`` exists, or the map does not suffice.
        BagError: a bag cannot be written.
    """
    if out.exists():
        raise DataError(f"{out}: exists already; an import never overwrites anything")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    result = Imported()
    refused: list[str] = []
    known = {"mass_kg": f"{mass_kg:.6g}", **(origin or {})}
    try:
        for recording in recordings:
            result.tally = recording.tally
            try:
                parts = _cut(recording, chart, longest_s, refused)
            except StaticError as error:
                refused.append(str(error))
                recording.tally.left_out[f"{recording.name}: {error}"] += len(recording.stamp)
                continue
            except DataError as error:
                raise DataError(f"{source}: {error}") from error
            _write(recording, parts, partial, mass_kg, known, result)
        if not result.bags:
            raise DataError(f"{source}: {_why(refused, result.tally)}")
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    result.bags = {out / path.name: told for path, told in result.bags.items()}
    return result


def _why(refused: list[str], tally: Tally) -> str:
    if len(refused) == 1:
        return refused[0]
    if refused:
        return f"nothing can be imported: {len(refused)} stretches are refused; the first {refused[0]}"
    reasons = [*tally.left_out.items(), *tally.skipped.items()]
    told = "; ".join(f"{count} × {reason}" for reason, count in reasons)
    return f"nothing can be imported: no frame is left ({told or 'it holds none'})"


def _cut(recording: Recording, chart: DataMap, longest_s: float, refused: list[str]) -> list[_Piece]:
    """The pieces to write; those that are static are counted and told in ``refused``."""
    tally = recording.tally
    shown, usable = look(recording)
    if "speed" in recording.channels:
        unknown = usable & ~np.isfinite(recording.channels["speed"])
        if unknown.any():
            tally.left_out["no speed is known"] += int(unknown.sum())
        usable &= ~unknown
    stamp, parts = pieces(recording, usable, chart.rate_hz, longest_s)
    found = []
    for index in parts:
        channels = {name: values[index] for name, values in recording.channels.items()}
        moved = motion(stamp[index], channels, chart.vehicle, tally)
        try:
            check_moves(shown[index], moved.speed)
            if not np.isfinite(moved.curvature).any():
                raise StaticError("teaches nothing: no frame tells what was steered")
        except StaticError as error:
            refused.append(str(error))
            tally.left_out[str(error).replace(f"all {len(index)} ", "all ")] += len(index)
            continue
        found.append(_Piece(index, stamp[index], moved))
    return found


def _write(
    recording: Recording, parts: list[_Piece], folder: Path, mass: float, known: Mapping[str, str], result: Imported
) -> None:
    """Pass through the pictures once and write each into its bag."""
    pictures = enumerate(recording.pictures())
    for piece in parts:
        path = folder / f"drive-{len(result.bags):04d}"
        first, last = recording.number[piece.index[[0, -1]]]
        note = {**known, "stretch": recording.name, "frames": f"{first} to {last}"}
        with BagWriter(path, note) as writer:
            place = _odometry(piece)
            for at, index in enumerate(piece.index):
                picture = next((one for number, one in pictures if number == index), "end")
                if isinstance(picture, str):
                    raise DataError(
                        f"{recording.name}: frame {index} could be read before and cannot be now ({picture})"
                    )
                stamp = int(piece.stamp[at])
                writer.write("odom", place[at])
                _write_picture(writer, stamp, picture)
                force = float(piece.motion.acceleration[at]) * mass
                writer.write("expert/nominal", Nominal(stamp, force, float(piece.motion.curvature[at])))
        result.bags[path] = len(piece.index), float(piece.stamp[-1] - piece.stamp[0]) / NANOSECONDS
        result.frames += len(piece.index)
        for name in ("curvature", "acceleration"):
            result.lessons[name] += int(np.isfinite(getattr(piece.motion, name)).sum())


def _write_picture(writer: BagWriter, stamp: int, picture: Picture) -> None:
    """Compressed ones stay as they are, on the topic that ``image_transport`` gives them."""
    if not isinstance(picture, bytes):
        writer.write_raw(f"/{PICTURES}", "sensor_msgs/msg/Image", serialise(encode(Frame(stamp, picture), make)), stamp)
        return
    kind = COMPRESSED[PICTURES]
    message: Any = stamped(kind, stamp, make, "camera_optical_frame")
    message.format = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    assign(message, "data", np.frombuffer(picture, np.uint8))
    writer.write_raw(f"/{PICTURES}{SUFFIX}", kind, serialise(message), stamp)


def _odometry(piece: _Piece) -> list[Odometry]:
    """Dead reckoning by speed and curvature, from the origin on; no curvature = straight on."""
    speed, rate = piece.motion.speed, piece.motion.speed * np.nan_to_num(piece.motion.curvature)
    step = np.diff(piece.stamp, append=piece.stamp[-1:]) / NANOSECONDS
    yaw = np.concatenate([[0.0], np.cumsum(rate * step)[:-1]])
    middle = yaw + rate * step / 2
    x, y = (np.concatenate([[0.0], np.cumsum(speed * step * turn(middle))[:-1]]) for turn in (np.cos, np.sin))
    turned = np.arctan2(np.sin(yaw), np.cos(yaw))
    rows = zip(piece.stamp.tolist(), *(values.tolist() for values in (x, y, turned, speed, rate)), strict=True)
    return [Odometry(*row) for row in rows]
