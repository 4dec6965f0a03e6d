# SPDX-License-Identifier: Apache-2.0
"""A silenced neuron is heard by nobody, a cut synapse carries nothing, and nothing else of the network changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid import LiquidPolicy
from tidegate.liquid.lesion import Lesion, lesioned, neuron_lesions, synapse_lesions
from tidegate.liquid.wiring import Wiring, neuron_names
from tidegate.records import Features, Odometry
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

CAR = load_settings(share_path("config/car.yaml"))
CELLS = {
    cell: Stack.from_settings(replace(CAR, policy=replace(CAR.policy, cell=cell)), 3).to_bundle(cell, CAR, 1200.0)
    for cell in ("ltc", "cfc")
}
of_each_cell = pytest.mark.parametrize("bundle", CELLS.values(), ids=CELLS)


def states(bundle: Bundle, frames: int = 20) -> np.ndarray:
    """(T, N + 2 + G) neurons, command and gains on random features."""
    policy, random = LiquidPolicy(bundle, CAR), np.random.default_rng(0)
    rows = []
    for frame in range(1, frames + 1):
        stamp = frame * 50_000_000
        features = Features(stamp, random.normal(size=32).astype(np.float32))
        made = policy.step(features, Odometry(stamp, 0.0, 0.0, 0.0, 8.0, 0.0))
        command = made.nominal.curvature, made.nominal.force / bundle.mass_kg
        rows.append([*made.neurons, *command, *made.gains.values.values()])
    return np.array(rows)


@of_each_cell
def test_nothing_taken_out_is_the_same_network(bundle: Bundle) -> None:
    wiring = Wiring.from_dict(bundle.wiring)
    none = Lesion(np.zeros((wiring.inputs + wiring.neurons, wiring.neurons), bool), np.zeros(wiring.neurons, bool))
    np.testing.assert_array_equal(states(lesioned(bundle, none)), states(bundle))


@of_each_cell
def test_only_those_that_a_silenced_neuron_leads_to_change(bundle: Bundle) -> None:
    wiring = Wiring.from_dict(bundle.wiring)
    before = states(bundle)[:, : wiring.neurons]
    for index, lesion in enumerate(neuron_lesions(wiring).values()):
        after = states(lesioned(bundle, lesion))[:, : wiring.neurons]
        reached = set(np.flatnonzero(wiring.recurrent[index]).tolist())
        for _ in range(wiring.neurons):
            reached |= {int(one) for at in reached for one in np.flatnonzero(wiring.recurrent[at])}
        changed = {int(one) for one in np.flatnonzero((before != after).any(axis=0))}
        assert changed <= reached, index
        assert set(np.flatnonzero(wiring.recurrent[index]).tolist()) - {index} <= changed, index


@of_each_cell
def test_whatever_a_silenced_neuron_does_nobody_hears_it(bundle: Bundle) -> None:
    """Its own parameters may be anything: neither the other neurons nor the command nor the gains move."""
    wiring = Wiring.from_dict(bundle.wiring)
    for index, (name, lesion) in enumerate(neuron_lesions(wiring).items()):
        silent = lesioned(bundle, lesion)
        moved = dict(silent.arrays)
        own = "liquid.cell.rest" if bundle.policy.cell == "ltc" else "liquid.cell.bias"
        moved[own] = moved[own].copy()
        moved[own][..., index] += 0.7
        one, other = states(silent), states(replace(silent, arrays=moved))
        assert (one[:, index] != other[:, index]).any(), name
        np.testing.assert_array_equal(np.delete(one, index, 1), np.delete(other, index, 1), err_msg=name)


@of_each_cell
def test_silencing_a_neuron_is_cutting_all_its_synapses_and_reading_it_no_more(bundle: Bundle) -> None:
    wiring = Wiring.from_dict(bundle.wiring)
    name = "inter 4"
    cut = sum(one.cut for key, one in synapse_lesions(wiring).items() if key.startswith(f"{name} > "))
    silenced = neuron_lesions(wiring)[name]
    np.testing.assert_array_equal(cut, silenced.cut)
    np.testing.assert_array_equal(np.flatnonzero(silenced.unread), [neuron_names(wiring).index(name)])


@of_each_cell
def test_a_cut_synapse_is_gone_from_the_wiring_that_is_drawn(bundle: Bundle) -> None:
    wiring = Wiring.from_dict(bundle.wiring)
    lesions = synapse_lesions(wiring)
    assert len(lesions) == wiring.synapses
    before = states(bundle)
    for name in ("speed > inter 2", *list(lesions)[-3:]):
        if name not in lesions:
            continue
        hurt = lesioned(bundle, lesions[name])
        assert Wiring.from_dict(hurt.wiring).synapses == wiring.synapses - 1
        assert (states(hurt) != before).any(), name


@of_each_cell
def test_a_silenced_motor_neuron_leaves_the_constant_of_its_read_out(bundle: Bundle) -> None:
    wiring = Wiring.from_dict(bundle.wiring)
    after = states(lesioned(bundle, neuron_lesions(wiring)["curvature"]))[:, wiring.neurons]
    constant = bundle.arrays["liquid.output_bias"][1] * bundle.policy.curvature_scale
    np.testing.assert_allclose(after, constant, rtol=1e-6)


def test_a_lesioned_bundle_is_saved_and_loaded_like_any_other(tmp_path) -> None:
    bundle = CELLS["ltc"]
    hurt = lesioned(bundle, neuron_lesions(Wiring.from_dict(bundle.wiring))["command 2"])
    hurt.save(tmp_path / "hurt")
    np.testing.assert_array_equal(states(Bundle.load(tmp_path / "hurt")), states(hurt))


def test_dense_time_branches_are_refused() -> None:
    bundle = CELLS["cfc"]
    wiring = replace(Wiring.from_dict(bundle.wiring), dense_time=True)
    with pytest.raises(BundleError, match="time branches are dense"):
        lesioned(replace(bundle, wiring=wiring.to_dict()), neuron_lesions(wiring)["inter 0"])
