# SPDX-License-Identifier: Apache-2.0
"""Drives as arrays in memory, and windows of them as batches."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import BagReader, Drive, align
from tidegate.bag.reader import AS_IT_IS
from tidegate.errors import BagError
from tidegate.learning.recipe import TrainRecipe
from tidegate.perception.image import shrink
from tidegate.records import NANOSECONDS
from tidegate.settings.perception import PerceptionSettings

GAP_MAX_S = 0.5
"""A drive is cut where its camera paused for longer than this [s]."""

_ARRAYS = ("stamp", "images", "speed", "force", "curvature", "lane")
_CACHE_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B windows of T frames: ``images`` (B, T, h, w, 3) uint8, or (B, T, C) codes of them; ``speed`` [m/s], ``dt``
    [s], ``acceleration`` [m/s²], NaN where it is no lesson, ``curvature`` [1/m] (B, T); ``lane`` (B, T, 2 + K);
    ``places`` (B, 2), drive and frame where each begins."""

    images: NDArray[Any]
    speed: NDArray[np.float32]
    dt: NDArray[np.float32]
    acceleration: NDArray[np.float32]
    curvature: NDArray[np.float32]
    lane: NDArray[np.float32]
    places: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """All D drives from their first frame on, as long as the longest, their last frame repeated: ``images`` (D, T, …),
    ``speed`` [m/s], ``dt`` [s] (D, T), always finite; ``length`` (D,) frames that are real."""

    images: NDArray[Any]
    speed: NDArray[np.float32]
    dt: NDArray[np.float32]
    length: NDArray[np.int64]


def bag_hash(path: Path) -> str:
    """SHA-256 of what a bag holds: its storage files in the order of their names."""
    found = hashlib.sha256()
    files = [path] if path.is_file() else sorted([*path.glob("*.mcap"), *path.glob("*.db3")])
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def load_drive(
    path: Path, shape: PerceptionSettings, cache: Path | None = None, remap: Mapping[str, str] = AS_IT_IS
) -> tuple[Drive, str]:
    """A labelled drive with its images as the network sees them, and the bag's hash.

    Args:
        path: of the bag.
        shape: crop and size of the images.
        cache: folder that keeps what was made of each bag; its files may be deleted at any time.
        remap: as ``BagReader`` takes it.

    Raises:
        BagError: no bag, no time series, or a missing topic.
    """
    digest = bag_hash(path)
    look = {name: value for name, value in asdict(shape).items() if name.startswith(("crop_", "input_"))}
    made_from = [_CACHE_VERSION, digest, look, *([dict(remap)] if remap else [])]
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:24]
    file = cache / f"{key}.npz" if cache else None
    if file is not None and file.exists():
        try:
            with np.load(file, allow_pickle=False) as kept:
                return Drive(path=path, interrupted=False, **{name: kept[name] for name in _ARRAYS}), digest
        except (OSError, KeyError, ValueError, BadZipFile):
            file.unlink()  # half written
    reader = BagReader(path, remap)
    drive = align(reader, lambda image: shrink(image, shape))
    if drive.lane.shape[1] == 0:  # no lesson about the lane, in every frame
        drive = dataclasses.replace(drive, lane=np.full((len(drive.stamp), 2 + len(shape.preview_m)), np.nan))
    elif drive.lane.shape[1] != 2 + len(shape.preview_m):
        raise BagError(
            f"{path}: its lane labels have {drive.lane.shape[1] - 2} curvatures; perception.preview_m has "
            f"{len(shape.preview_m)}"
        )
    if file is not None and not drive.interrupted:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            np.savez(stream, **{name: getattr(drive, name) for name in _ARRAYS})
    return drive, digest


class Windows:
    """Draws windows of T frames from drives."""

    def __init__(self, drives: Sequence[Drive], recipe: TrainRecipe, mass_kg: float, period: float) -> None:
        """List every window.

        Args:
            drives: labelled.
            recipe: batch, window.
            mass_kg: turns the labels' force into acceleration.
            period: of the camera [s], the time step of a drive's first frame.

        Raises:
            BagError: no drive is as long as a window.
        """
        self._drives, self._recipe, self._mass = list(drives), recipe, mass_kg
        self._steps: list[NDArray[np.float32]] = []
        starts: list[tuple[int, int]] = []
        for index, drive in enumerate(self._drives):
            gaps = np.diff(drive.stamp) / NANOSECONDS
            self._steps.append(np.concatenate([[period], gaps]).astype(np.float32))
            usable = labelled(drive)
            usable[1:] &= gaps <= GAP_MAX_S
            if len(usable) >= recipe.window:
                run = np.convolve(usable, np.ones(recipe.window, int), "valid")
                starts += [(index, int(first)) for first in np.flatnonzero(run == recipe.window)]
        if not starts:
            longest = max((len(drive.stamp) for drive in drives), default=0)
            raise BagError(
                f"no window of {recipe.window} labelled frames without a gap in {len(drives)} bag(s); the longest has "
                f"{longest} frames"
            )
        self._starts = np.array(starts)

    def __len__(self) -> int:
        """How many windows there are, overlapping ones included."""
        return len(self._starts)

    def coded(self, code: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Windows:
        """The same windows with ``code`` of each drive's images, (T, h, w, 3) → (T, C), in their place."""
        other = copy.copy(self)
        other._drives = [dataclasses.replace(drive, images=code(drive.images)) for drive in self._drives]
        return other

    def draw(self, random: np.random.Generator) -> Batch:
        """A batch of windows, each as likely as the other."""
        chosen = random.integers(len(self._starts), size=self._recipe.batch)
        return self.batch([(int(drive), int(first)) for drive, first in self._starts[chosen]])

    def draw_frames(self, random: np.random.Generator) -> Batch:
        """A batch of single frames, T = 1."""
        chosen = random.integers(len(self._starts), size=self._recipe.lane_frames)
        later = random.integers(self._recipe.window, size=len(chosen))
        places = [
            (int(drive), int(first) + int(more))
            for (drive, first), more in zip(self._starts[chosen], later, strict=True)
        ]
        return self.batch(places, 1)

    def batch(self, places: Sequence[tuple[int, int]], window: int | None = None) -> Batch:
        """The windows of ``window`` frames (default: the recipe's) that begin at ``places`` = (drive, frame)."""
        window = self._recipe.window if window is None else window

        def stack(values: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
            return np.stack([values(drive)[first : first + window] for drive, first in places])

        drives = self._drives
        return Batch(
            images=stack(lambda index: drives[index].images),
            speed=stack(lambda index: drives[index].speed).astype(np.float32),
            dt=stack(lambda index: self._steps[index]),
            acceleration=(stack(lambda index: drives[index].force) / self._mass).astype(np.float32),
            curvature=stack(lambda index: drives[index].curvature).astype(np.float32),
            lane=stack(lambda index: drives[index].lane).astype(np.float32),
            places=np.array(places, np.int64),
        )

    def whole(self) -> Whole:
        """The drives themselves, unlabelled frames and pauses (as ``GAP_MAX_S``) included."""
        length = np.array([len(drive.stamp) for drive in self._drives])

        def pad(values: Iterable[NDArray[Any]]) -> NDArray[Any]:
            return np.stack([each[np.minimum(np.arange(length.max()), len(each) - 1)] for each in values])

        return Whole(
            images=pad(drive.images for drive in self._drives),
            speed=pad(np.nan_to_num(drive.speed).astype(np.float32) for drive in self._drives),
            dt=pad(np.minimum(steps, np.float32(GAP_MAX_S)) for steps in self._steps),
            length=length,
        )

    def every(self) -> list[Batch]:
        """All windows that do not overlap, in batches, for validation."""
        places: list[tuple[int, int]] = []
        last = (-1, 0)
        for drive, first in self._starts.tolist():
            if drive != last[0] or first >= last[1] + self._recipe.window:
                places.append((drive, first))
                last = (drive, first)
        size = self._recipe.batch
        return [self.batch(places[at : at + size]) for at in range(0, len(places), size)]


def labelled(drive: Drive) -> NDArray[np.bool_]:
    """Frames (T,) whose labels are known; the force may be missing, or the lane in the whole drive: then it is no
    lesson."""
    known = np.isfinite(drive.curvature) & np.isfinite(drive.speed)
    return np.asarray(known & (np.isfinite(drive.lane).all(axis=1) | (not tells_of_lane(drive))))


def tells_of_lane(drive: Drive) -> bool:
    """Whether any frame says where the lane is; other people's data do not."""
    return bool(np.isfinite(drive.lane).any())


def split(paths: Sequence[Path], share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """Bags for training and for validation; a bag is never in both."""
    order = np.random.default_rng([seed, 17]).permutation(len(paths))
    held = set(order[: max(1, round(share * len(paths)))].tolist()) if len(paths) > 1 else set()
    train = [path for index, path in enumerate(paths) if index not in held]
    return train, [path for index, path in enumerate(paths) if index in held]


def bags_in(paths: Sequence[Path]) -> list[Path]:
    """The bags in ``paths``: each a bag or a folder of bags.

    Raises:
        BagError: nothing there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_file() or any(path.glob("*.mcap")) or any(path.glob("*.db3")):
            found.append(path)
            continue
        inside = {file.parent for pattern in ("*.mcap", "*.db3") for file in path.rglob(pattern)}
        if not inside:
            raise BagError(f"{path}: holds no bag (a folder with a file of .mcap or .db3)")
        found += sorted(folder for folder in inside if folder.parent.suffix != ".partial")
    return found
