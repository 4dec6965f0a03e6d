# SPDX-License-Identifier: Apache-2.0
"""Currents and time constants are those of the equation that the network solves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tidegate.errors import BundleError
from tidegate.liquid.currents import currents
from tidegate.liquid.live import LtcStep, softplus
from tidegate.liquid.wiring import Wiring
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

CAR = load_settings(share_path("config/car.yaml"))
BUNDLE = Stack.from_settings(CAR, 5).to_bundle("currents", CAR, 1200.0)
WIRING = Wiring.from_dict(BUNDLE.wiring)


def moments(count: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    features = random.normal(size=(count, WIRING.inputs - 1)).astype(np.float32)
    neurons = random.normal(size=(count, WIRING.neurons)).astype(np.float32)
    return features, random.uniform(0, 15, count), neurons


def test_currents_and_time_constants_give_the_slope_of_the_state() -> None:
    """In a very short step each neuron moves by (leak current + synaptic currents) / C, damped by its time constant."""
    features, speed, neurons = moments()
    flow = currents(BUNDLE, features, speed, neurons)
    arrays = BUNDLE.part("liquid.cell")
    step, capacitance = LtcStep(WIRING, arrays, 1), softplus(arrays["raw_capacitance"])
    leak = softplus(arrays["raw_leak"])
    targets = np.concatenate([WIRING.edges(WIRING.sensory)[1], WIRING.edges(WIRING.recurrent)[1]])
    short = 1e-7
    for moment, state in enumerate(neurons.astype(np.float64)):
        moved = (step(flow.inputs[moment], state, short) - state) / short
        total = leak * (arrays["rest"] - state)
        np.add.at(total, targets, flow.current[moment])
        np.testing.assert_allclose(moved, total / capacitance, rtol=1e-4, atol=1e-4)
        longer = 0.05
        moved = step(flow.inputs[moment], state, longer) - state
        expected = longer * total / capacitance / (1 + longer / flow.time_constant[moment])
        np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-12)


def test_time_constants_lie_between_all_open_and_all_closed() -> None:
    flow = currents(BUNDLE, *moments(40))
    fastest, slowest = LtcStep(WIRING, BUNDLE.part("liquid.cell"), 1).time_constants()
    assert (flow.time_constant > fastest).all()
    assert (flow.time_constant < slowest).all()


def test_every_synapse_has_a_name_of_its_own() -> None:
    flow = currents(BUNDLE, *moments())
    assert len(set(flow.synapses)) == WIRING.synapses == flow.current.shape[1]


def test_a_closed_form_has_no_currents() -> None:
    with pytest.raises(BundleError, match="a cfc has neither"):
        currents(replace(BUNDLE, policy=replace(BUNDLE.policy, cell="cfc")), *moments())
