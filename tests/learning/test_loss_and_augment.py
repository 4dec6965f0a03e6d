# SPDX-License-Identifier: Apache-2.0
"""The loss against hand-made figures; augmentation leaves the meaning alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tidegate.learning.augment import augment, to_tensor
from tidegate.learning.dataset import Batch
from tidegate.learning.loss import baselines, losses, tau_loss
from tidegate.learning.recipe import AugmentRecipe, TrainRecipe
from tidegate.perception.image import normalise
from tidegate.stack import StackOutput

RECIPE = TrainRecipe(batch=2, window=5, warm_up=2)
UNIT = torch.tensor([1.0, 0.1, 0.02])


def batch_of(curvature: np.ndarray, acceleration: np.ndarray) -> Batch:
    shape = curvature.shape
    zero = np.zeros(shape, np.float32)
    lane = np.tile(np.array([0.3, -0.05, 0.01], np.float32), (*shape, 1))
    images = np.zeros((*shape, 2, 2, 3), np.uint8)
    places = np.zeros((shape[0], 2), np.int64)
    return Batch(images, zero, zero, acceleration.astype(np.float32), curvature.astype(np.float32), lane, places)


def output(batch: Batch, curvature_error: float = 0.0, lane_error: float = 0.0, log_scale: float = 0.0) -> StackOutput:
    nothing = torch.zeros(1)
    return StackOutput(
        acceleration=torch.from_numpy(batch.acceleration),
        curvature=torch.from_numpy(batch.curvature) + curvature_error,
        lane=torch.from_numpy(batch.lane) + lane_error * UNIT,
        lane_log_scale=UNIT.log() + log_scale * torch.ones_like(torch.from_numpy(batch.lane)),
        gains=nothing,
        features=nothing,
        neurons=nothing,
        state=nothing,
    )


BATCH = batch_of(np.full((2, 5), 0.02), np.full((2, 5), 0.5))


def test_a_perfect_command_costs_nothing() -> None:
    found = losses(output(BATCH), BATCH, UNIT, RECIPE)
    assert float(found.curvature) == 0
    assert float(found.acceleration) == 0


def test_the_huber_loss_is_in_the_recipes_unit() -> None:
    # an error of two units beyond beta = 0.5: 2 − 0.25
    found = losses(output(BATCH, curvature_error=2 * RECIPE.curvature_unit), BATCH, UNIT, RECIPE)
    assert float(found.curvature) == pytest.approx(1.75, rel=1e-5)


def test_a_bend_of_the_unit_counts_as_much_as_two_straights() -> None:
    curvature = np.zeros((2, 5))
    curvature[1] = RECIPE.bend_unit
    batch = batch_of(curvature, np.zeros((2, 5)))
    out = output(batch)
    wrong = out.curvature.clone()
    wrong[1] += 2 * RECIPE.curvature_unit
    assert float(losses(out._replace(curvature=wrong), batch, UNIT, RECIPE).curvature) == pytest.approx(1.75 * 2 / 3)


def test_frames_of_the_warm_up_and_blind_frames_cost_no_command() -> None:
    out = output(BATCH)
    wrong = out.curvature.clone()
    wrong[:, :2] += 1.0
    wrong[0, 3] += 1.0
    blind = torch.zeros(2, 5, dtype=torch.bool)
    blind[0, 3] = True
    assert float(losses(out._replace(curvature=wrong), BATCH, UNIT, RECIPE, blind).curvature) == 0
    assert float(losses(out._replace(curvature=wrong), BATCH, UNIT, RECIPE).curvature) > 1


def test_an_unknown_acceleration_costs_nothing_and_the_known_ones_keep_their_weight() -> None:
    half = BATCH.acceleration.copy()
    half[0] = np.nan
    out = output(BATCH)
    found = losses(out._replace(acceleration=out.acceleration + 2), replace(BATCH, acceleration=half), UNIT, RECIPE)
    assert float(found.acceleration) == pytest.approx(1.75, rel=1e-5)
    assert float(found.curvature) == 0
    none = losses(out, replace(BATCH, acceleration=np.full_like(half, np.nan)), UNIT, RECIPE)
    assert float(none.acceleration) == 0
    assert baselines([replace(BATCH, acceleration=half)], RECIPE)["acceleration_zero"] == pytest.approx(0.25)


def test_the_lane_is_cheapest_with_the_scale_of_its_error() -> None:
    """Laplace: −log p = |e|/s + log s (+ log 2), least at s = |e|."""
    grid = np.linspace(-3, 1, 81)
    costs = [float(losses(output(BATCH, lane_error=0.25, log_scale=at), BATCH, UNIT, RECIPE).lane) for at in grid]
    assert grid[int(np.argmin(costs))] == pytest.approx(np.log(0.25), abs=0.05)
    assert min(costs) == pytest.approx(1 + np.log(0.25), abs=1e-3)


def test_frames_without_a_lane_cost_nothing_and_the_others_keep_their_weight() -> None:
    whole = output(BATCH, lane_error=1.0)
    half = BATCH.lane.copy()
    half[0] = np.nan
    lane = (whole.lane + torch.arange(10).view(2, 5, 1) * UNIT).requires_grad_()
    known = losses(whole._replace(lane=lane), replace(BATCH, lane=half), UNIT, RECIPE).lane
    known.backward()
    assert torch.equal(lane.grad[0], torch.zeros(5, 3))
    assert (lane.grad[1] != 0).all()
    assert float(known.detach()) == pytest.approx(1 + np.arange(5, 10).mean(), rel=1e-5)
    lane.grad = None
    none = losses(whole._replace(lane=lane), replace(BATCH, lane=np.full_like(half, np.nan)), UNIT, RECIPE).lane
    none.backward()
    assert float(none.detach()) == 0
    assert torch.equal(lane.grad, torch.zeros(2, 5, 3))


def test_baselines_are_what_they_say() -> None:
    constant = baselines([BATCH], RECIPE)
    assert constant["curvature_last"] == 0
    assert constant["curvature_zero"] == pytest.approx(2 - 0.25)  # two units off
    assert constant["acceleration_zero"] == pytest.approx(0.5 - 0.25)
    ramp = batch_of(np.tile(np.arange(5) * RECIPE.curvature_unit, (2, 1)), np.zeros((2, 5)))
    assert baselines([ramp], RECIPE)["curvature_last"] == pytest.approx(1 - 0.25)


def scene(batch: int = 6, steps: int = 5) -> np.ndarray:
    still = np.random.default_rng(0).integers(40, 200, (batch, 1, 12, 20, 3), dtype=np.uint8)
    return np.repeat(still, steps, axis=1)


def test_training_sees_what_the_robot_sees() -> None:
    np.testing.assert_array_equal(to_tensor(scene()).numpy(), normalise(scene()))


def test_changes_are_constant_over_a_window() -> None:
    still = replace(AugmentRecipe(), noise=0.0, glare_share=0.0, bright_share=0.0)
    changed, blind = augment(scene(), still, np.random.default_rng(1))
    assert not blind.any()
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert not torch.allclose(changed, to_tensor(scene()), atol=0.05)
    assert changed.min() >= -1
    assert changed.max() <= 1


def test_noise_has_the_strength_asked_for_and_differs_by_frame() -> None:
    recipe = replace(AugmentRecipe(), noise=0.05, light=0.0, shadow_share=0.0, glare_share=0.0, bright_share=0.0)
    changed, _ = augment(scene(), recipe, np.random.default_rng(1))
    added = changed - to_tensor(scene())
    assert float(added.std()) == pytest.approx(0.05, rel=0.1)
    assert abs(float(torch.corrcoef(torch.stack([added[0, 0].flatten(), added[0, 1].flatten()]))[0, 1])) < 0.2


def test_glare_ends_in_white_and_says_where() -> None:
    recipe = replace(AugmentRecipe(), glare_share=0.5, noise=0.0, bright_share=0.0)
    changed, blind = augment(scene(40, 12), recipe, np.random.default_rng(2))
    assert blind.any()
    assert not blind.all()
    assert float(changed[torch.from_numpy(blind)].mean()) > 0.9  # deep shadow apart
    assert (blind[:, 1:] >= blind[:, :-1]).all()  # it does not come back within a window


def test_an_exposure_for_the_dark_keeps_the_dark_and_loses_the_bright() -> None:
    recipe = replace(AugmentRecipe(), bright_share=1.0, noise=0.0, light=0.0, shadow_share=0.0, glare_share=0.0)
    plain = to_tensor(scene())
    changed, blind = augment(scene(), recipe, np.random.default_rng(3))
    assert not blind.any()
    assert bool((changed >= plain - 1e-5).all())
    for window, before in zip(changed, plain, strict=True):
        brightest, was = window.amax(dim=1), before.amax(dim=1)
        white = float((brightest >= 1 - 1e-6).float().mean())
        assert 0.25 < white < 0.9
        assert float(was[brightest < 1].max()) <= float(was[brightest >= 1 - 1e-6].min()) + 1e-5
        dark = was < was.median()
        assert float(window.amax(dim=1)[dark].std()) > 0.02  # there is still something to see


def test_time_constants_cost_nothing_inside_their_range_and_grow_dear_outside() -> None:
    inside = torch.tensor([RECIPE.tau_low, 0.3, RECIPE.tau_high])
    assert float(tau_loss(inside, RECIPE)) == pytest.approx(0, abs=1e-9)
    for outside in (RECIPE.tau_low / np.e**2, RECIPE.tau_high * np.e**2):
        assert float(tau_loss(torch.tensor([0.3, outside]), RECIPE)) == pytest.approx(RECIPE.tau_weight * 2)


def test_the_same_draw_gives_the_same_images() -> None:
    one, other = (augment(scene(), AugmentRecipe(), np.random.default_rng(5))[0] for _ in range(2))
    assert torch.equal(one, other)
