# SPDX-License-Identifier: Apache-2.0
"""Whose shared memory images go through: read off the processes that publish them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domains import random_domain
from tidegate.doctor.images import SEGMENT, segment_size
from tidegate.doctor.segments import segment_of
from tidegate.middleware import VARIABLES
from tidegate.nodes.examine import examine
from tidegate.share import share_path

pytestmark = pytest.mark.real_time

GOLDEN = Path(__file__).parents[1] / "golden" / "road"
OVERHEAD = 1.1
"""What Fast DDS adds to a segment at most, as a factor."""
Start = Callable[..., None]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts publishers of images in a domain of their own, from a shell in which no profile is exported."""
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())
    for name in (name for names in VARIABLES.values() for name in names):
        monkeypatch.delenv(name, raising=False)
    started: list[subprocess.Popen[bytes]] = []
    yield lambda *words: started.append(subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL))
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_driver_has_what_it_was_started_with_and_a_replay_the_shipped_profile(start: Start) -> None:
    start(str(Path(__file__).parent / "sensors.py"), "{}")
    start(
        "-c",
        "from tidegate.cli.app import main; main()",
        "replay",
        str(GOLDEN),
        "--live",
        "--rate",
        "0.05",
        "--namespace",
        "",
    )
    end, found = time.monotonic() + 60, {}
    while set(found) != {"/driver", "/player_node"} and time.monotonic() < end:
        found = dict(examine(watch_s=0.2).segments)
    assert set(found) == {"/driver", "/player_node"}
    assert SEGMENT <= found["/driver"] < OVERHEAD * SEGMENT
    shipped = segment_size(share_path("config/fastdds.xml"))
    assert shipped <= found["/player_node"] < OVERHEAD * shipped


def test_of_a_publisher_elsewhere_and_of_another_maker_nothing_is_said() -> None:
    mine = bytes.fromhex("010f78fd") + (os.getpid() & 0xFFFF).to_bytes(2, "little") + bytes(10)
    other_host, other_maker = b"\x01\x0f\x00\x00" + mine[4:], b"\x01\x10" + mine[2:]
    assert segment_of(other_host, mine) is None
    assert segment_of(other_maker, other_maker) is None
    assert segment_of(b"", mine) is None
