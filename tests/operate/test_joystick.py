# SPDX-License-Identifier: Apache-2.0
"""What a driver's joystick asks for, whatever it says."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.operate.joystick import Joystick
from tidegate.records import Joy, Manual
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
CHOSEN = SETTINGS.joystick
DEAD_MAN, HAND_BACK = CHOSEN.dead_man_button, CHOSEN.hand_back_button


def joy(*held: int, drive: float = 0.0, steer: float = 0.0) -> Joy:
    axes, buttons = [0.0] * 6, [0] * 11
    axes[CHOSEN.drive_axis], axes[CHOSEN.steer_axis] = drive, steer
    for index in held:
        buttons[index] = 1
    return Joy(5, tuple(axes), tuple(buttons))


def joystick(settings: Settings = SETTINGS) -> Joystick:
    return Joystick(settings, CAR)


def manual(stick: Joystick, message: Joy) -> Manual:
    made = stick.read(message).manual
    assert made is not None
    return made


def test_full_deflections_are_the_stated_shares_and_the_rest_is_between() -> None:
    stick = joystick()
    ahead, back = manual(stick, joy(DEAD_MAN, drive=1.0)), manual(stick, joy(DEAD_MAN, drive=-1.0))
    assert ahead.force == pytest.approx(CHOSEN.drive_share * CAR.force_max)
    assert back.force == pytest.approx(CHOSEN.brake_share * CAR.force_min)
    left = manual(stick, joy(DEAD_MAN, steer=1.0))
    assert left.curvature == pytest.approx(CHOSEN.steer_share * CAR.curvature_max)
    assert manual(stick, joy(DEAD_MAN, steer=-1.0)).curvature == -left.curvature
    half = (1 + CHOSEN.dead_zone) / 2
    assert manual(stick, joy(DEAD_MAN, drive=half)).force == pytest.approx(ahead.force / 2)
    for value in (CHOSEN.dead_zone, -CHOSEN.dead_zone, 0.0):
        idle = manual(stick, joy(DEAD_MAN, drive=value, steer=value))
        assert (idle.force, idle.curvature) == (0.0, 0.0)
    assert manual(stick, joy(DEAD_MAN, drive=7.0)).force == ahead.force


def test_the_dead_man_switch_alone_engages() -> None:
    stick = joystick()
    assert not manual(stick, joy(drive=1.0)).engaged
    assert manual(stick, joy(DEAD_MAN)).engaged
    assert not manual(stick, joy(HAND_BACK, CHOSEN.stop_button, CHOSEN.reset_button)).engaged


def handed(*messages: Joy) -> bool:
    """Whether the last of ``messages`` hands back."""
    stick = joystick()
    return [manual(stick, one) for one in messages][-1].hand_back


def test_handing_back_is_a_press_while_the_switch_is_held_and_kept_until_it_is_let_go() -> None:
    both = joy(DEAD_MAN, HAND_BACK)
    assert handed(joy(DEAD_MAN), both, joy(HAND_BACK))
    assert handed(joy(DEAD_MAN), both, both, joy(HAND_BACK), joy(HAND_BACK))
    assert not handed(joy(DEAD_MAN), both), "the switch is still held"
    assert not handed(joy(DEAD_MAN), both, joy(DEAD_MAN), joy()), "let go before"
    assert not handed(joy(DEAD_MAN), both, joy()), "both at once"
    assert not handed(joy(HAND_BACK), both, joy(HAND_BACK)), "held from before: it may be stuck"
    assert not handed(both, joy(HAND_BACK)), "held from the first message on"
    assert not handed(joy(DEAD_MAN), joy(), joy(HAND_BACK)), "pressed too late"
    assert not handed(joy(DEAD_MAN), both, joy(HAND_BACK), joy(), joy(HAND_BACK)), "pressed again"


def test_stop_and_reset_are_asked_for_once_a_press() -> None:
    stick = joystick()
    for held, asked in ((True, False), (False, False), (True, True), (True, False), (False, False), (True, True)):
        found = stick.read(joy(*[CHOSEN.stop_button, CHOSEN.reset_button] * held))
        assert (found.stop, found.reset) == (asked, asked)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Joy(0, (0.0,) * 3, (0,) * 11), "no axis 4; it has 3"),
        (Joy(0, (0.0,) * 6, (0,) * 4), "no button 4; it has 4"),
        (joy(DEAD_MAN, drive=math.nan), "not finite"),
        (joy(DEAD_MAN, steer=math.inf), "not finite"),
    ],
)
def test_a_message_that_lacks_something_is_no_driver_and_says_so(message: Joy, words: str) -> None:
    asked = joystick().read(message)
    assert asked.manual is None
    assert words in asked.fault
    assert not asked.stop
    assert not asked.reset


@given(
    st.lists(
        st.builds(
            Joy,
            st.integers(0, 10**18),
            st.lists(st.floats(width=32), max_size=8).map(tuple),
            st.lists(st.integers(-1, 2), max_size=12).map(tuple),
        ),
        max_size=8,
    ),
    st.integers(0, 7),
)
def test_whatever_it_says_what_is_asked_for_is_inside_the_cars_limits(messages: list[Joy], axis: int) -> None:
    settings = dataclasses.replace(SETTINGS, joystick=dataclasses.replace(CHOSEN, drive_axis=axis))
    stick = joystick(settings)
    for message in messages:
        asked = stick.read(message)
        if asked.manual is None:
            assert asked.fault
            continue
        assert CAR.force_min <= asked.manual.force <= CAR.force_max
        assert abs(asked.manual.curvature) <= CAR.curvature_max
        assert asked.manual.engaged == (message.buttons[DEAD_MAN] == 1)
        assert not (asked.manual.engaged and asked.manual.hand_back)
