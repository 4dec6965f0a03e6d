# SPDX-License-Identifier: Apache-2.0
"""Record training drives: the expert, or a network beside which the expert says what it would do (DAgger)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tidegate.bag import BagReader, BagWriter
from tidegate.bundle import Bundle
from tidegate.errors import BagError
from tidegate.evaluation.drivers import BundleDriver
from tidegate.learning.recipe import CollectRecipe
from tidegate.messages import camera_info
from tidegate.records import Command, LaneEstimate, Nominal, nanoseconds
from tidegate.robot import Actuation
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Expert, Simulator, Truth
from tidegate.simulation.expert import STANDSTILL, TIME_GAP
from tidegate.workers import as_they_end

OFF_TRACK = 1.6
"""Beyond this offset [m] or 0.5 rad there is nothing to learn: the car is put back into its lane."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A drive to record; paths are text so that it travels to another process.

    ``bundle`` None = the expert drives; ``expert_share`` of the time it drives although there is a bundle. ``close``:
    behind a car that halts, closer than the expert would. ``again`` counts drives on one road from one place, each
    disturbed otherwise.
    """

    settings: str
    out: str
    scene: str
    seed: int
    recipe: CollectRecipe
    bundle: str | None = None
    expert_share: float = 0.0
    close: bool = False
    again: int = 0


def plan_drives(
    settings: Path, out: Path, first_seed: int, count: int, recipe: CollectRecipe, **driver: str | float | None
) -> list[Plan]:
    """``count`` drives on roads of their own, the scenes spread evenly; ``driver`` as in ``Plan``."""
    shares = {
        "truck": recipe.truck_share,
        "traffic": recipe.traffic_share,
        "close": recipe.close_share,
        "road_whiteout": recipe.white_share,
    }
    kinds, ends = (*shares, "road"), np.cumsum(list(shares.values()))
    plans = []
    for seed in range(first_seed, first_seed + count):
        place = (seed * 0.6180339887498949) % 1.0  # the golden section spreads any run of seeds evenly
        kind = kinds[int(np.searchsorted(ends, place, side="right"))]
        scene, path = "traffic" if kind == "close" else kind, str(out / f"{kind}-{seed:05d}")
        plans.append(Plan(str(settings), path, scene, seed, recipe, close=kind == "close", **driver))  # type: ignore[arg-type]
    return plans


def collect(plans: Sequence[Plan], processes: int, heard: Callable[[Path], None] = lambda path: None) -> list[Path]:
    """Record every drive that is not there yet, in parallel processes; ``heard`` gets each bag as it is done.

    A drive depends on its plan alone, so neither the number of processes nor a break changes what is recorded.

    Returns:
        the bags in the order of the plans.
    """
    waiting = [plan for plan in plans if not _whole(Path(plan.out))]
    for plan, _ in as_they_end(record_drive, waiting, processes):
        heard(Path(plan.out))
    return [Path(plan.out) for plan in plans]


def _whole(path: Path) -> bool:
    try:
        return not BagReader(path).interrupted
    except BagError:
        return False


def record_drive(plan: Plan) -> None:
    """Drive and record one bag: camera, odometry, joint states and the expert's labels, all at the camera's rate.

    The label is what the expert would do with nobody else on the road: keeping the distance is the safety filter's
    part, from sensors that can be trusted, and whoever learns to brake at a sight also brakes at what looks like it.
    In the drive itself the distance is kept, whoever drives, pushes aside.

    A drive ends early when the car touches another.

    Raises:
        BagError: the bag is there already; SceneError: no such scene; BundleError: the bundle is refused.
    """
    recipe = plan.recipe
    settings = _fast(load_settings(plan.settings), recipe.control_rate_hz)
    out, partial = Path(plan.out), Path(plan.out).with_suffix(".partial")
    _remove(partial)
    with Simulator(settings, plan.scene, plan.seed) as simulator:
        network = BundleDriver(Bundle.load(plan.bundle), settings) if plan.bundle else None
        set_down(simulator, plan)
        disturbance = Disturbance(simulator, plan)
        actuation = Actuation(simulator.car, 1 / settings.safety.rate_hz)
        wanted = Nominal(0, 0.0, 0.0)
        with BagWriter(partial / out.name) as writer:
            for _ in range(round(recipe.duration_s * settings.safety.rate_hz)):
                sensors = simulator.observe()
                if sensors.frame is not None:
                    truth = simulator.truth()
                    if truth.contact:
                        break  # nobody drives on after a collision, and the expert's answers mean nothing
                    label = disturbance.expert.wish(truth)
                    writer.write("odom", sensors.odometry)
                    writer.write("joint_states", sensors.joints)
                    writer.write("camera/image_raw", sensors.frame)
                    writer.write("camera/camera_info", camera_info(simulator.now, settings.camera))
                    writer.write("expert/nominal", label)
                    writer.write("expert/lane", true_lane(truth))
                    decision = network.look(sensors)[1] if network else None
                    wanted = disturbance.act(truth, label, decision.nominal if decision else None)
                efforts = actuation.efforts(wanted.force, wanted.curvature, sensors.joints, simulator.now)
                simulator.apply(Command(simulator.now, simulator.car.joint_names, efforts))
                simulator.step()
                if sensors.frame is not None:
                    disturbance.shift(simulator)
    (partial / out.name).rename(out)
    partial.rmdir()


def true_lane(truth: Truth) -> LaneEstimate:
    """The lane as it is, without error."""
    return LaneEstimate(truth.stamp, truth.offset, truth.heading, truth.curvature, np.zeros(2 + len(truth.curvature)))


class Disturbance:
    """Pushes the car off the perfect line, so that the recordings show how to get back, and settles who drives.

    Attributes:
        expert: whose answers are recorded and whose distance is kept; in close drives one that keeps less, so that the
            recordings also show the lane from close behind another car.
    """

    def __init__(self, simulator: Simulator, plan: Plan) -> None:
        self._recipe, self._expert_share = plan.recipe, plan.expert_share
        self._mass = simulator.car.effective_mass
        self._period = 1 / simulator.settings.camera.rate_hz
        self._random = np.random.default_rng([plan.seed, 11, plan.again])
        self._until = 0
        self._push = (0.0, 0.0)
        self._expert = True
        gaps = STANDSTILL, TIME_GAP
        if plan.close:
            gaps = tuple(self._random.uniform((plan.recipe.close_gap, plan.recipe.close_time), gaps).tolist())
        self.expert = Expert(simulator.settings, simulator, *gaps)

    def act(self, truth: Truth, label: Nominal, asked: Nominal | None) -> Nominal:
        """The command that is driven: the network's or the expert's, its distance kept, sometimes pushed."""
        random, recipe = self._random, self._recipe
        if truth.stamp >= self._until:
            self._until = truth.stamp + nanoseconds(random.uniform(0.5, 2.0))
            self._expert = bool(random.random() < self._expert_share)
            pushed = random.random() < recipe.push_share
            push = random.uniform(-1, 1, 2) * (recipe.push_force, recipe.push_lateral)
            self._push = (float(push[0]), float(push[1])) if pushed else (0.0, 0.0)
        chosen = label if self._expert or asked is None or not np.isfinite(asked.force) else asked
        force = min(chosen.force, self.expert.following_force(truth)) + self._push[0] * self._mass
        return Nominal(label.stamp, force, chosen.curvature + self._push[1] / max(truth.speed, 5.0) ** 2)

    def shift(self, simulator: Simulator) -> None:
        """Now and then move the car sideways and turn it; put it back where it has lost the lane."""
        random, recipe, truth = self._random, self._recipe, simulator.truth()
        if abs(truth.offset) > OFF_TRACK or abs(truth.heading) > 0.5:
            simulator.perturb(-truth.offset, -truth.heading)
        elif random.random() < self._period / recipe.shift_every_s:
            lateral = float(np.clip(random.normal(0, recipe.shift_offset), -1.2, 1.2)) - 0.7 * truth.offset
            yaw = float(np.clip(random.normal(0, recipe.shift_yaw), -0.2, 0.2)) - 0.7 * truth.heading
            simulator.perturb(lateral, yaw)


def set_down(simulator: Simulator, plan: Plan) -> None:
    """Begin anywhere on an empty road, a little before the truck, and at the scene's own start in traffic, close drives
    behind the first car, which will halt."""
    random = np.random.default_rng([plan.seed, 13])
    road, top = simulator.road, 14.0
    if plan.scene.startswith("road") and random.random() < 0.8:
        s = float(random.uniform(0, road.length))
        bend = max(abs(road.curvature_at(s + ahead)) for ahead in np.arange(0, 40, 4.0))
        fastest = min(top, (2.2 / max(bend, 1e-3)) ** 0.5)
        simulator.place(
            s, float(random.normal(0, 0.3)), float(random.normal(0, 0.04)), fastest * random.uniform(0, 1.1)
        )
    elif plan.close:
        lead = simulator.scene.actors[0]
        halt = lead.stops[random.integers(len(lead.stops))][0]  # type: ignore[attr-defined]
        lead.time = halt - float(random.uniform(0, 0.7 * plan.recipe.duration_s))  # type: ignore[attr-defined]
        simulator.place(lead.s - float(random.uniform(10, 40)))  # type: ignore[attr-defined]
    elif plan.scene == "truck":
        truck = simulator.scene.actors[0]
        s = simulator.scene.start + truck.distance - random.uniform(100, 180)  # type: ignore[attr-defined]
        simulator.place(float(s), speed=float(random.uniform(6, 11)))


def _fast(settings: Settings, control_rate_hz: float) -> Settings:
    """Settings with what the recording does not need turned down: control rate, range scans, latency of frames."""
    return dataclasses.replace(
        settings,
        safety=dataclasses.replace(settings.safety, rate_hz=control_rate_hz),
        ranging=dataclasses.replace(settings.ranging, rate_hz=1.0),
        camera=dataclasses.replace(settings.camera, latency_s=0.0),
    )


def _remove(partial: Path) -> None:
    """Take away what an interrupted recording left."""
    for path in sorted(partial.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    if partial.exists():
        partial.rmdir()
