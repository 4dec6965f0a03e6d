# SPDX-License-Identifier: Apache-2.0
"""The stack that is trained and the path that drives give the same command; the latter runs without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.perception.image import prepare
from tidegate.records import Frame, Odometry
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

torch.set_num_threads(1)

CAR = load_settings(share_path("config/car.yaml"))
MASS = 1234.0


def settings_with(cell: str) -> Settings:
    return replace(CAR, policy=replace(CAR.policy, cell=cell))


def disturbed(stack: Stack) -> Stack:
    """As after training: parameters that start at zero or one are not there any more."""
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in stack.policy.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return stack


@pytest.mark.parametrize("cell", ["ltc", "cfc"])
def test_the_live_path_gives_the_command_of_the_trained_stack(cell: str, tmp_path: Path) -> None:
    settings = settings_with(cell)
    stack = disturbed(Stack.from_settings(settings, 4))
    stack.to_bundle("twin", settings, MASS).save(tmp_path)
    bundle = Bundle.load(tmp_path, "car")
    perception, policy = Perception(bundle, CAR), LiquidPolicy(bundle, CAR)
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (40, CAR.camera.height, CAR.camera.width, 3), dtype=np.uint8)
    periods = random.choice([20_000_000, 50_000_000, 93_000_000, 150_000_000], 40)
    periods[0] = 50_000_000
    speeds = random.uniform(0, 15, 40)
    images = np.stack([prepare(frame, settings.perception) for frame in frames])
    with torch.no_grad():
        output = stack(
            torch.from_numpy(images)[None],
            torch.from_numpy(speeds).float()[None],
            torch.from_numpy(periods / 1e9).float()[None],
        )
    stamp = 1_700_000_000_000_000_000
    for t in range(40):
        stamp += int(periods[t])
        percept = perception.process(Frame(stamp, frames[t]))
        decision = policy.step(percept.features, Odometry(stamp, 0.0, 0.0, 0.0, float(speeds[t]), 0.0))
        scales = settings.policy
        force = output.acceleration[0, t].item() * MASS
        assert decision.nominal.stamp == decision.gains.stamp == stamp
        assert decision.nominal.force == pytest.approx(force, abs=1e-4 * scales.acceleration_scale * MASS)
        assert decision.nominal.curvature == pytest.approx(
            output.curvature[0, t].item(), abs=1e-4 * scales.curvature_scale
        )
        assert list(decision.gains.values) == list(scales.gain_names)
        np.testing.assert_allclose(list(decision.gains.values.values()), output.gains[0, t].numpy(), atol=4e-4)
        np.testing.assert_allclose(decision.neurons, output.neurons[0, t].numpy(), atol=1e-4)
        assert decision.neurons.dtype == np.float32


def test_shapes_state_and_seed() -> None:
    stack = Stack.from_settings(CAR, 1)
    images, speed = torch.randn(2, 5, 3, 48, 96), torch.full((2, 5), 8.0)
    dt = torch.full((2, 5), 0.05)
    output = stack(images, speed, dt)
    assert output.acceleration.shape == output.curvature.shape == (2, 5)
    assert output.lane.shape == output.lane_log_scale.shape == (2, 5, 6)
    assert output.gains.shape == (2, 5, 3)
    assert output.features.shape == (2, 5, 32)
    assert output.neurons.shape == (2, 5, 19)
    assert (output.gains >= CAR.policy.gain_low).all()
    assert (output.gains <= CAR.policy.gain_high).all()
    first = stack(images[:, :2], speed[:, :2], dt[:, :2])
    second = stack(images[:, 2:], speed[:, 2:], dt[:, 2:], first.state)
    torch.testing.assert_close(second.curvature, output.curvature[:, 2:], atol=1e-6, rtol=1e-4)
    again = Stack.from_settings(CAR, 1)(images, speed, dt)
    torch.testing.assert_close(again.curvature, output.curvature, atol=0, rtol=0)
    other = Stack.from_settings(CAR, 2)(images, speed, dt)
    assert not torch.allclose(other.curvature, output.curvature)


def test_making_a_stack_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Stack.from_settings(CAR, 9)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("cell", ["ltc", "cfc"])
def test_every_parameter_is_reached_by_the_loss(cell: str) -> None:
    stack = disturbed(Stack.from_settings(settings_with(cell), 1))
    output = stack(torch.randn(2, 8, 3, 48, 96), torch.rand(2, 8) * 15, torch.full((2, 8), 0.05))
    loss = sum(
        part.square().mean()
        for part in (output.acceleration, output.curvature, output.lane, output.lane_log_scale, output.gains)
    )
    loss.backward()
    for name, parameter in stack.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_a_bundle_becomes_the_same_stack_again() -> None:
    stack = disturbed(Stack.from_settings(CAR, 6))
    read = Stack.from_bundle(stack.to_bundle("again", CAR, MASS))
    given = torch.randn(1, 3, 3, 48, 96), torch.full((1, 3), 5.0), torch.full((1, 3), 0.05)
    torch.testing.assert_close(read(*given).curvature, stack(*given).curvature, atol=0, rtol=0)


def test_the_live_path_needs_neither_torch_nor_a_compiler(tmp_path: Path) -> None:
    Stack.from_settings(CAR, 0).to_bundle("light", CAR, MASS).save(tmp_path)
    script = """
import sys
sys.modules["torch"] = sys.modules["numba"] = sys.modules["onnx"] = None
import numpy as np
from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Frame, Odometry
from tidegate.settings import load_settings
settings = load_settings(sys.argv[2])
bundle = Bundle.load(sys.argv[1], settings.vehicle.name)
image = np.random.default_rng(0).integers(0, 256, (settings.camera.height, settings.camera.width, 3), dtype=np.uint8)
perception = Perception(bundle, settings)
perception.saliency(Frame(1, image))
percept = perception.process(Frame(1, image))
print(LiquidPolicy(bundle, settings).step(percept.features, Odometry(1, 0, 0, 0, 5.0, 0)).nominal.force)
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(share_path("config/car.yaml"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert np.isfinite(float(run.stdout))
