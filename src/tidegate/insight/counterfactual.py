# SPDX-License-Identifier: Apache-2.0
"""What really follows in the embedded simulator where rows of the filter are left out from a moment on.

The same scene and seed are driven again, tick by tick, to that moment. Only a drive that was where the recorded one was
at every tick before is carried on, so that what comes out is of this drive and not of one that resembles it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidegate.attack.episode import Episode, hostile
from tidegate.bundle import Bundle
from tidegate.errors import TidegateError
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.metrics import Trace
from tidegate.evaluation.pilot import Pilot, Tamper
from tidegate.evaluation.recorder import RUN
from tidegate.evaluation.rollout import MakeDriver, drive_tick, driver_of
from tidegate.insight.limits import After, limit_of
from tidegate.insight.together import HORIZON_S, Watched, Watcher
from tidegate.insight.worlds import Drive, World
from tidegate.records import Floats, Mode, Values, nanoseconds, seconds
from tidegate.robot import Car
from tidegate.safety import Filter, Supervisor
from tidegate.settings import Settings
from tidegate.simulation import EPOCH, Simulator, Truth

APART_M = 0.2
"""A drive that was farther than this [m] from the recorded one is another."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """How a recorded drive of the embedded simulator is driven again; good for one drive."""

    scene: str
    seed: int
    disable: frozenset[str]
    camera: bool
    make_driver: MakeDriver
    tampered: Callable[[Simulator], Tamper] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The truth from a moment on, ``time`` (K,) [s] after it: ``gap`` [m] (inf = free), ``lane_error`` [m], ``speed``.

    ``contact``, ``lane_left``, ``off_road`` [s] after the moment; None = it did not come. ``apart`` [m]: how far it was
    from the recorded drive at most before. ``watched``: what became of a row's limit; None = it was not watched.
    """

    time: Floats
    gap: Floats
    lane_error: Floats
    speed: Floats
    contact: float | None
    lane_left: float | None
    off_road: float | None
    apart: float = 0.0
    watched: Watched | None = None


def rerun_of(
    bag: Path, contract: Mapping[str, str], settings: Settings, config: Path, bundle: Path, disable: frozenset[str]
) -> Rerun | str:
    """How to drive a bag again, by the figures that ``tidegate evaluate`` and ``attack`` leave beside it; else why not.

    Args:
        bag: folder or file.
        contract: of the bag; it tells whether a network or the expert drove.
        settings, config: of the robot, and their file.
        bundle: the model that drove.
        disable: parts that were switched off in the recording, beside those that the figures name.
    """
    path = (bag if bag.is_dir() else bag.parent) / RUN
    try:
        figures = json.loads(path.read_text("utf-8"))
        if "episode" in figures:
            episode = Episode.of(figures["episode"], str(config), str(bundle))
            driver, heard = hostile(settings, episode)
            off = disable | frozenset(episode.disable)
            return Rerun(episode.scene, episode.seed, off, episode.camera, driver, heard.begin)
        scene, seed = str(figures["scene"]), int(figures["seed"])
    except OSError:
        return f"{path.name} is not beside the bag: it is not told of which scene and seed it is"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{path.name} beside the bag does not tell which drive it is ({error})"
    seen = "bundle" in contract
    try:
        model = Bundle.load(bundle, settings.vehicle.name) if seen else None
    except TidegateError as error:
        return str(error)
    return Rerun(scene, seed, disable, seen, driver_of(settings, model))


def drive_without(
    settings: Settings,
    rerun: Rerun,
    recorded: Mapping[int, Values],
    begin: int,
    without: frozenset[str],
    row: str,
    until_s: float = HORIZON_S,
    world: World | None = None,
    first: bool = False,
) -> Course | str:
    """Drive again and leave rows out from ``begin`` [ns] on; why it cannot be where it is another drive than recorded.

    Args:
        settings: of the robot.
        rerun: who drives where.
        recorded: the bag's truth by stamp.
        begin: first tick in which the rows are left out.
        without: names of barriers; the joints' limits are kept in any case.
        row: whose limit is watched.
        until_s: for how long after ``begin`` [s] is driven at most.
        world: in which the drive goes on; None = in the one that is.
        first: whether it ends as soon as the limit of ``row`` is broken.
    """
    try:
        with Simulator(settings, rerun.scene, rerun.seed, camera=rerun.camera) as simulator:
            supervisor = Supervisor(settings, simulator.car, disable=rerun.disable)
            pilot = Pilot(rerun.make_driver(simulator), supervisor)
            if rerun.tampered is not None:
                pilot.tamper = rerun.tampered(simulator)
            log, before, apart = DriveLog(settings, simulator.car), 0, _apart(recorded, simulator.truth())
            while simulator.now < begin and apart <= APART_M:
                drive_tick(simulator, pilot, log)
                before, apart = before + 1, max(apart, _apart(recorded, log.last))
            if apart > APART_M:
                return (
                    f"driven again, the car was {apart:.2f} m from where it was recorded, "
                    f"{seconds(simulator.now - EPOCH):.3f} s after the start: another bundle, other settings or "
                    "code, or recorded in real time"
                )
            if world is not None:
                world(Drive(simulator, pilot, log))
            supervisor.filter = Filter(settings, simulator.car, disable=rerun.disable | without)
            limits = {name: limit_of(name, settings, simulator.car) for name in settings.safety.barriers}
            watcher = Watcher(row, limits, 1 / settings.safety.rate_hz)
            while seconds(simulator.now - begin) < until_s:
                tick = drive_tick(simulator, pilot, log)
                truth = log.last
                assert truth is not None
                watcher.see(tick, After(truth, log.room(truth), tick.allowed[0], supervisor.state))
                if log.end() is not None or (first and watcher.over):
                    break
            return _course(log.trace(), before, apart, watcher.seen())
    except (TidegateError, KeyError) as error:
        return str(error)


def recorded_course(settings: Settings, recorded: Mapping[int, Values], begin: int) -> Course | str:
    """The truth of the bag from ``begin`` [ns] on, for as long as a drive is carried on; a text says what it lacks."""
    until, car = begin + nanoseconds(HORIZON_S), Car.from_settings(settings)
    log = DriveLog(settings, car)
    for stamp in sorted(recorded):
        if not begin < stamp <= until:
            continue
        try:
            truth = Truth.from_values(stamp, recorded[stamp].values)
        except KeyError as error:
            return f"the bag's truth lacks {error}: it is not of the embedded simulator"
        log.add(np.zeros(len(car.joint_names)), "", Mode.NORMAL, truth)
    if log.last is None:
        return "the bag ends where the row began to act"
    return _course(log.trace(), 0)


def _apart(recorded: Mapping[int, Values], truth: Truth | None) -> float:
    """How far the car is from where it was recorded [m]; 0 where the bag does not say."""
    known = None if truth is None else recorded.get(truth.stamp)
    if truth is None or known is None:
        return 0.0
    return float(np.hypot(truth.x - known.values["x"], truth.y - known.values["y"]))


def _course(trace: Trace, before: int, apart: float = 0.0, watched: Watched | None = None) -> Course:
    rows = slice(before, None)
    time = trace.period * np.arange(1, len(trace) - before + 1)
    contact, left, off = (_first(flags[rows], time) for flags in (trace.contact, trace.off_lane, trace.wheels_off))
    return Course(time, trace.gap[rows], trace.lane_error[rows], trace.speed[rows], contact, left, off, apart, watched)


def _first(flags: NDArray[np.bool_], time: Floats) -> float | None:
    return float(time[flags.argmax()]) if flags.any() else None
