# SPDX-License-Identifier: Apache-2.0
"""One hostile episode of an arm, behind its supervisor and without it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.attack.arm.adversary import ARM_ADVERSARIES, STRENGTH, ArmAdversary
from tidegate.attack.arm.conditions import Conditions
from tidegate.attack.arm.limits import ArmExcess
from tidegate.attack.arm.outcome import PAYLOAD, ArmOutcome
from tidegate.attack.campaign import OUTCOMES, run_jobs, shared_facts
from tidegate.records import ArmInputs, Command, Floats, JointStates, Mode, Received, nanoseconds
from tidegate.robot.arm import Arm
from tidegate.safety.arm import ArmSupervisor
from tidegate.safety.ladder import Rung
from tidegate.settings.arm import load_arm_settings
from tidegate.simulation import EPOCH
from tidegate.simulation.arm import ArmScene

ABSURD = 200.0
"""An arm without a filter that is faster has shown what it can [rad/s]."""
Answer = Callable[[float, Floats, Floats | None, float, Floats], Floats]
"""Torques (N,) to send, by time [s], joints as measured (2, N), the wish, its stamp's age [s], and the last torques."""


@dataclass(frozen=True, slots=True)
class ArmEpisode:
    """What to drive; text and numbers alone, so that it travels to another process and names itself in a file.

    ``start`` and ``sensors`` as in ``conditions``. ``stiffness`` [N/m]: the most that the filter is told of the
    surface, which is drawn below it; 0 = what the settings say. ``overload`` [kg]: on top of any payload that was
    stated, which breaks an assumption. ``disable`` names barriers to switch off, to show what each is for. ``plan`` as
    ``ArmAdversary``'s.
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

    @property
    def facts(self) -> dict[str, Any]:
        """All that it depends on but the settings, as plain values: with them it can be driven again."""
        made = asdict(self) | {"disable": list(self.disable), "plan": list(self.plan)}
        return {name: value for name, value in made.items() if name != "settings"}

    @classmethod
    def of(cls, facts: dict[str, Any], settings: str) -> ArmEpisode:
        """The episode of ``facts``."""
        return cls(settings, **facts | {name: tuple(facts[name]) for name in ("disable", "plan")})

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
    """Drive the ``episodes``, all of one robot, that ``folder`` does not hold yet, as ``run_jobs``."""
    facts = shared_facts(episodes[0].settings) if episodes else {}
    return run_jobs(episodes, run_arm_episode, ArmOutcome, folder / OUTCOMES, facts, processes, heard)


def run_arm_episode(episode: ArmEpisode) -> ArmOutcome:
    """Drive one episode; the same start, arm, errors and wishes with the filter and, unless searched, without.

    Raises:
        KeyError: no such adversary; SettingsError, RobotError: as ``prepared`` and ``Conditions.draw``.
    """
    supervised = Supervised(deepcopy(prepared(episode.settings, episode.stiffness, episode.disable)))
    guard = supervised.guard
    words = f"{episode.start} {episode.adversary} {episode.sensors}".encode()
    conditions = Conditions.draw(
        np.random.default_rng([episode.seed, *words]), guard, episode.start, episode.sensors, episode.overload
    )
    scene, kind = conditions.scene(guard), ARM_ADVERSARIES[episode.adversary]
    ticks = round(episode.seconds * guard.arm.settings.safety.rate_hz)

    def driven(answer: Answer) -> ArmExcess:
        rng = np.random.default_rng([episode.seed, *words, 1])
        return _drive(scene, conditions, kind(guard.arm, guard.dynamics, rng, episode.plan), answer, ticks)

    excess = driven(supervised)
    return ArmOutcome(
        episode=episode.facts,
        excess=excess.found,
        alone={} if episode.plan else driven(unfiltered(guard.arm)).found,
        touched=excess.touched,
        faults=supervised.faults,
        broken=[PAYLOAD] if episode.overload > 0 else [],
        ticks=ticks,
        modes=dict(supervised.modes),
        relaxed=dict(supervised.relaxed),
        changed=supervised.changed,
        unsolved=supervised.unsolved,
    )


def _drive(scene: ArmScene, conditions: Conditions, adversary: ArmAdversary, answer: Answer, ticks: int) -> ArmExcess:
    """The worst excess over each limit, by ``answer`` to what the adversary asks for."""
    start, arm, errors = conditions.start, adversary.arm, conditions.errors
    excess, rate = ArmExcess(arm), arm.settings.safety.rate_hz
    truth, torque = scene.place(start.position, start.velocity), start.torque
    errors.begin()
    for tick in range(ticks):
        now, last = tick / rate, torque
        wish = adversary.wish(now, truth.position, truth.velocity)
        seen = np.array((truth.position, truth.velocity)) + errors(now, truth)
        torque = answer(now, seen, wish, adversary.late, last)
        excess.command(torque, last, truth)
        applied = torque + conditions.motor
        for _ in range(scene.substeps):
            truth = scene.step(applied)
            excess.step(torque, truth)
        if not np.abs(truth.velocity).max() <= ABSURD:  # NaN too
            break
    return excess


def unfiltered(arm: Arm) -> Answer:
    """What is asked for, no stronger than adversaries mean it and 0 where it is no number; else the last torques."""
    most = STRENGTH * arm.effort

    def answer(_: float, __: Floats, wish: Floats | None, ___: float, last: Floats) -> Floats:
        return last if wish is None else np.clip(np.nan_to_num(wish), -most, most)

    return answer


class Supervised:
    """An ``ArmSupervisor`` as its node feeds it, in NORMAL at first; somebody resets whenever it has STOPPED.

    Attributes:
        guard: the supervisor's.
        modes, relaxed, faults, changed, unsolved: counts of ticks, as in ``ArmOutcome``.
    """

    def __init__(self, supervisor: ArmSupervisor) -> None:
        self._supervisor, self.guard = supervisor, supervisor.guard
        supervisor.rung = Rung(Mode.NORMAL, EPOCH, ())
        self._names, self._wish = self.guard.arm.joint_names, Command(EPOCH, (), np.zeros(0))
        self.modes: Counter[str] = Counter()
        self.relaxed: Counter[str] = Counter()
        self.faults = self.changed = self.unsolved = 0

    def __call__(self, now: float, joints: Floats, wish: Floats | None, late: float, last: Floats) -> Floats:
        """An ``Answer``."""
        stamp = EPOCH + nanoseconds(now)
        if wish is not None:
            self._wish = Command(stamp - nanoseconds(late), self._names, wish.copy())
        seen = JointStates(stamp, self._names, joints[0], joints[1], last)
        stopped = self._supervisor.rung.mode is Mode.STOPPED
        nominal = Received(self._wish, stamp - self._wish.stamp) if self._wish.names else None
        tick = self._supervisor.tick(ArmInputs(stamp, nominal, Received(seen, 0), reset_requested=stopped))
        self.modes[tick.mode.name] += 1
        self.relaxed.update(barrier.name for barrier in tick.barriers if barrier.relaxed)
        self.faults += any(why.startswith("fault in the safety filter") for why in tick.reasons)
        self.changed += bool(tick.intervened)
        self.unsolved += not tick.solve.solved
        assert tick.command is not None
        return tick.command.effort
