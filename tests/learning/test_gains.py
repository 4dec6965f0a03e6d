# SPDX-License-Identifier: Apache-2.0
"""Fitting the read-out of the barrier gains."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tidegate.bundle import Bundle
from tidegate.evaluation.rollout import Task
from tidegate.learning.gains import (
    REACH_S,
    Case,
    drive_for_gains,
    fit_gains,
    with_fixed_gains,
    with_gains,
)
from tidegate.learning.recipe import GainsRecipe
from tidegate.liquid import LiquidPolicy
from tidegate.records import Features, Odometry
from tidegate.robot import Car
from tidegate.safety.barrier import Ahead, State
from tidegate.safety.barriernet import BarrierNet
from tidegate.safety.joints import joint_box
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
POLICY = SETTINGS.policy
COMMAND = 6


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return Bundle.load(share_path("models/car-ltc19"), "car")


def behind_something(rng: np.random.Generator, count: int) -> list[Case]:
    """The lane's corridor is not free, and the wish is full throttle."""
    cases = []
    for _ in range(count):
        speed, force = rng.uniform(5, 15), rng.uniform(-1000, 1000)
        low, high = CAR.force_window(force, 1 / SETTINGS.safety.rate_hz)
        thing = Ahead(rng.uniform(1.2, 2.0) * speed**2 / 8 + 10, rng.uniform(0, speed))
        state = State(speed, force, 0.0, low, high, along_lane=thing)
        cases.append(Case(state, (3000.0, 0.0), (0.0, 0.0), rng.uniform(-1, 1, COMMAND)))
    return cases


def taught(cases: list[Case], weight: np.ndarray, bias: np.ndarray) -> list[Case]:
    """The same with an expert who does what the filter lets through with these gains."""
    net = BarrierNet(SETTINGS, CAR)
    boxes = [joint_box(CAR, case.state.force, 0.0, REACH_S, SETTINGS.safety.steering_share) for case in cases]
    share = 1 / (1 + np.exp(-(np.array([case.neurons for case in cases]) @ weight + bias)))
    gains = torch.from_numpy(POLICY.gain_low + (POLICY.gain_high - POLICY.gain_low) * share)
    gains = gains[:, [POLICY.gain_names.index(name) for name in net.gain_names]]
    wanted = torch.tensor([case.wanted for case in cases], dtype=torch.float64)
    told = net(wanted, gains, net.rows([case.state for case in cases], boxes))
    return [dataclasses.replace(case, expert=tuple(right)) for case, right in zip(cases, told.tolist(), strict=True)]


def test_an_expert_who_uses_known_gains_is_found_out() -> None:
    rng = np.random.default_rng(0)
    weight, bias = np.zeros((COMMAND, 3)), np.zeros(3)
    place = POLICY.gain_names.index("distance")
    weight[:, place], bias[place] = [1.0, -1.0, 0.5, 0.0, 0.0, -0.5], -0.5
    cases = taught(behind_something(rng, 200), weight, bias)
    fitted = fit_gains(SETTINGS, CAR, cases, GainsRecipe(steps=150, batch=64, rate=0.15))
    assert fitted is not None
    found, offset, losses = fitted
    assert np.mean(losses[-20:]) < 0.1 * np.mean(losses[:5])
    np.testing.assert_allclose(found[:, place], weight[:, place], atol=0.3)
    np.testing.assert_allclose(offset[place], bias[place], atol=0.3)


def test_without_a_moment_in_which_a_gain_matters_there_is_nothing_to_fit() -> None:
    free = [Case(State(5.0, 0.0, 0.0, -100.0, 100.0), (0.0, 0.0), (0.0, 0.0), np.zeros(COMMAND))] * 3
    assert fit_gains(SETTINGS, CAR, free, GainsRecipe()) is None
    assert fit_gains(SETTINGS, CAR, [], GainsRecipe()) is None


@pytest.mark.parametrize("gain", [0.5, 1.7, 4.0])
def test_fixed_gains_are_what_the_policy_then_says(shipped: Bundle, gain: float) -> None:
    policy = LiquidPolicy(with_fixed_gains(shipped, gain), SETTINGS)
    seen = Features(10**9, np.ones(shipped.perception.features, np.float32))
    said = policy.step(seen, Odometry(10**9, 0.0, 0.0, 0.0, 5.0, 0.0)).gains.values
    assert list(said.values()) == pytest.approx([gain] * len(POLICY.gain_names), abs=1e-6)


def test_a_new_read_out_changes_nothing_else(shipped: Bundle) -> None:
    made = with_gains(shipped, np.ones((COMMAND, 3)), np.zeros(3))
    changed = sorted(name for name, array in made.arrays.items() if not np.array_equal(array, shipped.arrays[name]))
    assert changed == ["liquid.gain_bias", "liquid.gain_weight"]


def test_a_drive_gives_a_case_for_every_frame() -> None:
    config, bundle = (str(share_path(name)) for name in ("config/car.yaml", "models/car-ltc19"))
    cases = drive_for_gains(Task(config, bundle, "traffic", 700), 3.0)
    assert 0.6 * 3 * SETTINGS.camera.rate_hz < len(cases) <= 3 * SETTINGS.camera.rate_hz
    assert all(case.neurons.shape == (COMMAND,) for case in cases)
    assert cases[-1].state.speed > cases[0].state.speed  # snapshots, not one state many times
    assert all(np.isfinite((*case.wanted, *case.expert)).all() for case in cases)
