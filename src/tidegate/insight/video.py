# SPDX-License-Identifier: Apache-2.0
"""``drive.mp4``: camera with saliency, neurons, command before and after the filter, active barrier. H.264."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tidegate.insight.drive import Barrier, Drive
from tidegate.perception.saliency import HIGHLIGHT, overlay
from tidegate.records import Floats, Mode

SIZE = (1280, 720)
CAMERA = (960, 480)
PAPER, PANEL, LINE = (13, 24, 30), (20, 36, 44), (44, 66, 76)
TEXT, FAINT = (236, 243, 246), (140, 164, 174)
WANTED, ALLOWED, ACTIVE = (150, 176, 188), (64, 190, 226), HIGHLIGHT
MODE_COLOUR = {
    Mode.NORMAL: (61, 170, 110),
    Mode.HOLD: (245, 166, 35),
    Mode.STOPPING: (226, 88, 62),
    Mode.STOPPED: (150, 70, 70),
}
LAYERS = (ALLOWED, (122, 206, 150), ACTIVE)
"""Of the neurons."""
STRIPS = ((0, 480, 480, 720), (480, 480, 960, 720))
"""Where force and curvature are drawn: left, top, right, bottom."""
NEURONS = (980, 526, 1262, 690)
ROWS_MAX = 14
ENCODING = {"crf": "26", "preset": "ultrafast"}
"""A camera's noise costs an encoder most of its time; these settings cost a third of it."""
WINDOW = 6.0
"""Time that the strips show [s]."""

Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]
Saliency = Callable[[NDArray[np.uint8]], Floats]
"""Camera image (H, W, 3) → importance of each pixel (H, W) in 0…1."""


class Painter:
    """Draws one moment of a drive on a canvas of ``SIZE``."""

    def __init__(self, drive: Drive, saliency: Saliency | None = None, layers: dict[str, int] | None = None) -> None:
        """``layers``: neurons per layer in the order of the state vector, to colour them."""
        self._drive, self._saliency = drive, saliency
        self._layers = layers or {"neurons": drive.neurons.shape[1] if drive.neurons.ndim == 2 else 0}
        self._small, self._normal, self._large = (_font(size) for size in (14, 17, 44))
        self._scales = [_scale(drive.wanted[:, column], drive.allowed[:, column]) for column in range(len(STRIPS))]
        self._rows = list(drive.barriers)[:ROWS_MAX]
        self._neuron = max(1e-6, float(np.quantile(np.abs(drive.neurons), 0.99))) if drive.neurons.size else 1.0
        self._paper = self._lettering()

    def paint(self, frame: int) -> NDArray[np.uint8]:
        """The canvas (720, 1280, 3) for one camera frame."""
        drive = self._drive
        now = float(drive.image_time[frame])
        canvas = self._paper.copy()
        canvas.paste(self._camera(drive.images[frame]), (0, 0))
        draw = ImageDraw.Draw(canvas)
        tick = min(int(np.searchsorted(drive.time, now, "right")), len(drive.time)) - 1
        recent = slice(max(0, int(np.searchsorted(drive.time, now - 0.05))), tick + 1)
        rows = [name for name in drive.row[recent].tolist() if name] if tick >= 0 else []
        self._caption(draw, now, rows[-1] if rows else "")
        self._status(draw, now, tick)
        self._margins(draw, tick, set(rows))
        for column, box in enumerate(STRIPS):
            self._strip(draw, box, now, column)
        self._neurons(draw, now)
        return np.asarray(canvas)

    def _lettering(self) -> Image.Image:
        """What is the same on every canvas: it takes half of the time to draw."""
        canvas = Image.new("RGB", SIZE, PAPER)
        draw = ImageDraw.Draw(canvas)
        draw.text((980, 132), "barriers", FAINT, self._small, anchor="ls")
        draw.text((1262, 132), "h", FAINT, self._small, anchor="rs")
        for place, name in enumerate(self._rows):
            self._row(draw, place, name, LINE, TEXT)
        titles = ("drive force [kN]", self._scales[0] / 1000), ("path curvature [1/m]", self._scales[1])
        for box, (words, scale) in zip(STRIPS, titles, strict=True):
            left, top, right, bottom = _inside(box)
            draw.text((left, box[1] + 22), words, FAINT, self._small, anchor="lm")
            draw.text((right, box[1] + 22), f"±{scale:.3g}", FAINT, self._small, anchor="rm")
            for word, colour, x in (("wanted", WANTED, left + 190), ("allowed", ALLOWED, left + 270)):
                draw.line((x - 24, box[1] + 22, x - 8, box[1] + 22), colour, 3)
                draw.text((x - 2, box[1] + 22), word, FAINT, self._small, anchor="lm")
            draw.rounded_rectangle((left, top, right, bottom), 6, fill=PANEL)
            draw.line((left, (top + bottom) / 2, right, (top + bottom) / 2), LINE, 1)
        left, top, right, bottom = NEURONS
        draw.text((left, top - 22), "liquid neurons", FAINT, self._small, anchor="lm")
        if count := sum(self._layers.values()):
            draw.line((left, (top + bottom) / 2, right, (top + bottom) / 2), LINE, 1)
            start, pitch = float(left), (right - left) / count
            for (name, size), colour in zip(self._layers.items(), LAYERS, strict=False):
                draw.text((start + size * pitch / 2, bottom + 14), name, colour, self._small, anchor="mm")
                start += size * pitch
        return canvas

    def _camera(self, image: NDArray[np.uint8]) -> Image.Image:
        if self._saliency is not None:
            image = overlay(image, self._saliency(image))
        return Image.fromarray(cv2.resize(image, CAMERA, interpolation=cv2.INTER_CUBIC))

    def _caption(self, draw: ImageDraw.ImageDraw, now: float, row: str) -> None:
        draw.rounded_rectangle((14, 12, 128, 40), 8, fill=PANEL)
        draw.text((71, 26), f"t = {now:5.1f} s", TEXT, self._normal, anchor="mm")
        if row:
            text = f"barrier active: {row}"
            width = self._normal.getlength(text) + 32
            draw.rounded_rectangle((480 - width / 2, 432, 480 + width / 2, 466), 10, fill=ACTIVE)
            draw.text((480, 449), text, PAPER, self._normal, anchor="mm")

    def _status(self, draw: ImageDraw.ImageDraw, now: float, tick: int) -> None:
        motion = self._drive.motion
        mode = Mode(int(self._drive.mode[tick])) if tick >= 0 else Mode.STOPPED
        draw.rounded_rectangle((980, 16, 1120, 46), 8, fill=MODE_COLOUR[mode])
        draw.text((1050, 31), mode.name, TEXT, self._normal, anchor="mm")
        if len(motion.time):
            speed = float(np.interp(now, motion.time, motion.speed))
            draw.text((980, 104), f"{speed:.1f}", TEXT, self._large, anchor="ls")
            draw.text((986 + self._large.getlength(f"{speed:.1f}"), 104), "m/s", FAINT, self._normal, anchor="ls")

    def _margins(self, draw: ImageDraw.ImageDraw, tick: int, active: set[str]) -> None:
        for place, name in enumerate(self._rows):
            if name in active:
                self._row(draw, place, name, ACTIVE, ACTIVE)
            text = _number(self._drive.barriers[name], tick)
            draw.text((1262, 154 + 24 * place), text, FAINT, self._small, anchor="rm")

    def _row(self, draw: ImageDraw.ImageDraw, place: int, name: str, dot: Colour, ink: Colour) -> None:
        y = 154 + 24 * place
        draw.ellipse((982, y - 5, 992, y + 5), fill=dot)
        draw.text((1002, y), name, ink, self._small, anchor="lm")

    def _strip(self, draw: ImageDraw.ImageDraw, box: Box, now: float, column: int) -> None:
        left, top, right, bottom = _inside(box)
        middle, scale, drive = (top + bottom) / 2, self._scales[column], self._drive
        shown = np.flatnonzero((drive.time > now - WINDOW) & (drive.time <= now))[::4]
        for values, colour, width in ((drive.wanted, WANTED, 2), (drive.allowed, ALLOWED, 3)):
            y = middle - np.clip(values[shown, column] / scale, -1, 1) * (bottom - top) * 0.46
            x = right - (now - drive.time[shown]) / WINDOW * (right - left)
            good = np.isfinite(y)
            if good.sum() > 1:
                draw.line(list(zip(x[good].tolist(), y[good].tolist(), strict=True)), colour, width, joint="curve")

    def _neurons(self, draw: ImageDraw.ImageDraw, now: float) -> None:
        drive = self._drive
        at = int(np.searchsorted(drive.neuron_time, now, "right")) - 1
        if at < 0:
            return
        left, top, right, bottom = NEURONS
        state = np.clip(drive.neurons[at] / self._neuron, -1, 1)
        pitch, middle = (right - left) / len(state), (top + bottom) / 2
        colours = [colour for count, colour in zip(self._layers.values(), LAYERS, strict=False) for _ in range(count)]
        for index, value in enumerate(state.tolist()):
            x, y = left + index * pitch, middle - value * (bottom - top) / 2
            draw.rounded_rectangle((x + 1, min(y, middle), x + pitch - 2, max(y, middle) + 1), 2, fill=colours[index])


def write_video(
    path: Path, painter: Painter, drive: Drive, progress: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Encode the whole drive at the camera's mean rate; ``progress`` hears (frames done, frames in all).

    Raises:
        ValueError: the drive has fewer than two camera frames.
    """
    total = len(drive.image_time)
    if total < 2:
        raise ValueError(f"{drive.name}: has {total} camera frames; a video needs at least 2")
    rate = max(1, round((total - 1) / float(drive.image_time[-1] - drive.image_time[0])))
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=ENCODING)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for frame in range(total):
            picture = av.VideoFrame.from_ndarray(painter.paint(frame), format="rgb24")
            container.mux(stream.encode(picture))
            progress(frame + 1, total)
        container.mux(stream.encode())


def _inside(box: Box) -> Box:
    return box[0] + 16, box[1] + 40, box[2] - 16, box[3] - 18


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _scale(*values: Floats) -> float:
    """Largest size in a round figure, so that the strip does not breathe; one where there is nothing."""
    finite = [np.abs(one[np.isfinite(one)]) for one in values]
    most = max((float(one.max()) for one in finite if len(one)), default=0.0)
    if most <= 0:
        return 1.0
    digit = 10.0 ** np.floor(np.log10(most))
    return float(np.ceil(most / digit * 2) / 2 * digit)


def _number(barrier: Barrier, tick: int) -> str:
    value = barrier.h[tick] if tick >= 0 else np.nan
    return f"{value:.2f}" if np.isfinite(value) else "off"
