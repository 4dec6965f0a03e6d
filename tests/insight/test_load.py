# SPDX-License-Identifier: Apache-2.0
"""What is written into a bag is what the drive holds; what a bag lacks is empty, and the page still stands."""

import numpy as np
import pytest

from tidegate.bag import BagReader, BagWriter
from tidegate.errors import BagError
from tidegate.insight.load import load_drive
from tidegate.insight.report import Bounds, report
from tidegate.insight.video import Painter, write_video
from tidegate.records import BarrierState, Frame, LaneEstimate, Mode, Neurons, Odometry, SafetyState, UsedInputs, Values

MS = 1_000_000
START = 5_000 * MS


def write(path, *, camera=True, safety=True, steady=False):
    rng = np.random.default_rng(0)
    with BagWriter(path) as bag:
        for tick in range(200):
            now = START + 5 * MS * tick
            bag.write("odom", Odometry(now, 0.05 * tick, 0.0, 0.0, 10.0, 0.0))
            bag.write("truth", Values(now, {"x": 0.05 * tick, "y": 1.0, "offset": 0.25, "speed": 10.0, "gap": 30.0}))
            if camera and tick % 10 == 0:
                bag.write("camera/image_raw", Frame(now, rng.integers(0, 255, (80, 160, 3), dtype=np.uint8)))
                bag.write("lane", LaneEstimate(now, 0.2, 0.01, np.array([0.001, 0.002]), np.full(4, 0.1)))
                bag.write("neurons", Neurons(now, np.full(19, tick / 200, np.float32)))
            if safety:
                acts = 100 <= tick < 120
                barriers = [BarrierState("speed", 6.5, 1.0, 0.0)]
                if tick >= 50:
                    barriers.append(BarrierState("distance", 30.0 - tick / 10, 0.0 if acts else 2.0, float(acts)))
                allowed = (-500.0 if acts else 800.0, 0.01)
                state = SafetyState(
                    now, Mode.NORMAL, (800.0, 0.01), allowed, tuple(barriers), "distance" if acts else ""
                )
                bag.write("safety_node/barriers", state)
                used = START + 50 * MS * (tick // 10)
                bag.write("safety_node/inputs", UsedInputs(now, {"nominal": (used - 10 * MS, 15 * MS)}, {}))
            if steady and tick % 10 == 0:
                bag.write("timing/rendered", Values(now, {"steady": 7e9 + tick * 5e6}))
                bag.write("timing/commanded", Values(now, {"steady": 7e9 + tick * 5e6 + 3.5e6}))
    return path


def test_what_was_written_is_read(tmp_path):
    drive = load_drive(BagReader(write(tmp_path / "bag")), "a drive")
    assert drive.time[[0, -1]] == pytest.approx([0.0, 0.995])
    assert set(drive.barriers) == {"speed", "distance"}
    assert np.isnan(drive.barriers["distance"].h[:50]).all()
    assert drive.barriers["distance"].h[50] == 25.0
    assert np.flatnonzero(drive.row == "distance").tolist() == list(range(100, 120))
    assert drive.allowed[110].tolist() == [-500.0, 0.01]
    assert drive.motion.position[-1, 0] == pytest.approx(0.05 * 199)
    assert drive.images.shape == (20, 80, 160, 3)
    assert drive.neurons.shape == (20, 19)
    assert drive.truth is not None
    assert drive.truth.lane_error.tolist() == [0.25] * 200
    assert drive.latency == pytest.approx(np.full(20, 10.0)), "first tick that used a frame, minus its stamp"


def test_real_time_latency_is_told_by_the_steady_clock(tmp_path):
    assert load_drive(BagReader(write(tmp_path / "bag", steady=True)), "x").latency == pytest.approx(np.full(20, 3.5))


@pytest.mark.parametrize(("camera", "safety"), [(True, True), (True, False), (False, True)])
def test_a_page_from_what_there_is(tmp_path, camera, safety):
    drive = load_drive(BagReader(write(tmp_path / "bag", camera=camera, safety=safety)), "a drive")
    text = report(drive, Bounds(16.5, 0.8))
    assert ("Nineteen neurons" in text) is camera
    assert ("Margins" in text) is safety
    assert "The lap" in text


def test_a_video_from_a_bag(tmp_path):
    import av

    drive = load_drive(BagReader(write(tmp_path / "bag")), "a drive")
    write_video(tmp_path / "drive.mp4", Painter(drive, layers={"inter": 11, "command": 6, "motor": 2}), drive)
    with av.open(str(tmp_path / "drive.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20


def test_a_bag_with_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(BagError, match="nothing to show"):
        load_drive(BagReader(write(tmp_path / "bag", camera=False, safety=False)), "a drive")
