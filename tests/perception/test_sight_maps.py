# SPDX-License-Identifier: Apache-2.0
"""Where an arm's sight looks is what its own maps say, by another way of running the same network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.perception.image import normalise
from tidegate.perception.layout import PLACE_CONVS
from tidegate.perception.saliency import visual_backprop
from tidegate.perception.sight_maps import SightMaps
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path

SETTINGS = load_arm_settings(share_path("config/arm.yaml"))
SIZE = SETTINGS.camera.height, SETTINGS.camera.width


def test_the_maps_are_those_of_the_network_that_was_trained() -> None:
    stack = ArmStack(SETTINGS, 3000)
    image = np.random.default_rng(0).integers(20, 200, (*SIZE, 3)).astype(np.uint8)
    maps, last = [], torch.from_numpy(normalise(image))[None]
    with torch.no_grad():
        for conv in stack.sight.convs[:-1]:
            last = torch.relu(conv(last))
            maps.append(last[0].mean(dim=0).numpy())
        last = stack.sight.convs[-1](last)[0]
    maps.append(last.flatten(1).softmax(dim=1).mean(dim=0).reshape(last.shape[1:]).numpy())
    seen = SightMaps(stack.to_bundle("arm-test"))(image)
    assert seen.shape == SIZE
    assert (seen.min(), seen.max()) == (0.0, 1.0)
    np.testing.assert_allclose(seen, visual_backprop(maps, SIZE, PLACE_CONVS), atol=1e-4)


def test_what_is_salient_moves_with_what_is_seen() -> None:
    """Of the shipped bundle: a bright patch elsewhere in a grey picture is looked at elsewhere."""
    look = SightMaps(Bundle.load(share_path("models/arm-ltc19")))
    places = []
    for column in (40, 110):
        image = np.full((*SIZE, 3), 120, np.uint8)
        image[50:62, column : column + 12] = (237, 97, 26)  # the scenes' signal colour
        map_ = look(image)
        places.append(float((map_.sum(axis=0) @ np.arange(SIZE[1])) / map_.sum()))
    assert places[1] - places[0] > 35


def test_the_maps_of_a_cars_network_are_refused_in_one_line() -> None:
    car, arm = (Bundle.load(share_path(f"models/{name}-ltc19")) for name in ("car", "arm"))
    with pytest.raises(BundleError, match=r"bundle 'arm-ltc19': the maps of its sight cannot be had"):
        SightMaps(dataclasses.replace(arm, backbone=car.backbone))
