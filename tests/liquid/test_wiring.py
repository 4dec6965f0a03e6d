# SPDX-License-Identifier: Apache-2.0
"""The neural circuit policy: layered, reached, seeded, and the same after JSON."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import SettingsError
from tidegate.liquid.drawing import EXCITATORY, INHIBITORY, draw_policy
from tidegate.liquid.generators import ncp
from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import PolicySettings


@st.composite
def circuits(draw: st.DrawFn) -> tuple[int, PolicySettings, int]:
    inter, command = draw(st.integers(1, 15)), draw(st.integers(1, 9))
    chosen = PolicySettings(
        inter_neurons=inter,
        command_neurons=command,
        sensory_fanout=draw(st.integers(1, inter)),
        inter_fanout=draw(st.integers(1, command)),
        command_recurrent=draw(st.integers(0, command**2)),
        motor_fanin=draw(st.integers(1, command)),
    )
    return draw(st.integers(1, 40)), chosen, draw(st.integers(0, 2**31))


@given(circuits())
@settings(max_examples=60, deadline=None)
def test_every_circuit_is_layered_and_nothing_is_left_out(drawn: tuple[int, PolicySettings, int]) -> None:
    inputs, policy, seed = drawn
    wiring = ncp(inputs, policy, seed)
    inters, commands, motors = wiring.layers
    allowed = np.zeros_like(wiring.recurrent, bool)
    allowed[inters, commands] = allowed[commands, commands] = allowed[commands, motors] = True
    assert set(np.unique(wiring.sensory)) | set(np.unique(wiring.recurrent)) <= {-1, 0, 1}
    assert not wiring.recurrent[~allowed].any()
    assert not wiring.sensory[:, inters.stop :].any()
    assert (np.count_nonzero(wiring.sensory, axis=1) >= policy.sensory_fanout).all()
    assert (np.count_nonzero(wiring.recurrent[inters, commands], axis=1) >= policy.inter_fanout).all()
    assert np.count_nonzero(wiring.recurrent[commands, commands]) == policy.command_recurrent
    assert (np.count_nonzero(wiring.recurrent[commands, motors], axis=0) >= policy.motor_fanin).all()
    # From the inputs every neuron is reached, and from every neuron a motor neuron is.
    reached = wiring.sensory.any(axis=0)
    leads = np.arange(wiring.neurons) >= motors.start
    for _ in range(wiring.neurons):
        reached = reached | (wiring.recurrent[reached] != 0).any(axis=0)
        leads = leads | (wiring.recurrent[:, leads] != 0).any(axis=1)
    assert reached.all()
    assert leads.all()


@given(circuits())
@settings(max_examples=20, deadline=None)
def test_a_wiring_survives_json_and_a_seed_draws_it_again(drawn: tuple[int, PolicySettings, int]) -> None:
    wiring, again = ncp(*drawn), ncp(*drawn)
    read = Wiring.from_dict(json.loads(json.dumps(wiring.to_dict())))
    for other in (again, read):
        np.testing.assert_array_equal(other.sensory, wiring.sensory)
        np.testing.assert_array_equal(other.recurrent, wiring.recurrent)
        assert other.layers == wiring.layers


def test_the_cars_circuit_has_nineteen_neurons() -> None:
    wiring = ncp(33, PolicySettings(), 0)
    assert (wiring.inter, wiring.command, wiring.motor) == (11, 6, 2)
    assert wiring.synapses == 33 * 5 + 11 * 4 + 6 + 2 * 6
    assert not np.array_equal(wiring.sensory, ncp(33, PolicySettings(), 1).sensory)


@pytest.mark.parametrize("name", ["sensory_fanout", "inter_fanout", "command_recurrent", "motor_fanin"])
def test_a_fan_out_beyond_its_layer_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"policy\.{name}' is 99"):
        ncp(33, replace(PolicySettings(), **{name: 99}), 0)


@pytest.mark.parametrize("synapse", [[0, 0, 2], [-1, 0, 1], [0, 99, 1], [0, 0]])
def test_what_is_no_synapse_is_refused(synapse: list[int]) -> None:
    values = ncp(4, PolicySettings(), 0).to_dict()
    values["sensory"] = [synapse]
    with pytest.raises((ValueError, IndexError)):
        Wiring.from_dict(values)


def test_the_picture_shows_every_neuron_and_every_synapse_in_the_colour_of_its_sign() -> None:
    wiring = ncp(33, PolicySettings(), 3)
    root = ElementTree.fromstring(draw_policy(wiring, "a <b> & c"))
    space = "{http://www.w3.org/2000/svg}"
    strokes = [path.get("stroke") for path in root.iter(f"{space}path")]
    signs = np.concatenate([wiring.sensory.ravel(), wiring.recurrent.ravel()])
    assert strokes.count(EXCITATORY) == np.count_nonzero(signs == 1)
    assert strokes.count(INHIBITORY) == np.count_nonzero(signs == -1)
    assert len(list(root.iter(f"{space}circle"))) == 33 + 19
    assert "a <b> & c" in [text.text for text in root.iter(f"{space}text")]
