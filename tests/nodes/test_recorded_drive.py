# SPDX-License-Identifier: Apache-2.0
"""Recording holds up nobody: a car drives on while its recorder is frozen, and while the recorder's disk is full.

Real processes and the MuJoCo world, on the clock that the simulator publishes. The recorder is a reliable reader of all
that the safety node says.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from drive import AT_SPEED, Drive

from tidegate.bag import BagReader
from tidegate.records import Mode, Values, nanoseconds, seconds

pytestmark = [pytest.mark.real_time, pytest.mark.slow]

FROZEN_S = 3.0
ROOM = 500_000
"""Bytes that still find room; a second of the drive has more."""


@contextmanager
def under_way(bag: Path) -> Iterator[tuple[Drive, Values]]:
    """A recorded drive at speed, and the truth at that moment."""
    drive = Drive(bag)
    with drive.graph:
        drive.listen()
        drive.until(lambda: drive.speed > AT_SPEED)
        yield drive, drive.truth[-1]


def assert_undisturbed(drive: Drive, begun: Values) -> None:
    """Since ``begun`` the filter has been in NORMAL, and no tick so late that an actuator would have braked."""
    states = [state for state in drive.states if state.stamp > begun.stamp]
    said = [text for node, _, text in drive.lines if node == "safety_node"]
    assert {state.mode for state in states} == {Mode.NORMAL}, said
    gaps = np.diff([state.stamp for state in states])
    held = nanoseconds(drive.graph.settings.vehicle.command_hold_s)
    assert gaps.max() < held, f"{seconds(gaps.max()):g} s between two ticks"


def drive_on(drive: Drive, span: float) -> None:
    """For ``span`` seconds of the simulated time."""
    begun = drive.truth[-1].stamp
    drive.until(lambda: drive.truth[-1].stamp - begun > nanoseconds(span))


def test_a_frozen_recorder_holds_up_no_command(tmp_path: Path) -> None:
    """Longer than the watchdogs and the actuators wait for anything."""
    with under_way(tmp_path / "bag") as (drive, begun):
        drive.hit(signal.SIGSTOP, "recorder_node")
        try:
            drive_on(drive, FROZEN_S)
        finally:
            drive.hit(signal.SIGCONT, "recorder_node")
        drive_on(drive, 1.0)
        assert_undisturbed(drive, begun)
        # not that it records all again: what was taken for dead may stay deaf to some
        assert any(node == "recorder_node" and "held up for" in text for node, _, text in drive.lines)
        drive.stop()
    stamps = [record.stamp for _, _, record in BagReader(tmp_path / "bag").messages(["command"])]
    assert stamps[0] < begun.stamp


def test_a_full_disk_holds_up_no_command(tmp_path: Path) -> None:
    with under_way(tmp_path / "bag") as (drive, begun):
        (file,) = (tmp_path / "bag").glob("*.mcap")
        full = file.stat().st_size + ROOM
        resource.prlimit(drive.graph.children["recorder_node"].pid, resource.RLIMIT_FSIZE, (full, full))
        drive.until(lambda: any("recording has ended: " in text for _, _, text in drive.lines))
        drive_on(drive, FROZEN_S)
        assert_undisturbed(drive, begun)
        drive.stop()
    reader = BagReader(tmp_path / "bag")
    stamps = [record.stamp for _, _, record in reader.messages(["command"])]
    assert stamps[0] < begun.stamp < stamps[-1]
