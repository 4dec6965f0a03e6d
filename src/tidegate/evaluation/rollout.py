# SPDX-License-Identifier: Apache-2.0
"""One closed loop without ROS: drive until the goal, a contact, the ditch, a standstill for good, or the time limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tidegate.bundle import Bundle
from tidegate.errors import SettingsError
from tidegate.evaluation.drivers import BundleDriver, Driver, ExpertDriver
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.metrics import End, Run
from tidegate.evaluation.pilot import Moment, Pilot, Tamper
from tidegate.evaluation.recorder import DriveRecorder
from tidegate.evaluation.simulators import (
    EMBEDDED,
    AnySimulator,
    MakeSimulator,
    check_simulator,
    embedded,
    load_simulator,
)
from tidegate.liquid.compiled import RUNS_IN
from tidegate.records import Tick, seconds
from tidegate.robot.contract import contract_of
from tidegate.safety.supervisor import Supervisor, check_disabled
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Simulator

DRIVERS = ("bundle", "expert")


@dataclass(frozen=True, slots=True)
class Task:
    """What to drive, for ``longest_s`` [s] at most: paths are text so that a task travels to another process;
    ``disable`` names parts or barriers, ``simulator`` is ``module:Class``."""

    settings: str
    bundle: str
    scene: str
    seed: int
    driver: str = "bundle"
    filtered: bool = True
    disable: tuple[str, ...] = ()
    record: str | None = None
    longest_s: float = math.inf
    simulator: str = EMBEDDED


Watch = Callable[[Moment], None]
MakeDriver = Callable[[Simulator], Driver]
World = TypeVar("World", bound=AnySimulator)


def check_task(task: Task) -> None:
    """Refuse a task that cannot be driven, before processes start.

    Raises:
        SettingsError: unknown driver, part or barrier, no usable simulator, or one in which the expert cannot drive;
        SceneError: unknown scene; BundleError: no usable bundle.
    """
    if task.driver not in DRIVERS:
        raise SettingsError(f"driver is '{task.driver}'; it must be one of {', '.join(DRIVERS)}")
    settings = load_settings(task.settings)
    check_disabled(task.disable, settings)
    if task.driver == "bundle":
        BundleDriver(Bundle.load(task.bundle, settings.vehicle.name), settings)
    if task.driver == "expert":
        _of_the_expert(task.simulator)
    check_simulator(task.simulator, settings, task.scene, task.seed)


def run_task(task: Task) -> Run:
    """Drive a task from its file names; the function that campaigns call in their processes.

    Raises:
        TidegateError: the settings, the bundle or the scene is refused.
    """
    settings = load_settings(task.settings)
    bundle = Bundle.load(task.bundle, settings.vehicle.name) if task.driver == "bundle" else None
    if task.record is None:
        return drive(settings, task, bundle)
    step = "" if bundle is None else RUNS_IN
    contract = contract_of(Path(task.settings), None if bundle is None else Path(task.bundle), step)
    with DriveRecorder(Path(task.record), settings, contract) as recorder:
        run = drive(settings, task, bundle, recorder.keep)
        recorder.conclude(run.as_dict())
    return run


def drive(settings: Settings, task: Task, bundle: Bundle | None, watch: Watch | None = None) -> Run:
    """Drive one closed loop and judge it; ``watch`` sees every tick. Without a bundle the expert drives.

    Raises:
        BundleError, SceneError, SettingsError: the bundle, the scene or the simulator is refused.
    """
    began = time.perf_counter()
    if bundle is None:
        home, expert = _of_the_expert(task.simulator), driver_of(settings, None)
        log, end, state_hash = roll_in(home, settings, task, expert, watch, task.longest_s, camera=False)
    else:
        kind, network = load_simulator(task.simulator), BundleDriver(bundle, settings)
        log, end, state_hash = roll_in(kind, settings, task, lambda _: network, watch, task.longest_s, camera=True)
    wall_s = time.perf_counter() - began
    return log.judge(task.scene, task.seed, end, state_hash, wall_s, embedded(task.simulator))


def _of_the_expert(name: str) -> type[Simulator]:
    """The simulator that ``name`` says, in which the expert must be able to drive.

    Raises:
        SettingsError: it is not built on the embedded world.
    """
    home = embedded(name)
    if home is None:
        raise SettingsError(f"driver is 'expert', who knows the embedded world alone; in {name} it must be 'bundle'")
    return home


def driver_of(settings: Settings, bundle: Bundle | None) -> MakeDriver:
    """Makes the driver of the embedded world: the network of a bundle, or the expert."""
    if bundle is None:
        return lambda simulator: ExpertDriver(settings, simulator)
    return lambda simulator: BundleDriver(bundle, settings)


def roll(
    settings: Settings,
    task: Task,
    make_driver: MakeDriver,
    watch: Watch | None = None,
    longest_s: float = math.inf,
    *,
    camera: bool,
    tampered: Callable[[Simulator], Tamper] | None = None,
) -> tuple[DriveLog, End, str]:
    """As ``roll_in``, in the embedded world."""
    return roll_in(Simulator, settings, task, make_driver, watch, longest_s, camera=camera, tampered=tampered)


def roll_in(
    kind: MakeSimulator[World],
    settings: Settings,
    task: Task,
    make_driver: Callable[[World], Driver],
    watch: Watch | None = None,
    longest_s: float = math.inf,
    *,
    camera: bool,
    tampered: Callable[[World], Tamper] | None = None,
) -> tuple[DriveLog, End, str]:
    """Drive one closed loop, for ``longest_s`` at most: what happened, why it ended, the hash of its last state.

    ``kind`` makes the simulator, ``camera`` says whether pictures are drawn, ``tampered`` makes what changes the
    filter's inputs (None = nothing). What ``task`` says about the simulator, the driver, the time and recording is not
    read.

    Raises:
        BundleError, SceneError: the bundle or the scene is refused.
    """
    disable = frozenset(task.disable) | (frozenset() if task.filtered else {"filter"})
    with kind(settings, task.scene, task.seed, camera=camera) as simulator:
        pilot = Pilot(make_driver(simulator), Supervisor(settings, simulator.car, disable=disable))
        if tampered is not None:
            pilot.tamper = tampered(simulator)
        log = DriveLog(settings, simulator.car)
        end, begun = None, simulator.now
        while end is None:
            drive_tick(simulator, pilot, log, watch)
            end = log.end() or (End.TIME_LIMIT if seconds(simulator.now - begun) >= longest_s else None)
        return log, end, simulator.state_hash()


def drive_tick(simulator: AnySimulator, pilot: Pilot, log: DriveLog, watch: Watch | None = None) -> Tick:
    """One tick of a closed loop: sense, decide, act, and log what came of it; ``watch`` sees it before it acts."""
    sensors, truth = simulator.observe(), log.last or simulator.truth()
    step = pilot.tick(simulator.now, sensors)
    if watch is not None:
        watch(Moment(sensors, step, truth))
    tick = step.tick
    simulator.apply(tick.command)
    simulator.step()
    log.add(tick.command.effort, tick.intervened, tick.mode, simulator.truth())
    return tick
