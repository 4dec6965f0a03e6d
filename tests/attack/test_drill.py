# SPDX-License-Identifier: Apache-2.0
"""Faults while driving: the rung, the stop, the way out; and a drill that fails where the filter does not listen."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tidegate.attack.drill as drilling
from tidegate.attack.campaign import DRILLS, run_drills
from tidegate.attack.drill import Drill, run_drill
from tidegate.attack.fault import faults
from tidegate.errors import SettingsError
from tidegate.records import Manual, Mode, Nominal, Odometry, Points, Received, SafetyInputs
from tidegate.safety import plausibility
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = str(share_path("config/car.yaml"))
FAULTS = faults(load_settings(SETTINGS))
FEW = {
    "odometry silent": 5029,
    "lane not usable": 5017,
    "odometry a little late": 5003,
    "odometry frozen, driven": 5029,
}
"""Faults with seeds by which they come early."""


def inputs(stamp: int, x: float = 0.0) -> SafetyInputs:
    return SafetyInputs(stamp, odometry=Received(Odometry(stamp, x, 0.0, 0.0, 5.0, 0.0), 0))


@pytest.mark.parametrize(("name", "seed"), FEW.items())
def test_a_fault_ends_in_its_rung_in_time_and_a_reset_leads_out(name: str, seed: int) -> None:
    outcome = run_drill(Drill(SETTINGS, "road", seed, name))
    assert outcome.passed, outcome
    assert not outcome.harmed


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAULTS if name not in FEW])
def test_every_other_fault_too(name: str) -> None:
    outcome = run_drill(Drill(SETTINGS, "road", 5002, name))
    assert outcome.passed, outcome


def test_a_driver_in_a_drill_asks_for_what_the_network_asks_for() -> None:
    asked = Received(Nominal(1, 700.0, 0.01), 0)
    driven = FAULTS["odometry seldom, driven"].make()
    heard = driven(replace(inputs(1), nominal=asked))
    assert heard.manual == Received(Manual(1, True, 700.0, 0.01), 0)
    assert driven(inputs(5_000_000)).manual is None
    assert not any(", driven" in name for name, fault in FAULTS.items() if fault.rung is not Mode.STOPPING)


def test_an_input_that_comes_seldom_is_as_old_as_it_says() -> None:
    seldom = FAULTS["odometry seldom"].make()
    ages = []
    for tick in range(30):
        heard = seldom(inputs(tick * 5_000_000)).odometry
        assert heard is not None
        assert heard.age == tick * 5_000_000 - heard.record.stamp
        ages.append(heard.age)
    assert max(ages) == 55_000_000
    assert ages.count(0) == 3


@pytest.mark.slow
def test_a_drill_fails_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausibility.Plausibility, "check", lambda *_: None)
    monkeypatch.setattr(drilling, "LONGEST_S", 8.0)  # nothing will come of waiting
    outcome = run_drill(Drill(SETTINGS, "road", 5008, "odometry jumps"))
    assert outcome.rung == "NORMAL" or outcome.took_s > outcome.within_s
    assert not outcome.passed


@pytest.mark.slow
def test_without_the_joints_feedback_the_steering_is_not_promised_and_this_is_told_apart() -> None:
    """The assumption of the lane and the joint limits that docs/safety.md names: the joints are told."""
    outcome = run_drill(Drill(SETTINGS, "road", 5001, "joints silent"))
    assert outcome.harmed
    assert outcome.blind
    assert outcome.passed


def test_a_silent_input_grows_old_and_a_late_one_is_as_late_as_it_says() -> None:
    silent = FAULTS["odometry silent"].make()
    late = FAULTS["odometry a little late"].make()
    delay = load_settings(SETTINGS).safety.trusted_timeout_s / 4 * 1e9
    for tick in range(1, 40):
        stamp = tick * 5_000_000
        held, delayed = silent(inputs(stamp)).odometry, late(inputs(stamp)).odometry
        assert held is not None
        assert delayed is not None
        assert (held.record.stamp, held.age) == (5_000_000, stamp - 5_000_000)
        assert delayed.age == stamp - delayed.record.stamp
        assert delayed.age <= delay + 5_000_000
        assert tick < 20 or delayed.age >= delay


def test_a_frozen_input_has_new_stamps_and_old_values() -> None:
    frozen = FAULTS["odometry frozen"].make()
    heard = [frozen(inputs(stamp, x=float(stamp))).odometry for stamp in (1, 2, 3)]
    assert [one.record.stamp for one in heard if one is not None] == [1, 2, 3]
    assert {one.record.x for one in heard if one is not None} == {1.0}


def test_a_changed_record_stays_the_same_object_until_a_new_one_comes() -> None:
    """The filter looks at a record once; a fault that made new objects would be looked at every tick."""
    spoilt = FAULTS["points not usable"].make()
    points = Received(Points(1, np.zeros((3, 3), np.float32), np.zeros(3, np.int32)), 0)
    one, again = (spoilt(replace(inputs(stamp), points=points)).points for stamp in (1, 2))
    assert one is not None
    assert again is not None
    assert one.record is again.record
    assert len(one.record.ring) == 2


@pytest.mark.slow
def test_drills_go_on_where_they_were_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    drills = [Drill(SETTINGS, "road", seed, name) for name, seed in FEW.items()][:2]
    first = run_drills(drills[:1], tmp_path)
    path = tmp_path / DRILLS
    assert [json.loads(line)["fault"] for line in path.read_text().splitlines()[1:]] == [drills[0].fault]
    heard: list[str] = []
    both = run_drills(drills, tmp_path, heard=lambda outcome: heard.append(outcome.fault))
    assert heard == [drills[1].fault]
    assert both[0] == first[0]
    path.write_text(path.read_text() + '{"fault": 1}\n')
    with pytest.raises(SettingsError, match="line 4: no DrillOutcome"):
        run_drills(drills, tmp_path)
    with pytest.raises(SettingsError, match="nothing to drive"):
        run_drills([], tmp_path)
