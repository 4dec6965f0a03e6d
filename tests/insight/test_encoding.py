# SPDX-License-Identifier: Apache-2.0
"""What a neuron tells exceeds its baseline, what it does not tell does not, however smooth both are."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.evaluation.circuit import KNOWN, Circuit
from tidegate.insight.encoding import components, encoding

NEURONS = 6


def smooth(random: np.random.Generator, frames: int) -> np.ndarray:
    """A signal that changes as slowly as a road does."""
    steps = random.normal(size=frames + 60)
    return np.convolve(steps, np.hanning(60), "valid")[:frames]


def circuit(seed: int, frames: int = 1500) -> Circuit:
    """Neuron 0 tells of the curvature ahead, 1 of the speed's square, 2 of both; the others of nothing known."""
    random = np.random.default_rng(seed)
    known = np.stack([smooth(random, frames) for _ in KNOWN], axis=1)
    neurons = np.stack([smooth(random, frames) for _ in range(NEURONS)], axis=1)
    neurons[:, 0] = np.tanh(known[:, 3] / 3) + 0.02 * neurons[:, 0]
    neurons[:, 1] = known[:, 4] ** 2 + 0.2 * neurons[:, 1]
    neurons[:, 2] = known[:, 3] + known[:, 4] + 0.2 * neurons[:, 2]
    return Circuit(
        stamp=np.arange(frames) * 50_000_000,
        features=np.zeros((frames, 2), np.float32),
        speed=known[:, 4],
        neurons=neurons.astype(np.float32),
        command=known[:, 3:5],
        known=known,
        position=np.zeros((frames, 2)),
    )


def test_each_neuron_is_known_by_what_it_tells() -> None:
    found = encoding([circuit(1), circuit(2)], [circuit(3), circuit(4)], shifts=19)
    assert found.best[:2].tolist() == [3, 4]
    assert found.best[2] in (3, 4)
    assert found.told[0, 3]
    assert found.told[1, 4], "not linear, and yet told"
    assert found.told[2, [3, 4]].all()
    assert found.held_out[0, 3] > 1.0


def test_smooth_signals_that_have_nothing_to_do_with_each_other_stay_below_the_baseline() -> None:
    """Without one they would seem to share bits: their neighbours in time are neighbours in value."""
    found = encoding([circuit(1), circuit(2)], [circuit(3), circuit(4)], shifts=19)
    unrelated = np.ones_like(found.told)
    unrelated[[0, 1, 2, 2], [3, 4, 3, 4]] = False
    assert found.held_out[unrelated].mean() > 0.02
    assert found.told[unrelated].mean() < 0.2


def test_what_never_changes_is_told_by_nobody() -> None:
    still = circuit(3)
    still.known[:, 5] = 80.0
    found = encoding([circuit(1)], [still], shifts=3)
    assert (found.held_out[:, 5] == 0).all()
    assert not found.told[:, 5].any()


def test_drives_must_be_held_out() -> None:
    with pytest.raises(ValueError, match="other drives"):
        encoding([circuit(1)], [])


def test_neurons_that_move_along_one_line_have_one_component() -> None:
    def along(seed: int, direction: np.ndarray) -> Circuit:
        made = circuit(seed)
        made.neurons[:, :4] = made.known[:, :1] * direction + 0.01 * made.neurons[:, :4]
        return made

    line, across = np.array([1.0, -2.0, 0.5, 3.0]), np.array([2.0, 1.0, 0.0, 0.0])
    fitted, held_out = components([along(1, line)], [along(2, line)], 4)
    assert fitted[0] > 0.99
    assert held_out[0] > 0.99
    assert held_out.sum() == pytest.approx(1.0)
    _, elsewhere = components([along(1, line)], [along(2, across)], 4)
    assert elsewhere[0] < 0.2, "a component of other drives need not be one here"
