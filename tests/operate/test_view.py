# SPDX-License-Identifier: Apache-2.0
"""What is counted of a graph, and what its terminal view says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tidegate.operate.terminal import WIDTH, render
from tidegate.operate.view import CAMERA, EXPECTED, HEARD, WINDOW_S, Meter, Seen, View, silent
from tidegate.records import (
    BarrierState,
    Command,
    ImageHealth,
    JointStates,
    LaneEstimate,
    Level,
    Manual,
    Mode,
    Neurons,
    Nominal,
    Odometry,
    RowState,
    SafetyState,
    Status,
    UsedInputs,
)

SECOND = 1_000_000_000
NOW = 12 * SECOND
NAN = math.nan


def healthy() -> View:
    """A graph that drives, 12 s into a simulation."""
    names = ("front_left_steer_joint", "rear_left_wheel_joint")
    barriers = (
        BarrierState("distance", math.inf, math.inf, 0.0),
        BarrierState("lane", 0.41, 0.02, 0.0),
        BarrierState("speed", -0.25, 0.0, 0.3, relaxed=True),
    )
    rows = (RowState("lane", 0, 1.0, 0.0, "m/s²"), RowState("speed", 0, 0.3, 0.123, "m/s²"))
    records: dict[str, Any] = {
        "health": ImageHealth(NOW, Level.OK),
        "lane": LaneEstimate(NOW, 0.125, -0.02, np.array([0.001, 0.002]), np.array([0.25, 0.07, 0.006, 0.02])),
        "neurons": Neurons(NOW, np.array([1.0, -1.0, 0.5, 0.0, 0.25], np.float32)),
        "nominal": Nominal(NOW, 1800.0, 0.0123),
        "command": Command(NOW, names, np.array([-12.0, 345.0])),
        "joint_states": JointStates(NOW, names, np.zeros(2), np.zeros(2), np.array([-11.0, 340.0])),
        "odom": Odometry(NOW, 0.0, 0.0, 0.0, 9.87, 0.0),
        "safety_node/barriers": SafetyState(
            NOW, Mode.NORMAL, (1700.0, 0.0123), (900.0, 0.0123), barriers, "speed", rows
        ),
        "safety_node/inputs": UsedInputs(NOW, {}, {"emergency_stop": False, "stop_requested": False}),
        "manual": Manual(NOW, False, NAN, NAN),
    }
    return View(
        namespace="/left",
        domain="7",
        now=NOW,
        simulated=True,
        topics={topic: Seen(("/left/some_node",), 20.0, 0.012, 0.05) for topic in (CAMERA, *HEARD)},
        records=records,
        statuses={
            "safety_node": Status("safety_node", Level.OK, "NORMAL", {"mode": "NORMAL"}),
            "policy_node": Status("policy_node", Level.OK, "", {"neurons: inter": "3", "neurons: motor": "2"}),
        },
        acted=frozenset({"speed"}),
    )


def shown(view: View) -> str:
    console = Console(width=WIDTH, height=60, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(render(view))
    return captured.get()


def line(view: View, *words: str) -> str:
    """The only line of the view that holds all ``words``."""
    (found,) = [one for one in shown(view).splitlines() if all(word in one for word in words)]
    return found


def quiet(view: View, *topics: str, for_s: float = 3.0) -> View:
    changed = {topic: replace(view.topics[topic], quiet_s=for_s) for topic in topics}
    return replace(view, topics={**view.topics, **changed})


def test_a_graph_that_drives_is_shown_whole() -> None:
    view = healthy()
    assert not list(silent(view))
    assert "silent" not in shown(view)
    assert "all well" in line(view, "NORMAL")
    assert "no driver" in line(view, "no stop asked for", "9.87 m/s")
    assert line(view, "12.00 s simulated", "domain 7", "/left")
    assert "20.0 Hz, the newest 12 ms old" in line(view, "frames")
    assert "+0.125 ± 0.250 m" in line(view, "offset")
    assert "+1800" in line(view, "force [N]", "+1700", "+900")
    assert "340" in line(view, "rear left wheel", "+345")
    assert "off" in line(view, "distance ")
    assert "acts" not in line(view, "lane", "0.41", "0.02")
    assert line(view, "speed", "-0.25", "◀ acts, gives 0.12 m/s²")
    assert line(view, "Hz", "age [ms]")
    for topic in EXPECTED:
        assert topic in shown(view)


def test_neurons_stand_by_layer_above_and_below_the_line() -> None:
    view = healthy()
    assert line(view, "inter").index("inter") < line(view, "motor").index("motor")
    assert "+ █   ▄" in line(view, "+ █")
    assert "−   █" in line(view, "−   █")
    assert "▂" in line(view, "+ █")
    unknown = replace(view, statuses={})  # the layers were not told
    assert "+ █   ▄   ▂" in line(unknown, "+ █")


def test_the_reasons_are_those_of_the_mode_that_is_shown() -> None:
    state = replace(healthy().records["safety_node/barriers"], mode=Mode.STOPPING)
    view = replace(healthy(), records={**healthy().records, "safety_node/barriers": state})
    assert "its reasons have not come yet" in line(view, "STOPPING")
    told = Status(
        "safety_node", Level.ERROR, "", {"mode": "STOPPING", "reason_0": "odom is late", "reason_1": "lane is late"}
    )
    view = replace(view, statuses={"safety_node": told})
    assert "odom is late; lane is late" in line(view, "STOPPING")


def test_whoever_wants_a_stop_or_drives_by_hand_is_told() -> None:
    view = healthy()
    records = {
        **view.records,
        "safety_node/inputs": UsedInputs(NOW, {}, {"emergency_stop": True, "stop_requested": False}),
        "manual": Manual(NOW, True, 0.0, 0.0),
    }
    assert line(replace(view, records=records), "emergency stop", "driver has taken over")


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("safety_node/barriers", "NO VERDICT"),
        ("health", "health       unknown"),
        ("lane", "lane    unknown"),
        ("odom", "speed unknown"),
        ("command", "no command"),
    ],
)
def test_what_was_true_a_while_ago_is_not_shown_as_true(topic: str, said: str) -> None:
    view = quiet(healthy(), topic)
    assert " ".join(said.split()) in " ".join(shown(view).replace("│", " ").split())
    assert line(view, f"{topic}: nothing from /left/some_node for 3.0 s")


def test_silence_is_told_by_its_cause() -> None:
    view = healthy()
    topics = {**view.topics, "odom": Seen(), "imu": Seen(("/driver",)), CAMERA: Seen()}
    assert list(silent(replace(view, topics=topics))) == [
        "camera/image_raw: nobody publishes it",
        "odom: nobody publishes it",
        "imu: nothing came from /driver",
    ]
    own = replace(view, topics={**view.topics, CAMERA: Seen()}, pictures="/front/image_raw")
    assert list(silent(own)) == ["/front/image_raw: nobody publishes it"]
    assert line(own, "topic", "/front/image_raw")
    assert list(silent(replace(view, topics={}))) == ["nobody publishes anything in /left in domain 7"]
    assert "nobody publishes anything" in shown(replace(view, topics={}, records={}, statuses={}))


def test_of_the_outputs_those_are_expected_that_somebody_publishes() -> None:
    view = quiet(healthy(), "motion_request")
    assert list(silent(view)) == ["motion_request: nothing from /left/some_node for 3.0 s"]
    nobody = {**view.topics, "motion_request": Seen(), "cmd_vel": Seen()}
    assert not list(silent(replace(view, topics=nobody)))


def test_many_silent_topics_are_counted() -> None:
    view = quiet(healthy(), *EXPECTED)
    assert f"and {len(EXPECTED) - 6} more" in shown(view)


@given(st.integers(5, 400), st.floats(0.2, 1.0), st.integers(-500, 500))
def test_the_rate_is_that_of_the_stamps_whatever_the_arrivals(rate: int, slow: float, ahead_ms: int) -> None:
    """In slow motion messages come late and their stamps tell the rate."""
    meter, period = Meter(), SECOND // rate
    count = max(int(WINDOW_S * rate * slow) - 1, 3)
    for index in range(count):
        meter.heard(round(index * period / slow), index * period)
    steady, newest = round((count - 1) * period / slow), (count - 1) * period
    seen = meter.seen(steady, newest + ahead_ms * SECOND // 1000, ("/a",))
    if seen.rate_hz == seen.rate_hz:
        assert seen.rate_hz == pytest.approx(SECOND / period, rel=1e-6)
    assert seen.age_s == pytest.approx(ahead_ms / 1000)
    assert seen.quiet_s == 0


def test_a_topic_without_stamps_is_alive_or_not_and_rates_are_forgotten_after_the_window() -> None:
    bare, stamped = Meter(), Meter()
    assert bare.seen(5, 5, ()) == Seen()
    for index in range(20):
        bare.heard(index * SECOND // 10, None)
        stamped.heard(index * SECOND // 10, index * SECOND // 10)
    seen = bare.seen(2 * SECOND, NOW, ())
    assert math.isnan(seen.rate_hz)
    assert math.isnan(seen.age_s)
    assert seen.quiet_s == pytest.approx(0.1)
    assert stamped.seen(2 * SECOND, NOW, ()).rate_hz == pytest.approx(10)
    late = stamped.seen(60 * SECOND, 60 * SECOND, ())
    assert math.isnan(late.rate_hz)
    assert late.quiet_s == late.age_s == pytest.approx(60 - 1.9)
    assert "alive" in line(healthy(), "effort_controller/commands")
