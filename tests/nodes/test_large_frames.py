# SPDX-License-Identifier: Apache-2.0
"""640 × 480 at 30 Hz through the whole live graph: what ``benchmarks/large_frames.py`` times for a minute, counted.

Processed is a frame of which perception and policy made a command. On a busy machine the next one may overtake it
before the filter ticks; so a few may have no tick of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from domains import random_domain

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
SECONDS, SHARE = 10.0, {"lane": 0.99, "nominal": 0.99, "command": 0.95}


def test_a_frame_in_a_hundred_is_lost_at_most(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))  # its other process finds it there too
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())
    import large_frames

    monkeypatch.setattr(large_frames, "FIGURES", tmp_path)
    figures = large_frames.measure(SECONDS)
    assert figures["size"] == [640, 480]
    assert figures["published"] > 0.9 * SECONDS * figures["rate_hz"]
    for name, share in SHARE.items():
        assert figures["hops"][name]["frames"] >= share * figures["published"], (name, figures)
