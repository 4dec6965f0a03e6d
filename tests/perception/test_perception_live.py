# SPDX-License-Identifier: Apache-2.0
"""Perception on its exported backbone: equal to torch's, calm about bad frames, and its saliency an honest one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tidegate.bundle import Bundle
from tidegate.errors import BundleError, ImageError
from tidegate.perception import Perception
from tidegate.perception.backbone import Backbone
from tidegate.perception.export import backbone_weights, export_backbone
from tidegate.perception.health import Training
from tidegate.perception.image import prepare
from tidegate.perception.layout import CONVS, lane_values, map_sizes
from tidegate.perception.saliency import visual_backprop
from tidegate.records import Frame, Level
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

SETTINGS = load_settings(share_path("config/car.yaml"))
CAMERA = SETTINGS.camera


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Stack.from_settings(SETTINGS, 0).to_bundle("test", SETTINGS, 1200.0, conformal=[2.0] * 6)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)


def test_the_exported_backbone_is_the_trained_one(bundle: Bundle) -> None:
    stack = Stack.from_bundle(bundle)
    perception = Perception(bundle, SETTINGS)
    for seed in range(5):
        percept = perception.process(Frame(seed, picture(seed)))
        with torch.no_grad():
            seen = stack.backbone(torch.from_numpy(prepare(picture(seed), bundle.perception))[None])
        np.testing.assert_allclose(percept.features.values, seen.features[0].numpy(), atol=2e-5)
        lane = [percept.lane.offset, percept.lane.heading, *percept.lane.curvature]
        np.testing.assert_allclose(lane, seen.lane[0].numpy(), atol=1e-5)
        scale = seen.lane_log_scale[0].exp().numpy() + 0.05 * np.array(lane_values(bundle.perception))
        np.testing.assert_allclose(percept.lane.bound, 2 * scale, rtol=1e-4)
        assert percept.features.values.dtype == np.float32
        assert percept.health.level == Level.OK


def test_the_exported_signature_is_the_trained_one_and_raises_the_alarm(bundle: Bundle) -> None:
    stack = Stack.from_bundle(bundle)
    random = np.random.default_rng(0)
    roads = [np.clip(110 + random.normal(0, 24, (80, 160, 3)) + i % 20, 0, 255).astype(np.uint8) for i in range(200)]
    seen = Training.of(
        stack.backbone.signature(torch.from_numpy(np.stack([prepare(i, bundle.perception) for i in roads]))).numpy()
    )
    perception = Perception(stack.to_bundle("alarm", SETTINGS, 1200.0, seen=seen), SETTINGS)
    for index, image in enumerate(roads[:30]):
        health = perception.process(Frame(index, image)).health
        assert health.level == Level.OK
        expected = seen.mahalanobis(
            stack.backbone.signature(torch.from_numpy(prepare(image, bundle.perception))[None])[0].numpy()
        )
        assert health.values["outlier_distance"] == pytest.approx(expected / seen.distance, rel=1e-3)
    found = [perception.process(Frame(100 + i, picture(i))).health for i in range(SETTINGS.perception.outlier_frames)]
    assert found[-1].level == Level.ERROR
    assert found[-1].reasons[0].startswith("out of distribution")


def test_export_keeps_every_weight_and_gives_the_same_bytes_twice() -> None:
    torch.manual_seed(3)
    backbone = Backbone(SETTINGS.perception)
    weights = {name: value.numpy() for name, value in backbone.state_dict().items()}
    model = export_backbone(weights, SETTINGS.perception)
    assert model == export_backbone(weights, SETTINGS.perception)
    found = backbone_weights(model)
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_another_input_size_exports_and_runs() -> None:
    shape = replace(SETTINGS.perception, input_height=40, input_width=70, features=7, preview_m=(0.0, 5.0))
    settings = replace(SETTINGS, perception=shape)
    odd = Stack.from_settings(settings, 0).to_bundle("odd", settings, 1.0)
    perception = Perception(odd, settings)
    percept = perception.process(Frame(0, picture(0)))
    assert percept.features.values.shape == (7,)
    assert percept.lane.curvature.shape == (2,)
    assert np.isinf(percept.lane.bound).all()
    assert not perception.bounded
    with pytest.raises(
        BundleError, match=r"curvature at 0, 5 m; the settings' 'perception.preview_m' is 0, 12, 24, 36"
    ):
        Perception(odd, SETTINGS)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((160, 320, 3), np.uint8),
        np.zeros((CAMERA.height, CAMERA.width), np.uint8),
        np.zeros((CAMERA.height, CAMERA.width, 3), np.float64),
        np.zeros((CAMERA.height, CAMERA.width, 4), np.uint8),
        np.zeros((0,), np.uint8),
    ],
)
def test_a_frame_that_cannot_be_used_says_so_and_raises_nothing(bundle: Bundle, image: np.ndarray) -> None:
    perception = Perception(bundle, SETTINGS)
    percept = perception.process(Frame(7, image))
    assert percept.health.level == Level.ERROR
    assert percept.health.reasons
    assert np.isinf(percept.lane.bound).all()
    assert np.isnan(percept.features.values).all()
    assert percept.features.stamp == percept.lane.stamp == percept.health.stamp == 7
    with pytest.raises(ImageError):
        perception.saliency(Frame(7, image))


def test_whiteout_is_caught_on_its_first_frame(bundle: Bundle) -> None:
    perception = Perception(bundle, SETTINGS)
    assert perception.process(Frame(0, picture(0))).health.level == Level.OK
    white = np.full((CAMERA.height, CAMERA.width, 3), 255, np.uint8)
    assert perception.process(Frame(1, white)).health.level == Level.ERROR


def test_a_backbone_that_does_not_fit_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="cannot be run"):
        Perception(replace(bundle, backbone=bundle.backbone[:1000]), SETTINGS)
    with pytest.raises(BundleError, match="backbone gives"):
        Perception(replace(bundle, perception=replace(bundle.perception, features=9)), SETTINGS)
    arrays = {"outlier.mean": np.zeros(3), "outlier.whiten": np.eye(3)}
    with pytest.raises(BundleError, match="another length"):
        Perception(replace(bundle, arrays={**bundle.arrays, **arrays}, outlier_distance=1.0), SETTINGS)
    with pytest.raises(BundleError, match="conformal"):
        Perception(replace(bundle, conformal=(1.0,)), SETTINGS)


def test_saliency_is_visual_backprop_as_torch_computes_it() -> None:
    random = np.random.default_rng(0)
    sizes = map_sizes(SETTINGS.perception)
    maps = [random.uniform(0, 1, size).astype(np.float32) for size in sizes[1:]]
    mask = torch.from_numpy(maps[-1])[None, None]
    for index in range(len(maps) - 1, -1, -1):
        conv, size = CONVS[index], sizes[index]
        tent = torch.tensor([min(k + 1, conv.kernel - k) for k in range(conv.kernel)]).float()
        weights = torch.outer(tent, tent)[None, None]
        padding = conv.kernel // 2
        extra = [side - conv.stride * (small - 1) - 1 for side, small in zip(size, mask.shape[2:], strict=True)]
        total, units = (
            torch.nn.functional.conv_transpose2d(
                part, weights, stride=conv.stride, padding=padding, output_padding=tuple(extra)
            )
            for part in (mask, torch.ones_like(mask))
        )
        mask = total / units
        if index:
            mask = mask * torch.from_numpy(maps[index - 1])
    expected = (mask - mask.min()) / (mask.max() - mask.min())
    np.testing.assert_allclose(visual_backprop(maps, sizes[0]), expected[0, 0].numpy(), atol=1e-5)


def test_saliency_covers_the_frame_and_leaves_out_what_is_cropped(bundle: Bundle) -> None:
    found = Perception(bundle, SETTINGS).saliency(Frame(0, picture(0)))
    assert found.shape == (CAMERA.height, CAMERA.width)
    assert not found[:24].any()
    assert found[24:].max() > 0.9
    assert found.min() >= 0
    assert found.max() <= 1


def test_saliency_has_no_pattern_of_its_own() -> None:
    maps = [np.ones(size, np.float32) for size in map_sizes(SETTINGS.perception)[1:]]
    maps[-1][1, 3] = 2.0
    found = visual_backprop(maps, (48, 96))
    top, left = np.unravel_index(found.argmax(), found.shape)
    for line in (found[top], found[:, left]):  # rises to its peak and falls again, nothing else
        turns = np.diff(np.sign(np.diff(line)[np.abs(np.diff(line)) > 1e-4]))
        assert np.count_nonzero(turns) == 1


def test_saliency_of_nothing_is_nothing() -> None:
    maps = [np.zeros(size, np.float32) for size in map_sizes(SETTINGS.perception)[1:]]
    assert not visual_backprop(maps, (48, 96)).any()
