# SPDX-License-Identifier: Apache-2.0
"""Fields, full scales and tolerances of a comparison, on records that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import SettingsError
from tidegate.evaluation.difference import Tolerances, agreement, compare, covers, missing_records
from tidegate.records import (
    BarrierState,
    Command,
    Features,
    Gains,
    ImageHealth,
    LaneEstimate,
    Level,
    Mode,
    Nominal,
    SafetyState,
)

SECOND = 10**9
RECORDS = {
    "features": Features(SECOND, np.array([0.5, -0.5], np.float32)),
    "lane": LaneEstimate(SECOND, 0.1, 0.02, np.array([0.01, 0.02]), np.array([0.2, 0.03, np.inf, 0.01])),
    "health": ImageHealth(SECOND, Level.OK, (), {"mean": 100.0}),
    "nominal": Nominal(SECOND, 500.0, 0.01),
    "gains": Gains(SECOND, {"lane": 2.0}),
    "command": Command(SECOND, ("left", "right"), np.array([10.0, 20.0])),
    "safety_node/barriers": SafetyState(
        SECOND, Mode.NORMAL, (500.0, 0.01), (400.0, 0.01), (BarrierState("lane", 1.0, 0.5, 0.0),), "lane"
    ),
}
SCALES = {"lane.curvature": 0.1, "nominal.force": 1000.0, "command.right": 200.0}


def held(records):
    return {topic: {record.stamp: record} for topic, record in records.items()}


def only(changed, **options):
    """The fields that are not bit-equal where one record is another."""
    theirs = held(RECORDS)
    options = {"scales": SCALES, "start": 0, "tolerances": Tolerances(), **options}
    return [one for one in compare(held({**RECORDS, **changed}), theirs, **options) if one.at is not None]


def test_what_is_the_same_is_equal_in_every_field():
    found = compare(held(RECORDS), held(RECORDS), SCALES, 0, Tolerances())
    assert all(one.count == one.equal == 1 and one.since is None for one in found)
    assert agreement(found) == "bit-equal"
    assert {one.quantity for one in found} == {
        "features",
        "lane",
        "health",
        "nominal",
        "gains",
        "command",
        "filter",
    }


@pytest.mark.parametrize(
    ("topic", "change", "field", "gap"),
    [
        ("features", {"values": np.array([0.5, 0.0], np.float32)}, "features.1", 1.0),  # of 0.5
        ("lane", {"offset": 0.2}, "lane.offset", 1.0),
        ("lane", {"curvature": np.array([0.01, 0.03])}, "lane.curvature.1", 0.1),
        ("lane", {"bound": np.array([0.2, 0.03, 0.5, 0.01])}, "lane.bound.curvature.0", np.inf),
        ("health", {"level": Level.ERROR}, "health.level", 1.0),
        ("health", {"reasons": ("black",)}, "health.reasons", 1.0),
        ("health", {"values": {"mean": 50.0}}, "health.mean", 0.5),
        ("nominal", {"force": np.nan}, "nominal.force", np.inf),
        ("nominal", {"force": 600.0}, "nominal.force", 0.1),
        ("gains", {"values": {"lane": 3.0}}, "gains.lane", 0.5),
        ("command", {"effort": np.array([10.0, 0.0])}, "command.right", 0.1),
        ("safety_node/barriers", {"mode": Mode.HOLD}, "filter.mode", 1.0),
        ("safety_node/barriers", {"intervened": ""}, "filter.intervened", 1.0),
        ("safety_node/barriers", {"allowed": (200.0, 0.01)}, "filter.allowed.force", 0.5),
        ("safety_node/barriers", {"barriers": (BarrierState("lane", 0.0, 0.5, 0.0),)}, "filter.lane.h", 1.0),
    ],
)
def test_each_field_is_told_as_a_share_of_its_full_scale(topic, change, field, gap):
    (one,) = only({topic: replace(RECORDS[topic], **change)})
    assert one.name == field
    assert one.largest == pytest.approx(gap, rel=1e-6)
    assert (one.at, one.since) == (1.0, 1.0)


def test_a_field_that_one_side_lacks_differs_without_limit():
    (one,) = only({"gains": Gains(SECOND, {"lane": 2.0, "speed": 1.0})})
    assert (one.name, one.largest) == ("gains.speed", np.inf)


def test_a_record_that_one_side_has_alone_differs_without_limit():
    both = {"nominal": {SECOND: RECORDS["nominal"], 2 * SECOND: RECORDS["nominal"]}}
    one = {"nominal": {SECOND: RECORDS["nominal"]}}
    for ours, theirs in ((one, both), (both, one)):
        present, *fields = compare(ours, theirs, {}, 0, Tolerances())
        assert (present.name, present.count, present.largest, present.since) == ("nominal.present", 2, np.inf, 2.0)
        assert [field.count for field in fields] == [1, 1]
        assert agreement([present, *fields]) == "on one side alone: nominal.present at 2.000 s"
    assert [note.text for note in missing_records(one, both)] == ["nominal: 0 records here alone, 1 there alone"]


def test_a_quantity_that_one_side_lacks_altogether_differs():
    """One of ten commands came out, and no nominal command."""
    theirs = {
        "command": {stamp * SECOND: RECORDS["command"] for stamp in range(10)},
        "nominal": {SECOND: RECORDS["nominal"]},
    }
    found = compare({"command": {0: RECORDS["command"]}}, theirs, {}, 0, Tolerances())
    beyond = {one.name: (one.count, int(one.beyond.sum())) for one in found if one.since is not None}
    assert beyond == {"command.present": (10, 9), "nominal.present": (1, 1)}
    assert [note.text.split(":")[0] for note in missing_records({}, theirs)] == ["nominal", "command"]
    assert [one.name for one in compare({}, theirs, {}, 0, Tolerances(), ["command"])] == ["nominal.present"]


def test_what_is_ignored_is_left_out_and_a_tolerance_holds_for_its_fields():
    other = {"command": replace(RECORDS["command"], effort=np.array([11.0, 24.0]))}
    assert [one.name for one in only(other, ignore=["command.left"])] == ["command.right"]
    right, left = Tolerances(["command=0.05"]), Tolerances(["1", "command.right=0.01"])
    assert [one.since for one in only(other, tolerances=right)] == [1.0, None]
    assert [one.since for one in only(other, tolerances=left)] == [None, 1.0]


@pytest.mark.parametrize("given", [{"ignore": ["comand"]}, {"tolerances": Tolerances(["lane.ofset=1"])}])
def test_a_field_that_is_not_there_is_refused(given):
    with pytest.raises(SettingsError, match=r"no field '(comand|lane.ofset)' is compared; .*lane, .*filter"):
        only({}, **given)


@pytest.mark.parametrize("text", ["command", "command=", "command=-1", "nan", "=", "lane=nan", "1e-6=lane"])
def test_what_is_no_tolerance_is_refused(text):
    with pytest.raises(SettingsError, match="must be a share of full scale"):
        Tolerances([text])


NAMES = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map(".".join)


@given(st.dictionaries(NAMES, st.floats(0, 1)), NAMES.filter(bool))
def test_the_longest_beginning_counts(given_, field):
    tolerances = Tolerances(f"{name}={value!r}" if name else repr(value) for name, value in given_.items())
    parts = field.split(".")
    longest = next((name for size in range(len(parts), -1, -1) if (name := ".".join(parts[:size])) in given_), None)
    assert tolerances.of(field) == (1e-6 if longest is None else given_[longest])
    assert covers("", field)
    assert covers(field, f"{field}.more")
    assert not covers(field, f"{field}more")
