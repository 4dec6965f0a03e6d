# SPDX-License-Identifier: Apache-2.0
"""The video plays: browsers' codec and pixel format, every frame, and what it shows changes with the drive."""

import av
import numpy as np
import pytest

from tidegate.insight.video import ACTIVE, SIZE, Painter, write_video


def test_the_video_decodes_frame_by_frame(drive, tmp_path):
    heard = []
    path = tmp_path / "drive.mp4"
    write_video(path, Painter(drive), drive, lambda done, total: heard.append((done, total)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == 20
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == len(drive.image_time)
    assert decoded[0].shape == (SIZE[1], SIZE[0], 3)
    assert heard[-1] == (len(decoded), len(decoded))
    painted = Painter(drive).paint(30).astype(float)
    assert np.abs(decoded[30][480:] - painted[480:]).mean() < 6


def test_the_active_barrier_is_shown_only_while_it_acts(drive):
    painter = Painter(drive)
    amber = [int((painter.paint(frame)[430:470, 300:660] == ACTIVE).all(axis=2).sum()) for frame in (10, 25, 40)]
    assert amber[0] == amber[2] == 0
    assert amber[1] > 2_000


def test_saliency_tints_the_pixels_it_names(drive):
    def left_half(image):
        return np.tile(np.arange(image.shape[1]) < image.shape[1] // 2, (image.shape[0], 1)).astype(float)

    plain, tinted = Painter(drive).paint(10).astype(int), Painter(drive, left_half).paint(10).astype(int)
    change = np.abs(plain - tinted)[60:400, :960].mean(axis=2)
    assert change[:, :440].mean() > 20
    assert change[:, 520:].mean() == 0


def test_a_drive_without_frames_is_refused(drive, tmp_path):
    from dataclasses import replace

    short = replace(drive, image_time=drive.image_time[:1], images=drive.images[:1])
    with pytest.raises(ValueError, match="needs at least 2"):
        write_video(tmp_path / "x.mp4", Painter(short), short)
