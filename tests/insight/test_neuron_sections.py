# SPDX-License-Identifier: Apache-2.0
"""The part of the page about neurons stands alone, shows what was found, and all its figures are in the JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from page_numbers import shown, unknown
from test_report import Strict

from tidegate.evaluation.circuit import KNOWN, Circuit
from tidegate.insight.neurons import neuron_sections, study
from tidegate.insight.page import page
from tidegate.liquid import LiquidPolicy
from tidegate.records import Features, Odometry
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

CAR = load_settings(share_path("config/car.yaml"))
TITLES = ["Neurons on the map", "Phase portraits", "What the neurons tell", "How many dimensions"]
OF_CURRENTS = ["Time constants", "Synaptic currents", "The wiring at work"]


def bundle_of(cell: str):
    settings = replace(CAR, policy=replace(CAR.policy, cell=cell))
    return Stack.from_settings(settings, 3).to_bundle(cell, CAR, 1200.0)


def driven(bundle, seed: int, frames: int = 160) -> Circuit:
    """Random weights on features that swing; the speed is known, the rest of what is known swings by itself."""
    random = np.random.default_rng(seed)
    time = 0.05 * np.arange(frames)
    swing = np.sin(time[:, None] * random.uniform(0.5, 3, 32) + random.uniform(0, 6, 32))
    speed = 8 + 2 * np.sin(time / 2)
    policy, stamps = LiquidPolicy(bundle, CAR), (50_000_000 * np.arange(1, frames + 1))
    made = [
        policy.step(Features(int(stamp), values.astype(np.float32)), Odometry(int(stamp), 0.0, 0.0, 0.0, one, 0.0))
        for stamp, values, one in zip(stamps, swing, speed, strict=True)
    ]
    known = np.cos(time[:, None] * random.uniform(0.5, 3, len(KNOWN)))
    known[:, KNOWN.index("speed [m/s]")] = speed
    return Circuit(
        stamp=stamps,
        features=swing.astype(np.float32),
        speed=speed,
        neurons=np.stack([one.neurons for one in made]),
        command=np.array([(one.nominal.curvature, one.nominal.force / 1200.0) for one in made]),
        known=known,
        position=np.stack([10 * time, 5 * np.sin(time)], axis=1),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "titles"), [("ltc", TITLES + OF_CURRENTS), ("cfc", TITLES)])
def test_the_sections_are_valid_and_their_figures_are_in_the_json(cell, titles):
    bundle = bundle_of(cell)
    found = study(bundle, [driven(bundle, seed) for seed in (1, 2, 3)], 1, shifts=3)
    sections = neuron_sections(found)
    assert [section.title for section in sections] == titles
    text = page("neurons", "", [], sections)
    parser = Strict()
    parser.feed(text)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert all(source.startswith(("#", "data:")) for source in parser.sources)
    assert len(text) < 3e6
    told = json.loads(json.dumps(found.as_dict()))
    assert len(shown(text)) > 40
    assert unknown(text, told) == []
    assert (told["drives_fitted"], told["drives_held_out"], told["frames_held_out"]) == (2, 1, 120), (
        "without the first two seconds"
    )
    assert f"{told['component_shares_fitted'][0]:.1%}" in sections[3].body
    for name, known in told["tells_most_of"].items():
        assert f"<td>{name}</td>" in sections[2].body
        if known is not None:
            assert f"<td>{told['information'][name][known]['bits']:.2f}</td>" in sections[2].body
    if cell == "ltc":
        assert len(told["mean_absolute_currents"]) == found.wiring.synapses
        assert f"<td>{told['time_constants_s']['inter 0'][1]:.3f}</td>" in sections[4].body


def test_motor_neurons_go_with_their_commands():
    bundle = bundle_of("ltc")
    found = study(bundle, [driven(bundle, seed) for seed in (1, 2)], 1, shifts=3)
    correlation = found.as_dict()["correlation"]
    assert abs(correlation["curvature"]["path curvature [1/m]"]) == pytest.approx(1.0, abs=1e-3)
    assert abs(correlation["acceleration"]["acceleration [m/s²]"]) == pytest.approx(1.0, abs=1e-3)
