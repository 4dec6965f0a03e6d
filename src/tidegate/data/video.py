# SPDX-License-Identifier: Apache-2.0
"""Frames of a video by their times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tidegate.data.recording import Picture
from tidegate.errors import DataError
from tidegate.messages.compressed import LARGEST_PIXELS
from tidegate.records import Floats


def video_frames(file: Path, at: Floats, within: float) -> Iterator[Picture | str]:
    """The frame (H, W, 3) of a video at each time.

    Args:
        file: of the video.
        at: (T,) times [s], advancing.
        within: a frame is one for a time if it is no further from it [s].

    Yields:
        text where there is none.
    """
    done = 0
    if not len(at):
        return
    try:
        with av.open(str(file), format="mp4") as opened:  # probed by content it might be a list of other files
            if not opened.streams.video:
                raise DataError(f"{file}: has no video in it")
            stream = opened.streams.video[0]
            if not 0 < stream.width * stream.height <= LARGEST_PIXELS:
                raise DataError(f"{file}: is of {stream.width} × {stream.height} px; 1 to {LARGEST_PIXELS} are allowed")
            opened.seek(int(Fraction(max(0.0, float(at[0]) - within)) / stream.time_base), stream=stream)
            for frame in opened.decode(stream):
                time = float(frame.pts * stream.time_base) if frame.pts is not None else math.nan
                while done < len(at) and time > at[done] + within:
                    done += 1
                    yield "video has no frame at that time"
                if done < len(at) and abs(time - at[done]) <= within:
                    done += 1
                    fits = frame.width * frame.height <= LARGEST_PIXELS
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) if fits else "picture is too large"
                if done == len(at):
                    return
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        yield from ["video is broken there"] * (len(at) - done)
        return
    yield from ["video has no frame at that time"] * (len(at) - done)
