# SPDX-License-Identifier: Apache-2.0
"""One hostile episode of an arm, behind its supervisor and without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.attack.arm.conditions import STARTS
from tidegate.attack.arm.driver import Ask
from tidegate.attack.arm.limits import ArmExcess
from tidegate.attack.arm.outcome import PAYLOAD, SLOPE, ArmOutcome
from tidegate.attack.arm.stage import Bare, InScene, Stage
from tidegate.attack.arm.supervised import Answer, Supervised, unfiltered
from tidegate.attack.campaign import OUTCOMES, run_jobs, shared_facts
from tidegate.safety.arm import ArmSupervisor
from tidegate.settings.arm import load_arm_settings

ABSURD = 200.0
"""An arm without a filter that is faster has shown what it can [rad/s]."""


@dataclass(frozen=True, slots=True)
class ArmEpisode:
    """What to drive; text and numbers alone, so that it travels to another process and names itself in a file.

    ``start`` is one of ``STARTS``, or a scene, in which the policy of ``bundle`` drives first; ``adversary`` is one of
    ``ARM_ADVERSARIES``, in a scene of ``ARM_POLICIES`` too; ``sensors`` of ``SENSORS``. ``stiffness`` [N/m]: the most
    that the filter is told of the surface, which is drawn below it; 0 = what the settings say. ``overload`` [kg]: on
    top of any payload that was stated, which breaks an assumption. ``disable`` names barriers to switch off, to show
    what each is for. ``plan`` as ``ArmAdversary``'s.
    """

    settings: str
    start: str
    seed: int
    adversary: str
    sensors: str = "wrong"
    seconds: float = 2.0
    stiffness: float = 0.0
    overload: float = 0.0
    disable: tuple[str, ...] = ()
    plan: tuple[float, ...] = ()
    bundle: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """All that it depends on but settings and bundle, as plain values: with them it can be driven again."""
        made = asdict(self) | {"disable": list(self.disable), "plan": list(self.plan)}
        return {name: value for name, value in made.items() if name not in ("settings", "bundle")}

    @classmethod
    def of(cls, facts: dict[str, Any], settings: str, bundle: str = "") -> ArmEpisode:
        """The episode of ``facts``."""
        return cls(settings, **facts | {name: tuple(facts[name]) for name in ("disable", "plan")}, bundle=bundle)

    @property
    def key(self) -> str:
        """Its name among the episodes of one campaign."""
        return json.dumps(self.facts)


@lru_cache(maxsize=4)
def prepared(settings: str, stiffness: float, disable: tuple[str, ...]) -> ArmSupervisor:
    """A supervisor to be copied for an episode: making one takes longer than 200 of its ticks.

    Raises:
        SettingsError: of the settings, or there is no such barrier; RobotError: as ``ArmGuard``.
    """
    loaded = load_arm_settings(settings)
    surface = replace(loaded.safety.surface, stiffness=stiffness or loaded.safety.surface.stiffness)
    return ArmSupervisor(replace(loaded, safety=replace(loaded.safety, surface=surface)), disable=frozenset(disable))


def run_arm_attack(
    episodes: Sequence[ArmEpisode],
    folder: Path,
    processes: int = 2,
    heard: Callable[[ArmOutcome], None] = lambda one: None,
) -> list[ArmOutcome]:
    """Drive the ``episodes``, all of one robot and one bundle, that ``folder`` does not hold yet, as ``run_jobs``."""
    facts = shared_facts(episodes[0].settings, episodes[0].bundle or None) if episodes else {}
    return run_jobs(episodes, run_arm_episode, ArmOutcome, folder / OUTCOMES, facts, processes, heard)


def run_arm_episode(episode: ArmEpisode) -> ArmOutcome:
    """Drive one episode; the same start, arm, errors and wishes with the filter and, unless searched, without.

    Raises:
        KeyError: no such adversary; SettingsError, RobotError: as ``prepared``, ``Bare`` and ``InScene``; BundleError,
            SceneError: as the latter.
    """
    words = f"{episode.start} {episode.adversary} {episode.sensors}".encode()
    stage = _stage(episode, np.random.default_rng([episode.seed, *words]))
    supervised, arm = Supervised(stage.supervisor), stage.supervisor.guard.arm
    ticks = round(episode.seconds * arm.settings.safety.rate_hz)

    def driven(answer: Answer) -> ArmExcess:
        rng = np.random.default_rng([episode.seed, *words, 1])
        return drive(stage, stage.ask(episode.adversary, rng, episode.plan), answer, ticks)

    excess = driven(supervised)
    alone = {} if episode.plan else driven(unfiltered(arm)).found
    stage.close()
    return ArmOutcome(
        episode=episode.facts,
        excess=excess.found,
        level=excess.level if excess.sloped else {},
        alone=alone,
        touched=excess.touched,
        faults=supervised.faults,
        broken=[PAYLOAD] * (episode.overload > 0) + [SLOPE] * excess.sloped,
        ticks=ticks,
        modes=dict(supervised.modes),
        relaxed=dict(supervised.relaxed),
        changed=supervised.changed,
        unsolved=supervised.unsolved,
    )


def _stage(episode: ArmEpisode, rng: np.random.Generator) -> Stage:
    start, sensors, overload, disable = episode.start, episode.sensors, episode.overload, episode.disable
    supervisor = prepared(episode.settings, episode.stiffness, disable)
    if start in STARTS:
        return Bare(rng, deepcopy(supervisor), start, sensors, overload)
    arm = supervisor.guard.arm
    return InScene(rng, arm, start, episode.seed, sensors, overload, disable, episode.bundle, episode.seconds)


def drive(stage: Stage, ask: Ask, answer: Answer, ticks: int) -> ArmExcess:
    """The worst excess over each limit, by ``answer`` to what is asked for."""
    scene, errors, arm = stage.scene, stage.errors, stage.supervisor.guard.arm
    excess, rate, torque = ArmExcess(arm), arm.settings.safety.rate_hz, stage.torque
    truth = stage.begin()
    errors.begin()
    for tick in range(ticks):
        now, last = tick / rate, torque
        seen = np.array((truth.position, truth.velocity)) + errors(now, truth)
        wish, late = ask(now, truth, seen)
        torque = answer(now, seen, wish, late, last)
        excess.command(torque, last, truth)
        applied = torque + stage.body.motor
        for _ in range(scene.substeps):
            truth = scene.step(applied)
            excess.step(torque, truth, scene.normal)
        if not np.abs(truth.velocity).max() <= ABSURD:  # NaN too
            break
    return excess
