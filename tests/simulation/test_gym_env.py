# SPDX-License-Identifier: Apache-2.0
"""The Gymnasium environment keeps Gymnasium's contract and drives the real world."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tidegate.simulation.env import RoadEnv


@pytest.mark.slow
def test_passes_gymnasiums_own_checker():
    env = RoadEnv(render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Box observation space.*")  # speeds have no natural bound
        warnings.filterwarnings("ignore", message=".*spec is not set.*|.*not possible.*spec.*")
        warnings.filterwarnings("ignore", message=".*max_episode_steps.*")
        check_env(env, skip_render_check=True)
    env.close()


def test_full_throttle_gains_road_and_reward():
    env = RoadEnv()
    env.reset(seed=4)
    total = 0.0
    for _ in range(30):
        observed, reward, ended, _, info = env.step(np.array([0.5, 0.0], np.float32))
        total += reward
        if ended:
            break
    assert info["distance_m"] > 1.0
    assert abs(total - info["distance_m"]) < 0.5  # the offset costs little on the first metres
    assert observed["motion"][0] > 1.0
    assert observed["image"].std() > 10
    env.close()


def test_steering_hard_leaves_the_road_and_ends():
    env = RoadEnv()
    env.reset(seed=4)
    ended = False
    for _ in range(120):
        *_, ended, _, _ = env.step(np.array([0.8, -0.9], np.float32))
        if ended:
            break
    assert ended
    env.close()
