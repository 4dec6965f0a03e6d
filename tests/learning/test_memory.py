# SPDX-License-Identifier: Apache-2.0
"""Windows begin with the neurons that driving leads to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made import RECIPE, drive

from tidegate.bag.align import PAUSE_MAX_S
from tidegate.learning.dataset import Windows
from tidegate.learning.memory import Memory
from tidegate.settings import Settings
from tidegate.stack import Stack


@pytest.fixture
def stack(settings: Settings) -> Stack:
    return Stack.from_settings(settings, 0)


def coded(stack: Stack, *lengths: int) -> Windows:
    random = np.random.default_rng(5)
    width = stack.backbone.features.in_features
    drives = [drive(n, images=random.standard_normal((n, width)).astype(np.float32)) for n in lengths]
    return Windows(drives, RECIPE, 1200.0, 0.05)


def test_the_state_before_a_window_is_the_one_that_driving_up_to_it_gives(stack: Stack) -> None:
    windows = coded(stack, 20, 30)
    memory = Memory(windows, stack.wiring.neurons)
    memory.refresh(stack, np.random.default_rng(0))
    batch = windows.batch([(1, 0)], 12)
    with torch.no_grad():
        driven = stack.from_code(*(torch.from_numpy(part) for part in (batch.images, batch.speed, batch.dt)))
    torch.testing.assert_close(memory.before(np.array([[1, 12]])), driven.state)
    torch.testing.assert_close(memory.before(np.array([[0, 0]])), torch.zeros(1, stack.wiring.neurons))


def test_a_drive_begins_with_the_neurons_that_another_one_ended_with(stack: Stack) -> None:
    windows = coded(stack, 20, 30)
    memory = Memory(windows, stack.wiring.neurons)
    memory.refresh(stack, np.random.default_rng(0))
    ends = memory.ends.clone()
    memory.refresh(stack, np.random.default_rng(1))
    started = memory.before(np.array([[0, 0], [1, 0]]))
    assert torch.equal(started, ends) or torch.equal(started, ends.flip(0))
    assert not torch.equal(memory.ends, ends)
    batch = windows.batch([(0, 0)], 20)  # the shorter drive ends with its own last frame, not with the padding
    with torch.no_grad():
        parts = (torch.from_numpy(part) for part in (batch.images, batch.speed, batch.dt))
        torch.testing.assert_close(memory.ends[:1], stack.from_code(*parts, started[:1]).state)


def test_unlabelled_frames_and_pauses_are_driven_through(stack: Stack) -> None:
    stamp = 50_000_000 * np.arange(30, dtype=np.int64)
    stamp[20:] += 3_000_000_000
    speed = np.arange(30.0)
    speed[3] = np.nan
    codes = np.zeros((30, stack.backbone.features.in_features), np.float32)
    windows = Windows([drive(30, stamp=stamp, speed=speed, images=codes)], RECIPE, 1.0, 0.05)
    whole = windows.whole()
    assert np.isfinite(whole.speed).all()
    assert whole.dt.max() == np.float32(PAUSE_MAX_S)
    memory = Memory(windows, stack.wiring.neurons)
    memory.refresh(stack, np.random.default_rng(0))
    assert torch.isfinite(memory.ends).all()
