# SPDX-License-Identifier: Apache-2.0
"""A search for the torques that come nearest to one limit of an arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tidegate.attack.arm.adversary import Profile
from tidegate.attack.arm.conditions import STARTS
from tidegate.attack.arm.episode import ArmEpisode, run_arm_attack
from tidegate.attack.arm.outcome import ArmOutcome
from tidegate.attack.search import minimise

TARGETS = ("position", "velocity", "power", "tool speed", "contact force")
"""What is searched for by turns; torque and rate are had to the last digit by anybody."""


def arm_search_starts(episodes: Sequence[ArmEpisode]) -> list[ArmEpisode]:
    """Where to search: each of ``STARTS`` and seed of ``episodes`` once; in scenes nothing is searched."""
    bare = {(one.start, one.seed): one for one in episodes if one.start in STARTS}
    return [replace(one, adversary="profile") for one in bare.values()]


def search_arm(
    starts: Sequence[ArmEpisode],
    rounds: int,
    joints: int,
    folder: Path,
    processes: int = 2,
    heard: Callable[[ArmOutcome], None] = lambda one: None,
) -> list[ArmOutcome]:
    """Find the most of one of ``TARGETS`` from each of the ``starts``, as ``minimise``; by turns of all of them.

    Raises:
        DependencyError: ``cma`` is absent; SettingsError: as ``run_arm_attack``.
    """

    def drive(batch: list[ArmEpisode]) -> list[ArmOutcome]:
        return run_arm_attack(batch, folder, processes, heard)

    def left(index: int, outcome: ArmOutcome) -> float:
        return -outcome.excess[TARGETS[index % len(TARGETS)]]

    return minimise(starts, rounds, joints * Profile.SEGMENTS, drive, left)
