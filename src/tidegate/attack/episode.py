# SPDX-License-Identifier: Apache-2.0
"""One hostile drive: an adversary at the wheel, and everything that is heard as wrong as the stated bounds allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.driver import HostileDriver
from tidegate.attack.error import WrongLane, WrongSensors
from tidegate.attack.fault import faults
from tidegate.attack.outcome import Outcome, Witness
from tidegate.bundle import Bundle
from tidegate.evaluation.drivers import BundleDriver, Driver, ExpertDriver
from tidegate.evaluation.pilot import Moment, Tamper
from tidegate.evaluation.recorder import DriveRecorder
from tidegate.evaluation.rollout import MakeDriver, Task, roll
from tidegate.liquid.compiled import RUNS_IN
from tidegate.records import SafetyInputs, nanoseconds
from tidegate.robot import Car
from tidegate.robot.contract import contract_of
from tidegate.settings import Settings, load_settings
from tidegate.simulation import EPOCH, Simulator

SENSORS = ("exact", "wrong", "failing")
FAULTS = (
    *(f"{name} silent" for name in ("joints", "odometry", "imu", "points", "nominal", "lane", "health")),
    *("policy killed", "perception killed", "joints frozen", "odometry frozen", "range frozen"),
    *("odometry jumps", "odometry turns", "odometry too slow", "gyro biased"),
)
"""Faults of ``tidegate drill`` that befall an episode; what is not usable there counts as not received, as silence."""
ONSET_S = (3.0, 20.0)
"""When a fault begins."""


@dataclass(frozen=True, slots=True)
class Episode:
    """What to drive; text and numbers alone, so that it travels to another process and names itself in a file.

    ``sensors``: 'exact' as simulated, 'wrong' within the stated bounds, 'failing' besides: one fault somewhere.
    ``camera``: pictures are drawn and the bundle's perception sees the lane; else the expert's lane is made wrong
    within a bound. ``disable`` names barriers, or 'filter', to switch off, to show what each is for. The expert, or the
    network, drives until ``from_speed`` [m/s] is reached; the episode ends after ``longest_s``. ``plan`` as
    ``Adversary.plan``.
    """

    settings: str
    bundle: str
    scene: str
    seed: int
    adversary: str
    sensors: str = "exact"
    longest_s: float = 40.0
    from_speed: float = 0.0
    camera: bool = False
    disable: tuple[str, ...] = ()
    plan: tuple[float, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """All that it depends on but settings and bundle, as plain values: with them it can be driven again."""
        made = asdict(self) | {"disable": list(self.disable), "plan": list(self.plan)}
        return {name: value for name, value in made.items() if name not in ("settings", "bundle")}

    @classmethod
    def of(cls, facts: dict[str, Any], settings: str, bundle: str) -> Episode:
        """The episode of ``facts``."""
        return cls(settings, bundle, **facts | {name: tuple(facts[name]) for name in ("disable", "plan")})

    @property
    def key(self) -> str:
        """Its name among the episodes of one campaign."""
        return json.dumps(self.facts)


def run_episode(episode: Episode, bag: Path | None = None) -> Outcome:
    """Drive one episode; with ``bag``, record it there, figures included.

    Raises:
        KeyError: no such adversary; SettingsError, SceneError, BundleError: as ``roll``; BagError: ``bag`` exists.
    """
    settings = load_settings(episode.settings)
    if bag is None:
        return _drive(settings, episode, lambda moment: None)
    sees = (Path(episode.bundle), RUNS_IN) if episode.camera else ()
    with DriveRecorder(bag, settings, contract_of(Path(episode.settings), *sees)) as recorder:
        outcome = _drive(settings, episode, recorder.keep)
        recorder.conclude(asdict(outcome))
    return outcome


def _drive(settings: Settings, episode: Episode, keep: Callable[[Moment], None]) -> Outcome:
    """Drive; ``keep`` sees every tick."""
    driver, heard = hostile(settings, episode)
    witness = Witness(settings, Car.from_settings(settings))

    def watch(moment: Moment) -> None:
        keep(moment)
        witness.watch(moment, blind=heard.blind)

    task = Task(episode.settings, episode.bundle, episode.scene, episode.seed, disable=episode.disable)
    log, end, _ = roll(settings, task, driver, watch, episode.longest_s, camera=episode.camera, tampered=heard.begin)
    return witness.judge(episode.facts, heard.fault, log, end.value)


def hostile(settings: Settings, episode: Episode) -> tuple[MakeDriver, Hearing]:
    """Who drives an episode, and what becomes of the sensors' messages; for one drive, in which they draw by turns.

    Raises:
        KeyError: no such adversary.
    """
    kind = ADVERSARIES[episode.adversary]
    rng = np.random.default_rng([episode.seed, *f"{episode.scene} {episode.adversary}".encode()])
    wrong = None if episode.camera else WrongLane(rng)
    heard = Hearing(settings, episode.sensors, rng)

    def driver(simulator: Simulator) -> HostileDriver:
        eyes: Driver = ExpertDriver(settings, simulator)
        if episode.camera:
            eyes = BundleDriver(Bundle.load(episode.bundle, settings.vehicle.name), settings)
        adversary = kind(simulator.car, rng, episode.plan)
        return HostileDriver(simulator, eyes, adversary, wrong, episode.from_speed)

    return driver, heard


class Hearing:
    """What becomes of the sensors' messages in an episode.

    Attributes:
        fault: name of the fault that befalls it; '' = none.
        blind: whether it has begun and takes the steering's feedback away.
    """

    def __init__(self, settings: Settings, sensors: str, rng: np.random.Generator) -> None:
        """``sensors`` as ``Episode.sensors``."""
        self._settings, self._wrong, self._rng = settings, sensors != "exact", rng
        self.fault = str(rng.choice(FAULTS)) if sensors == "failing" else ""
        self._onset = EPOCH + nanoseconds(float(rng.uniform(*ONSET_S)))
        self.blind = False

    def begin(self, simulator: Simulator) -> Tamper:
        """What the filter hears in this world."""
        wrong = WrongSensors(self._rng, self._settings, lambda: simulator.speed) if self._wrong else None
        fault = faults(self._settings)[self.fault] if self.fault else None
        broken = fault.make() if fault is not None else None

        def tamper(inputs: SafetyInputs) -> SafetyInputs:
            if fault is not None and broken is not None and inputs.now >= self._onset:
                self.blind = fault.blind
                inputs = broken(inputs)  # at the sensor: before the way on which messages are late
            return inputs if wrong is None else wrong(inputs)

        return tamper
