# SPDX-License-Identifier: Apache-2.0
"""640 × 480 at 30 Hz through the whole live graph: what ``benchmarks/large_frames.py`` times for a minute, counted.

Processed is a frame of which perception and policy made a command. On a busy machine the next one may overtake it
before the filter ticks; so some may have no tick of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from domains import random_domain

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
SECONDS, SHARE = 10.0, {"lane": 0.99, "nominal": 0.99, "command": 0.8}
TRIES = 3
"""Whoever takes both cores for a third of a second makes the camera's queue of ten frames run over."""


def test_a_frame_in_a_hundred_is_lost_at_most(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))  # its other process finds it there too
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())
    import large_frames

    monkeypatch.setattr(large_frames, "FIGURES", tmp_path)
    tries = []
    for _ in range(TRIES):
        figures = large_frames.measure(SECONDS)
        assert figures["size"] == [640, 480]
        assert figures["published"] > 0.9 * SECONDS * figures["rate_hz"]
        tries.append({name: hop["frames"] / figures["published"] for name, hop in figures["hops"].items()})
        if all(tries[-1][name] >= share for name, share in SHARE.items()):
            return
    pytest.fail(f"frames that came through, as shares of those published: {tries}")
