# SPDX-License-Identifier: Apache-2.0
"""Interventions on the picture: what is taken away is gone, the rest stays, and the drive notices nothing."""

import dataclasses

import numpy as np
import pytest

from tidegate.errors import SceneError
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Change, Simulator

SETTINGS = load_settings(share_path("config/car.yaml"))


@pytest.fixture(scope="module")
def simulator():
    with Simulator(SETTINGS, "traffic", 1003) as made:
        lead = made.scene.actors[0]
        made.place(made.road.locate(lead.x, lead.y).s - 22.0)
        yield made


def apart(simulator, change):
    """(H, W) bool: pixels that the change alters by more than rounding."""
    plain, changed = (simulator.restaged(one).astype(int) for one in (Change(), change))
    return np.abs(changed - plain).max(axis=2) > 8


def around(mask, pixels=2):
    padded = np.pad(mask, pixels)
    rows, columns = mask.shape
    shifts = range(2 * pixels + 1)
    return np.any([padded[r : r + rows, c : c + columns] for r in shifts for c in shifts], axis=0)


@pytest.mark.parametrize(("hidden", "kind"), [("lines", "lines"), ("plant", "vegetation"), ("vehicle", "vehicles")])
def test_taking_a_class_away_changes_its_pixels_and_no_others(simulator, hidden, kind):
    altered, mask = apart(simulator, Change(hidden=(hidden,))), simulator.masks()[kind]
    assert mask.sum() > 20
    assert altered[mask].mean() > 0.5
    assert altered[~around(mask)].mean() < 0.005  # of a pixel that shows little of a thin line the mask knows nothing


@pytest.mark.parametrize(
    ("painted", "kind"), [(("leaf0", "leaf1"), "vegetation"), (("meadow",), "road"), (("sky",), "sky")]
)
def test_painting_changes_what_is_painted(simulator, painted, kind):
    altered, masks = apart(simulator, Change(painted=painted)), simulator.masks()
    assert altered[masks[kind]].mean() > 0.5
    assert not altered[masks["lines"] & ~around(masks[kind], 1)].any()


def test_lines_that_are_shifted_to_the_left_are_seen_farther_left(simulator):
    def right_line(change):
        near = simulator.restaged(change)[60:, 80:].astype(float).mean(axis=2)
        return near.argmax(axis=1).mean()

    shifted = Change(shifted=("lines",), left=0.5)
    assert right_line(shifted) < right_line(Change()) - 2
    assert not apart(simulator, dataclasses.replace(shifted, left=0.0)).any()


def test_a_shadow_darkens_the_road_ahead(simulator):
    plain, shaded = simulator.restaged(Change()), simulator.restaged(Change(shade=True))
    altered = np.abs(shaded.astype(int) - plain).max(axis=2) > 8
    assert altered.sum() > 300
    assert np.all(shaded[altered].mean(axis=1) < plain[altered].mean(axis=1))
    assert shaded[altered].mean() > 0.3 * plain[altered].mean()


def test_the_picture_without_a_change_differs_from_the_cameras_by_noise_alone(simulator):
    """Its noise is its own: that of one tick is the same for all changes, and other if asked for."""
    seen = simulator._eyes().capture(simulator._data, simulator.scene.camera_fault(simulator._ego))
    plain = simulator.restaged(Change())
    assert np.array_equal(plain, simulator.restaged(Change()))
    difference = seen.astype(float) - plain
    assert abs(difference.mean()) < 1.0
    assert difference.std() == pytest.approx(np.sqrt(2) * simulator.world.look.noise, rel=0.3)
    assert not np.array_equal(plain, simulator.restaged(Change(noise=1)))


@pytest.mark.parametrize("along", [0.0, 0.3, 0.6])
def test_everything_that_stands_there_is_seen_wherever_the_car_was_when_it_was_first_restaged(along):
    with Simulator(SETTINGS, "road", 1003) as made:
        made.observe()
        made.place(along * made.road.length)
        made.observe()
        made.restaged(Change())
        made.place((along + 0.5) * made.road.length)
        frame = made._eyes().capture(made._data, made.scene.camera_fault(made._ego))
        apart = np.abs(frame.astype(int) - made.restaged(Change())).max(axis=2)
    assert (apart > 60).mean() < 0.001, "noise alone"


def test_a_drive_does_not_notice_that_it_was_restaged():
    def drive(look):
        with Simulator(SETTINGS, "traffic", 1003) as made:
            frames = []
            for _ in range(24):
                frames.append(made.observe().frame)
                if look:
                    made.restaged(Change(hidden=("vehicle", "plant"), painted=("sky",), shifted=("lines",), left=1.0))
                    made.restaged(Change(sun_turned=True, shade=True))
                made.step()
            return made.state_hash(), b"".join(one.image.tobytes() for one in frames if one is not None)

    assert drive(look=True) == drive(look=False)


def test_without_a_camera_nothing_can_be_restaged():
    with Simulator(SETTINGS, "road", 1003, camera=False) as blind, pytest.raises(SceneError, match="no camera"):
        blind.restaged(Change())


def test_the_horizon_of_the_picture_moves_with_the_car(simulator):
    """Downhill it is higher in the picture; on average it is where the sky ends."""
    height = SETTINGS.camera.height
    assert 0.3 * height < simulator.horizon() < 0.6 * height
