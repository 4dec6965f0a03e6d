# SPDX-License-Identifier: Apache-2.0
"""The profile of each middleware: chosen by what ROS is told, valid, and never in the place of the user's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tidegate.doctor.images import FRAMES, segment_size
from tidegate.middleware import CYCLONE_DDS, FAST_DDS, FILES, VARIABLES, profile_of
from tidegate.share import share_path

FRAME = 3 * 640 * 480
CYCLONE = "{https://cdds.io/config}"
UDP_MOST = 65507
"""Largest payload of a UDP datagram over IPv4 [B]."""


def test_the_profile_is_the_one_of_the_middleware_that_ros_is_told() -> None:
    fast, cyclone = (str(share_path(FILES[rmw])) for rmw in (FAST_DDS, CYCLONE_DDS))
    assert set(profile_of({}).values()) == {fast}
    assert set(profile_of({"RMW_IMPLEMENTATION": FAST_DDS})) == set(VARIABLES[FAST_DDS])
    assert profile_of({"RMW_IMPLEMENTATION": CYCLONE_DDS}) == {"CYCLONEDDS_URI": f"file://{cyclone}"}
    assert profile_of({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}) == {}


@pytest.mark.parametrize("name", [name for names in VARIABLES.values() for name in names])
def test_a_profile_of_the_users_stays(name: str) -> None:
    (rmw,) = [rmw for rmw, names in VARIABLES.items() if name in names]
    assert profile_of({"RMW_IMPLEMENTATION": rmw, name: "theirs.xml"}) == {}
    other = CYCLONE_DDS if rmw == FAST_DDS else FAST_DDS
    assert profile_of({"RMW_IMPLEMENTATION": other, name: "theirs.xml"})


@pytest.mark.parametrize("rmw", [FAST_DDS, CYCLONE_DDS])
def test_a_launch_sets_it_for_whatever_it_starts(rmw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("launch_ros")
    from launch import LaunchContext
    from launch.actions import SetEnvironmentVariable

    from tidegate.nodes.launching import shared_arguments

    for name in (name for names in VARIABLES.values() for name in names):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RMW_IMPLEMENTATION", rmw)
    context = LaunchContext()
    wanted = profile_of(context.environment)
    for action in shared_arguments(use_sim_time=False):
        if isinstance(action, SetEnvironmentVariable):
            action.execute(context)
    assert {name: context.environment.get(name) for name in wanted} == wanted != {}


def test_both_hold_images_of_640_by_480_and_forget_a_process_alike() -> None:
    assert segment_size(share_path(FILES[FAST_DDS])) >= FRAMES * FRAME
    root = ElementTree.parse(share_path(FILES[CYCLONE_DDS])).getroot()
    assert root.tag == f"{CYCLONE}CycloneDDS"

    def said(path: str) -> str:
        element = root.find("/".join(f"{CYCLONE}{part}" for part in path.split("/")))
        assert element is not None, path
        return element.text or element.attrib["max"]

    most, unit = said("Domain/Internal/SocketReceiveBufferSize").split()
    assert unit == "MiB"
    assert int(most) * 2**20 >= FRAMES * FRAME
    message, fragment = (int(said(f"Domain/General/{size}").split()[0]) for size in ("MaxMessageSize", "FragmentSize"))
    assert fragment < message <= UDP_MOST
    lease = ElementTree.parse(share_path(FILES[FAST_DDS])).getroot().find(".//{*}leaseDuration/{*}sec")
    assert lease is not None
    assert said("Domain/Discovery/LeaseDuration") == f"{lease.text} s"


def test_cyclone_dds_takes_every_word_of_its_profile(tmp_path: Path) -> None:
    """Behind what rmw_cyclonedds_cpp puts before it; Cyclone names words that it does not know, and makes no domain."""
    pytest.importorskip("cyclonedds")
    before = (
        "<CycloneDDS><Domain><Discovery><ParticipantIndex>auto</ParticipantIndex></Discovery></Domain></CycloneDDS>,"
    )
    script = "import sys; from cyclonedds.domain import Domain; Domain(67, sys.argv[1])"
    shipped = share_path(FILES[CYCLONE_DDS])
    wrong = tmp_path / "wrong.xml"
    wrong.write_text(shipped.read_text("utf-8").replace("SocketReceiveBufferSize", "SocketReceiveBuffer"), "utf-8")
    for file, accepted in ((shipped, True), (wrong, False)):
        command = [sys.executable, "-c", script, f"{before}file://{file}"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ran.returncode == 0 and "config" not in ran.stderr) == accepted, ran.stderr
