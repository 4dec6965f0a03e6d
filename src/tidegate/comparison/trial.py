# SPDX-License-Identifier: Apache-2.0
"""One drive of one trained network under one condition."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from tidegate.bundle import Bundle
from tidegate.comparison.conditions import CONDITIONS, Eyes, UnevenCamera
from tidegate.comparison.driver import PeerDriver, bundle_driver
from tidegate.comparison.peers import load_peer
from tidegate.evaluation.drivers import expert_speed
from tidegate.evaluation.metrics import End
from tidegate.evaluation.rollout import Task, roll_in
from tidegate.evaluation.simulators import MakeSimulator
from tidegate.settings import load_settings
from tidegate.simulation import Simulator

CRASHES = (End.CONTACT.value, End.OFF_ROAD.value)


@dataclass(frozen=True, slots=True)
class Trial:
    """What to drive: the weights in ``network``, of ``architecture`` and training ``seed``, learnt at ``rate`` in
    ``steps`` steps, on the road ``road`` of ``scene``, for ``longest_s`` [s] at most."""

    settings: str
    bundle: str
    network: str
    architecture: str
    seed: int
    rate: float
    steps: int
    condition: str
    scene: str
    road: int
    filtered: bool
    longest_s: float

    @property
    def key(self) -> str:
        """Its name among the trials of one comparison."""
        return _key(self)


@dataclass(frozen=True, slots=True)
class Driven:
    """What came of a trial; where it failed, ``error`` says why and the figures mean nothing.

    Lengths [m], times [s].
    """

    architecture: str
    seed: int
    rate: float
    steps: int
    condition: str
    scene: str
    road: int
    filtered: bool
    longest_s: float
    error: str = ""
    end: str = ""
    completed: bool = False
    distance_m: float = 0.0
    duration_s: float = 0.0
    mean_speed: float = 0.0
    rms_lane_error_m: float = math.nan
    max_abs_lane_error_m: float = math.nan
    off_lane_s: float = 0.0
    collisions: int = 0
    interventions: int = 0
    intervened_s: float = 0.0
    wall_s: float = 0.0

    @property
    def key(self) -> str:
        """The key of its trial."""
        return _key(self)

    @property
    def crashed(self) -> bool:
        """Whether it touched something or left the road."""
        return self.end in CRASHES


def _names(kind: type[Trial] | type[Driven]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


FACTS = [name for name in _names(Driven) if name in _names(Trial)]
FIGURES = [name for name in _names(Driven) if name not in (*FACTS, "error")]


def _key(one: Trial | Driven) -> str:
    network = (one.architecture, one.seed, one.rate, one.steps)
    return json.dumps([*network, one.condition, one.scene, one.road, one.filtered, one.longest_s])


def run_trial(trial: Trial) -> Driven:
    """Drive it; a trial that fails is told, not raised, so that the others go on."""
    blank = Driven(**{name: getattr(trial, name) for name in FACTS})
    try:
        return _driven(trial, blank)
    except Exception as error:  # whatever it is, it is of this trial alone
        return dataclasses.replace(blank, error=f"{type(error).__name__}: {error}")


def _driven(trial: Trial, blank: Driven) -> Driven:
    torch.set_num_threads(1)
    settings, condition = load_settings(trial.settings), CONDITIONS[trial.condition]
    bundle = Bundle.load(trial.bundle, settings.vehicle.name)
    inner = bundle_driver(bundle, load_peer(bundle, trial.architecture, trial.seed, Path(trial.network)), settings)
    eyes, began = Eyes(condition, trial.road), time.perf_counter()
    kind: MakeSimulator[Simulator] = UnevenCamera if condition.uneven else Simulator
    task = Task(trial.settings, trial.bundle, trial.scene, trial.road, filtered=trial.filtered)
    log, end, state_hash = roll_in(
        kind,
        settings,
        task,
        lambda simulator: PeerDriver(inner, eyes, simulator, alone=not trial.filtered),
        longest_s=trial.longest_s,
        camera=True,
    )
    pace = _pace(trial.settings, trial.scene, trial.road) if end is End.GOAL else None
    told = log.judge(trial.scene, trial.road, end, state_hash, time.perf_counter() - began, pace=pace).as_dict()
    return dataclasses.replace(blank, **{name: told[name] for name in FIGURES})


@functools.cache
def _pace(settings: str, scene: str, road: int) -> float:
    """The expert's mean speed [m/s] on a road, which every network that gets round is judged by."""
    return expert_speed(load_settings(settings), scene, road)
