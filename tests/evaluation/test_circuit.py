# SPDX-License-Identifier: Apache-2.0
"""What is kept of a watched drive is what the network heard and did, beside what was true."""

import numpy as np
import pytest

from tidegate.bundle import Bundle
from tidegate.evaluation.circuit import CLEAR_M, KNOWN
from tidegate.evaluation.survey import survey_task
from tidegate.liquid import LiquidPolicy
from tidegate.records import Features, Odometry


@pytest.mark.slow
def test_the_network_repeats_its_drive_on_what_it_heard(short_task, car_settings):
    kept = survey_task(short_task, short_task.longest_s).circuit
    assert kept is not None
    bundle = Bundle.load(short_task.bundle)
    policy = LiquidPolicy(bundle, car_settings)
    for frame, stamp in enumerate(kept.stamp.tolist()):
        odometry = Odometry(stamp, 0.0, 0.0, 0.0, kept.speed[frame], 0.0)
        made = policy.step(Features(stamp, kept.features[frame]), odometry)
        np.testing.assert_array_equal(made.neurons, kept.neurons[frame])
        asked = made.nominal.curvature, made.nominal.force / bundle.mass_kg
        np.testing.assert_array_equal(asked, kept.command[frame])
    known = dict(zip(KNOWN, kept.known.T, strict=True))
    np.testing.assert_allclose(known["speed [m/s]"], kept.speed, atol=0.5)
    assert (known["gap [m]"] == CLEAR_M).all(), "an empty road"
    assert (known["light [0–255]"] > 20).all()
    assert np.abs(known["lane offset [m]"]).max() < 1.0
    driven = np.linalg.norm(np.diff(kept.position, axis=0), axis=1).sum()
    assert driven == pytest.approx((known["speed [m/s]"] * 0.05).sum(), rel=0.1)
