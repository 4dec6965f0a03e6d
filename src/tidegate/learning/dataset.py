# SPDX-License-Identifier: Apache-2.0
"""Drives as arrays in memory, and windows of them as batches."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import Drive, kept_drive, labelled
from tidegate.bag.align import PAUSE_MAX_S
from tidegate.bag.reader import AS_IT_IS
from tidegate.errors import BagError
from tidegate.learning.recipe import TrainRecipe
from tidegate.perception.image import shrink
from tidegate.records import NANOSECONDS
from tidegate.settings.perception import PerceptionSettings
from tidegate.workers import as_they_end

FEW = 5
"""Bags that are read sooner than processes to read them begin."""


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


def load_drive(
    path: Path,
    shape: PerceptionSettings,
    remap: Mapping[str, str] = AS_IT_IS,
    sha256: str | None = None,
) -> tuple[Drive, str]:
    """A labelled drive with its images as the network sees them, and the bag's hash.

    Args:
        path: of the bag.
        shape: crop and size of the images.
        remap, sha256: as ``kept_drive`` takes them.

    Raises:
        BagError: as ``kept_drive``, or its lane is another robot's.
    """
    look = {name: value for name, value in asdict(shape).items() if name.startswith(("crop_", "input_"))}
    drive, digest = kept_drive(path, lambda image: shrink(image, shape), look, remap=remap, sha256=sha256)
    if drive.lane.shape[1] == 0:  # no lesson about the lane, in every frame
        drive = dataclasses.replace(drive, lane=np.full((len(drive.stamp), 2 + len(shape.preview_m)), np.nan))
    elif drive.lane.shape[1] != 2 + len(shape.preview_m):
        raise BagError(
            f"{path}: its lane labels have {drive.lane.shape[1] - 2} curvatures; perception.preview_m has "
            f"{len(shape.preview_m)}"
        )
    return drive, digest


Job = tuple[int, Path, str | None]
"""A bag to read: its number, its path, and the hash that it must have."""


def read_bags(
    jobs: Sequence[Job], shape: PerceptionSettings, remap: Mapping[str, str] = AS_IT_IS, processes: int = 1
) -> Iterator[tuple[Job, tuple[Drive, str]]]:
    """``load_drive`` of each, as they are done; decoded into memory alone, nothing is left on the disk.

    Raises:
        BagError: as ``load_drive``.
    """
    work = partial(_read, shape=shape, remap=dict(remap))
    if processes == 1 or len(jobs) < FEW:
        yield from ((job, work(job)) for job in jobs)
    else:
        yield from as_they_end(work, jobs, processes)


def _read(job: Job, shape: PerceptionSettings, remap: Mapping[str, str]) -> tuple[Drive, str]:
    return load_drive(job[1], shape, remap, job[2])


class Windows:
    """Draws windows of T frames from drives."""

    def __init__(
        self,
        drives: Sequence[Drive],
        recipe: TrainRecipe,
        mass_kg: float,
        period: float,
        planned: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """List every window.

        Args:
            drives: labelled.
            recipe: batch, window.
            mass_kg: turns the labels' force into acceleration.
            period: of the camera [s], the time step of a drive's first frame.
            planned: first frames of the only windows to draw, for each drive; None = all that there are.

        Raises:
            BagError: no drive is as long as a window, or a planned one cannot be learnt from.
        """
        self._drives, self._recipe, self._mass = list(drives), recipe, mass_kg
        self._steps: list[NDArray[np.float32]] = []
        starts: list[tuple[int, int]] = []
        for index, drive in enumerate(self._drives):
            gaps = np.diff(drive.stamp) / NANOSECONDS
            self._steps.append(np.concatenate([[period], gaps]).astype(np.float32))
            usable = labelled(drive)
            usable[1:] &= gaps <= PAUSE_MAX_S
            possible: list[int] = []
            if len(usable) >= recipe.window:
                run = np.convolve(usable, np.ones(recipe.window, int), "valid")
                possible = np.flatnonzero(run == recipe.window).tolist()
            if planned is not None:
                if absent := sorted(set(planned[index]) - set(possible)):
                    raise BagError(
                        f"{drive.path}: the planned window of {recipe.window} frames at frame {absent[0]} cannot be "
                        "learnt from"
                    )
                possible = sorted(planned[index])
            starts += [(index, first) for first in possible]
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

    @property
    def hold_codes(self) -> bool:
        """Whether there are codes of images in the place of the images."""
        return self._drives[0].images.ndim == 2

    def fingerprint(self) -> str:
        """SHA-256 of what is drawn from, pictures aside: stamps, commands, and where windows begin."""
        found = hashlib.sha256(self._starts.astype(np.int64).tobytes())
        for drive in self._drives:
            for values in (drive.stamp, drive.force, drive.curvature):
                found.update(values.tobytes())
        return found.hexdigest()

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
        """The drives themselves, unlabelled frames and pauses (as ``PAUSE_MAX_S``) included."""
        length = np.array([len(drive.stamp) for drive in self._drives])

        def pad(values: Iterable[NDArray[Any]]) -> NDArray[Any]:
            return np.stack([each[np.minimum(np.arange(length.max()), len(each) - 1)] for each in values])

        return Whole(
            images=pad(drive.images for drive in self._drives),
            speed=pad(np.nan_to_num(drive.speed).astype(np.float32) for drive in self._drives),
            dt=pad(np.minimum(steps, np.float32(PAUSE_MAX_S)) for steps in self._steps),
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
