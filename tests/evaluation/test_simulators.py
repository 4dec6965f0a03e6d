# SPDX-License-Identifier: Apache-2.0
"""What is asked of a simulator: the embedded one has it, by name it is the default, and what lacks it is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.errors import SettingsError
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.metrics import End
from tidegate.evaluation.rollout import check_task, drive
from tidegate.evaluation.simulators import EMBEDDED, MEMBERS, embedded
from tidegate.records import Mode
from tidegate.simulation import Simulator


@pytest.mark.slow
def test_the_embedded_world_is_the_default_and_drives_the_same_by_its_name(task, tmp_path) -> None:
    """The drives are those of the command line, from the options on."""
    words = ["evaluate", "--bundle", task.bundle, "--seeds", "1000", "--seconds", "1.5", "--processes", "1"]
    found = []
    for options in ([], ["--simulator", "tidegate.simulation:Simulator"]):
        out = tmp_path / str(len(options))
        ran = CliRunner().invoke(app, [*words, *options, "--out", str(out)])
        assert ran.exit_code == 0, ran.output
        assert "pace was not judged" not in ran.output
        found.append(json.loads((out / "evaluation.json").read_text()))
    default, named = found
    assert default["simulator"] == named["simulator"] == EMBEDDED
    assert default["pace_judged"] is named["pace_judged"] is True
    assert default["runs"][0]["state_hash"] == named["runs"][0]["state_hash"]


def test_the_members_are_these() -> None:
    assert set(MEMBERS) == {
        *("car", "now", "observe", "apply", "step", "truth", "state_hash", "__enter__", "__exit__"),
    }


LACKING = """
class Half:
    def __init__(self, settings, scene, seed, *, camera=True):
        self.car = None
    def observe(self): ...
    def apply(self, command): ...
    def step(self): ...
    def __enter__(self): return self
    def __exit__(self, *error): ...

class Other:
    def __init__(self, settings): ...

NUMBER = 7
"""


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_lacking.py").write_text(LACKING)
    (tmp_path / "users_broken.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("users_module")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tidegate.simulation", "it must be module:Class, such as tidegate.simulation:Simulator"),
        (":Simulator", "it must be module:Class"),
        ("tidegate.simulation:a:b", "it must be module:Class"),
        ("../world:World", "it must be module:Class"),
        ("users_nowhere:World", r"module users_nowhere cannot be imported \(No module named 'users_nowhere'\)"),
        ("users_broken:World", r"users_broken cannot be imported \(No module named 'no_such_library'\)"),
        ("users_lacking:World", "module users_lacking has no class World"),
        ("users_lacking:NUMBER", "module users_lacking has no class NUMBER"),
        (
            "users_lacking:Other",
            r"cannot be called as Other\(settings, scene, seed, camera=True\): too many positional",
        ),
        ("users_lacking:Half", "lacks now, truth, state_hash; it needs car, now, observe"),
    ],
)
def test_what_is_no_simulator_is_refused_before_it_starts(task, name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        check_task(replace(task, simulator=name))


def test_the_expert_drives_in_the_embedded_world_alone(task, users_module, car_settings) -> None:
    elsewhere = replace(task, simulator="users_lacking:Half", driver="expert")
    with pytest.raises(SettingsError, match="driver is 'expert', who knows the embedded world alone"):
        check_task(elsewhere)
    with pytest.raises(SettingsError, match="in users_lacking:Half it must be 'bundle'"):
        drive(car_settings, elsewhere, None)


def test_what_is_built_on_the_embedded_world_keeps_its_expert(tmp_path, monkeypatch) -> None:
    text = "from tidegate.simulation import Simulator\nclass Mine(Simulator): ...\n"
    (tmp_path / "users_variant.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    kind = embedded("users_variant:Mine")
    assert kind is not None
    assert issubclass(kind, Simulator)


def lap(car_settings, speed: float) -> DriveLog:
    """A lap at one speed [m/s], told ten times a second."""
    rarely = replace(car_settings, safety=replace(car_settings.safety, rate_hz=10.0))
    with Simulator(car_settings, "proving_ground", 0, camera=False) as simulator:
        log, start = DriveLog(rarely, simulator.car), simulator.truth()
        rest = simulator.observe().joints.effort * 0
    ticks = round(start.goal / speed * rarely.safety.rate_hz)
    for tick in range(ticks + 1):
        log.add(rest, "", Mode.NORMAL, replace(start, speed=speed, distance=start.goal * tick / ticks))
    return log


@pytest.mark.parametrize("bend", [1 / 28, -1 / 28, 1 / 90])
@pytest.mark.parametrize(("across", "heading"), [(0.0, 0.0), (0.5, 0.02), (-0.5, -0.02), (-0.4, 0.1)])
def test_in_a_bend_room_is_left_from_where_the_front_axle_really_is(car_settings, bend, across, heading) -> None:
    """A lane that is a circle: an axle's offset is the radius less its distance from the centre."""
    radius = 1 / bend
    with Simulator(car_settings, "proving_ground", 0, camera=False) as simulator:
        log, car = DriveLog(car_settings, simulator.car), simulator.car
        truth = replace(simulator.truth(), offset=across, heading=heading, curvature=np.full(4, bend))
    centre = np.array([0.0, radius - across])  # seen from the rear axle, along the lane
    front = car.wheelbase * np.array([np.cos(heading), np.sin(heading)])
    offsets = [radius - np.copysign(np.linalg.norm(centre - axle), radius) for axle in (np.zeros(2), front)]
    left = car_settings.safety.lane.half_width - car.width / 2 * np.cos(heading) - np.abs(offsets).max()
    assert log.room(truth) == pytest.approx(left, abs=0.006)


@pytest.mark.parametrize("speed", [0.5, 14.0])
def test_without_an_expert_any_pace_will_do(car_settings, speed: float) -> None:
    """A lap at a crawl counts where nobody says how fast it could have been, and nowhere else."""
    run = lap(car_settings, speed).judge("proving_ground", 0, End.GOAL, "", 0.0, None)
    assert run.completed
    assert run.expert_speed is None


@pytest.mark.parametrize(("speed", "completed"), [(7.9, False), (8.1, True)])
def test_an_expert_whose_pace_is_known_does_not_drive_for_it(car_settings, speed: float, completed: bool) -> None:
    run = lap(car_settings, speed).judge("proving_ground", 0, End.GOAL, "", 0.0, pace=10.0)
    assert run.completed == completed
    assert run.expert_speed == 10.0
