# SPDX-License-Identifier: Apache-2.0
"""Fluidity of movements whose jerk and spectrum are known."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.evaluation.smoothness import jerk, spectral_arc_length
from tidegate.records import Floats

PERIOD = 0.001


def minimum_jerk(duration: float, way: float = 1.0) -> Floats:
    """Speed of Flash and Hogan's reach, with a second of rest at either end."""
    u = np.arange(0, duration, PERIOD) / duration
    rest = np.zeros(round(1 / PERIOD))
    return np.concatenate((rest, 30 * way / duration * u**2 * (1 - u) ** 2, rest))


def test_the_jerk_of_a_parabola_is_constant() -> None:
    time = np.arange(0, 1, PERIOD)
    velocity = np.stack((1.5 * time**2, np.zeros_like(time), -2.0 * time**2), axis=1)
    np.testing.assert_allclose(jerk(velocity, PERIOD), 5.0, rtol=1e-6)


def test_uniform_acceleration_has_none() -> None:
    velocity = np.outer(np.arange(0, 1, PERIOD), [1.0, 2.0, 3.0])
    np.testing.assert_allclose(jerk(velocity, PERIOD), 0.0, atol=1e-9)


def test_one_smooth_reach_has_the_arc_length_that_the_paper_gives() -> None:
    assert spectral_arc_length(minimum_jerk(1.0), PERIOD) == pytest.approx(-1.41, abs=0.03)


def test_size_and_duration_do_not_matter() -> None:
    one = spectral_arc_length(minimum_jerk(1.0), PERIOD)
    assert spectral_arc_length(minimum_jerk(1.0, way=0.1), PERIOD) == pytest.approx(one)
    assert spectral_arc_length(minimum_jerk(2.0), PERIOD) == pytest.approx(one, abs=0.03)


def test_two_reaches_with_a_stop_between_are_less_fluid_than_one() -> None:
    one, two = minimum_jerk(1.0), np.concatenate((minimum_jerk(0.5), minimum_jerk(0.5)))
    assert spectral_arc_length(two, PERIOD) < spectral_arc_length(one, PERIOD) - 1.0


def test_a_tremor_makes_it_less_fluid() -> None:
    calm = minimum_jerk(1.0)
    shaking = calm + 0.2 * np.sin(2 * np.pi * 6 * np.arange(len(calm)) * PERIOD) * (calm > 0)
    assert spectral_arc_length(shaking, PERIOD) < spectral_arc_length(calm, PERIOD) - 0.2
