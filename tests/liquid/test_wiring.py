# SPDX-License-Identifier: Apache-2.0
"""The neural circuit policy: layered, reached, seeded, and the same after JSON."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ncps.wirings import AutoNCP
from random_networks import on_examples, over_networks

from tidegate.errors import SettingsError
from tidegate.liquid.drawing import EXCITATORY, INHIBITORY, Activity, draw_policy, draw_wiring
from tidegate.liquid.generators import auto_ncp, fully_connected, ncp, random_sparse
from tidegate.liquid.wiring import Wiring, load_wiring
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


@over_networks
def test_every_circuit_is_layered_and_nothing_is_left_out(count: int) -> None:
    @on_examples(count)
    @given(circuits())
    def holds(drawn: tuple[int, PolicySettings, int]) -> None:
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
        wiring.check()


def paths(wiring: Wiring) -> tuple[np.ndarray, np.ndarray]:
    """(I, N) and (N, N) whether there is a path, by powers of the adjacency."""
    step = np.eye(wiring.neurons, dtype=bool) | (wiring.recurrent != 0)
    among = np.linalg.matrix_power(step.astype(float), wiring.neurons) > 0
    return ((wiring.sensory != 0).astype(float) @ among) > 0, among


@over_networks
def test_a_sparse_graph_leaves_out_its_share_and_no_neuron(count: int) -> None:
    @on_examples(count)
    @given(
        inputs=st.integers(1, 12),
        neurons=st.integers(1, 20),
        share=st.floats(0, 1),
        sparsity=st.floats(0, 1),
        seed=st.integers(0, 2**31),
    )
    def holds(inputs: int, neurons: int, share: float, sparsity: float, seed: int) -> None:
        motor = max(1, round(share * neurons))
        wiring = random_sparse(inputs, neurons, motor, seed, sparsity)
        assert (wiring.inputs, wiring.neurons, wiring.motor) == (inputs, neurons, motor)
        from_inputs, among = paths(wiring)
        assert from_inputs.any(axis=0).all()
        assert among[:, neurons - motor :].any(axis=1).all()
        wiring.check()
        asked = round(inputs * neurons * (1 - sparsity)) + round(neurons**2 * (1 - sparsity))
        assert asked <= wiring.synapses <= asked + 2 * neurons
        again = random_sparse(inputs, neurons, motor, seed, sparsity)
        np.testing.assert_array_equal(again.sensory, wiring.sensory)
        np.testing.assert_array_equal(again.recurrent, wiring.recurrent)


def test_a_fully_connected_graph_has_every_synapse_with_both_signs() -> None:
    wiring = fully_connected(4, 9, 3, 0)
    assert wiring.synapses == 4 * 9 + 9 * 9
    assert {-1, 1} == set(np.unique(wiring.recurrent)) == set(np.unique(wiring.sensory))
    assert (wiring.inter, wiring.command, wiring.motor) == (6, 0, 3)


@over_networks
def test_auto_ncp_has_the_layers_of_the_public_packages(count: int) -> None:
    @on_examples(count)
    @given(
        neurons=st.integers(4, 40), seed=st.integers(0, 2**31), sparsity=st.floats(0.1, 0.9), share=st.floats(0, 0.9)
    )
    def holds(neurons: int, seed: int, sparsity: float, share: float) -> None:
        motor = max(1, min(round(share * neurons), neurons - 3))  # the public package wants one neuron more than needed
        theirs = AutoNCP(neurons, motor, sparsity, seed % 2**31)
        wiring = auto_ncp(5, neurons, motor, seed, sparsity)
        wiring.check()
        assert [layer.stop - layer.start for layer in wiring.layers] == [
            len(theirs.get_neurons_of_layer(index)) for index in range(3)
        ]
        assert (np.count_nonzero(wiring.sensory, axis=1) >= theirs._sensory_fanout).all()
        inters, commands, motors = wiring.layers
        assert (np.count_nonzero(wiring.recurrent[inters, commands], axis=1) >= theirs._inter_fanout).all()
        assert (np.count_nonzero(wiring.recurrent[commands, motors], axis=0) >= theirs._motor_fanin).all()


@over_networks
def test_the_check_names_exactly_the_neurons_that_are_left_out(count: int) -> None:
    @on_examples(count)
    @given(
        inputs=st.integers(1, 5),
        sizes=st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 3)),
        seed=st.integers(0, 2**31),
    )
    def holds(inputs: int, sizes: tuple[int, int, int], seed: int) -> None:
        random, neurons = np.random.default_rng(seed), sum(sizes)
        wiring = Wiring(
            *sizes,
            random.choice([0, 0, 0, 1, -1], (inputs, neurons)).astype(np.int8),
            random.choice([0, 0, 0, 0, 1, -1], (neurons, neurons)).astype(np.int8),
        )
        from_inputs, among = paths(wiring)
        deaf = np.flatnonzero(~from_inputs.any(axis=0)).tolist()
        mute = np.flatnonzero(~among[:, neurons - sizes[2] :].any(axis=1)).tolist()
        if not deaf and not mute:
            wiring.check()
            return
        with pytest.raises(SettingsError) as caught:
            wiring.check()
        assert f"no input reaches neurons {deaf}" in str(caught.value)
        assert f"neurons {mute} reach no motor neuron" in str(caught.value)


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda: random_sparse(2, 5, 6, 0, 0.5), "6 motor neurons of 5"),
        (lambda: fully_connected(2, 5, 0, 0), "0 motor neurons of 5"),
        (lambda: random_sparse(2, 5, 1, 0, 1.5), "sparsity 1.5"),
        (lambda: auto_ncp(2, 5, 4, 0), "4 motor neurons of 5"),
        (lambda: auto_ncp(2, 5, 1, 0, -0.1), "sparsity -0.1"),
    ],
)
def test_sizes_that_cannot_be_drawn_are_refused(draw: Callable[[], Wiring], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        draw()


def test_a_wiring_is_read_from_a_file_that_was_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "wiring.yaml"
    path.write_text(
        """
        inputs: 2
        inter: 1
        command: 0
        motor: 1
        sensory: [[0, 0, 1], [1, 0, -1]]
        recurrent: [[0, 1, 1], [1, 1, -1]]
        """
    )
    wiring = load_wiring(path)
    np.testing.assert_array_equal(wiring.sensory, [[1, 0], [-1, 0]])
    np.testing.assert_array_equal(wiring.recurrent, [[0, 1], [0, -1]])
    drawn = auto_ncp(4, 12, 2, 0)
    path.write_text(json.dumps(drawn.to_dict()))
    np.testing.assert_array_equal(load_wiring(path).recurrent, drawn.recurrent)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inputs: [", "is no wiring"),
        ("", "is no wiring"),
        ("inputs: 1", "has no 'inter'"),
        ("{inputs: 1, inter: 0, command: 0, motor: 1, sensory: [[0, 0, 3]], recurrent: []}", "is no wiring: sensory"),
        ("{inputs: 1, inter: 0, command: 0, motor: 1, sensory: [[0, 4, 1]], recurrent: []}", "is no wiring: index 4"),
        (
            "{inputs: 1, inter: 0, command: 0, motor: 1, sensory: [[0, 0, 1], [0, 0, -1]], recurrent: []}",
            "is no wiring: sensory synapse .0, 0, -1. is there twice",
        ),
        (
            "{inputs: 1, inter: 1, command: 0, motor: 1, sensory: [[0, 1, 1]], recurrent: []}",
            r"reaches neurons \[0\]",
        ),
    ],
)
def test_a_file_that_is_no_wiring_is_refused_by_name(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=rf"bad\.yaml: .*{told}"):
        load_wiring(path)
    with pytest.raises(SettingsError, match=r"absent\.yaml: cannot be read"):
        load_wiring(tmp_path / "absent.yaml")


@over_networks
def test_a_wiring_survives_json_and_a_seed_draws_it_again(count: int) -> None:
    @on_examples(count)
    @given(circuits())
    def holds(drawn: tuple[int, PolicySettings, int]) -> None:
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


def test_a_picture_of_a_moment_shows_who_is_active_and_what_flows() -> None:
    wiring = ncp(33, PolicySettings(), 3)
    neurons, currents = np.zeros(19), np.full(wiring.synapses, 0.01)
    neurons[[2, 18]], currents[[0, -1]] = (1.0, -1.0), (-1.0, 0.5)
    root = ElementTree.fromstring(draw_policy(wiring, "now", Activity(np.zeros(33), neurons, currents)))
    space = "{http://www.w3.org/2000/svg}"
    fills = [circle.get("fill") for circle in root.iter(f"{space}circle")]
    up, down = fills[33 + 2], fills[33 + 18]
    assert len({up, down, *fills}) == 3, "all others are at zero"
    paths = list(root.iter(f"{space}path"))
    assert [paths[0].get("stroke"), paths[-1].get("stroke")] == [down, up], "whatever its polarity"
    widths = [float(path.get("stroke-width", "")) for path in paths]
    assert widths[0] > widths[-1] > max(widths[1:-1])
    told = [text.text for text in root.iter(f"{space}text")]
    assert {"pushes up", "pushes down"} <= set(told)


@pytest.mark.parametrize(
    "wiring",
    [
        auto_ncp(3, 12, 4, 0),
        fully_connected(5, 19, 19, 0),
        fully_connected(5, 9, 2, 0),
        random_sparse(40, 9, 3, 0, 0.8),
    ],
    ids=["ncp", "motor neurons only", "inter and motor", "sparse"],
)
def test_any_wiring_can_be_drawn_with_its_synapses_inside_the_page(wiring: Wiring) -> None:
    root = ElementTree.fromstring(draw_wiring(wiring, "any"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(list(root.iter(f"{space}path"))) == wiring.synapses
    circles = [[float(circle.get(name, "")) for name in ("cx", "cy", "r")] for circle in root.iter(f"{space}circle")]
    assert len(circles) == wiring.inputs + wiring.neurons
    for x, y, r in circles:
        assert 0 < x < 960
        assert r < y < 720 - r
    for (x, y, r), (to_x, to_y, to_r) in pairwise(circles):
        assert x != to_x or abs(to_y - y) >= 0.8 * (r + to_r)
    told = [text.text for text in root.iter(f"{space}text")]
    assert f"output {wiring.motor - 1}" in told
    assert f"input {wiring.inputs - 1}" in told
    assert not any(text and text.endswith(" 0") and "·" in text for text in told)
