# SPDX-License-Identifier: Apache-2.0
"""What moves the wheel: the same moments pictured with something taken away, painted anew or shifted.

Along a drive the network sees the world as it is, and for half a second before each moment a copy of its neurons sees
the world with the change instead, from the same places on the same road. How far the commands are then apart is the
effect of the change: an intervention (Pearl 2009), not a correlation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.evaluation.difference import full_scales
from tidegate.insight.moments import WARM, Job, clustered, prompt, resampled_means, ride, set_down
from tidegate.insight.whatif import altered
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.perception.image import crop_rows
from tidegate.records import Floats, Frame
from tidegate.settings import load_settings
from tidegate.simulation import Change, Simulator

BURST = 10
"""Frames for which a copy of the neurons sees the change: half a second at 20 Hz."""
VISIBLE = 0.002
"""A moment counts for a change that alters at least this share of what the network looks at."""
GREY = 8
"""A pixel is altered where a colour of it is other by so many grey levels."""
SHIFT_M = 0.5
DARKER = 0.7

INTACT = "nothing changed"
LINES, VEGETATION, ROAD = "lane lines removed", "vegetation removed", "road and lines removed"
TRUCK, CARS = "truck removed", "cars removed"
SURFACE = ("road", "ground_left", "ground_right")
"""The road's surface and its verges."""


NOTHING = Change()


@dataclass(frozen=True, slots=True)
class Way:
    """One intervention on a ``kind`` of thing: a change of the world, or a ``gain`` of the picture."""

    kind: str
    change: Change = NOTHING
    gain: float = 1.0


WAYS = {
    LINES: Way("lines", Change(hidden=("lines",))),
    "edge lines removed": Way("lines", Change(hidden=("lines_left", "lines_right"))),
    "centre line removed": Way("lines", Change(hidden=("lines_centre",))),
    f"lane lines {SHIFT_M:g} m to the left": Way("lines", Change(shifted=("lines",), left=SHIFT_M)),
    "asphalt turned to meadow": Way("road", Change(painted=("meadow",))),
    ROAD: Way("road", Change(hidden=("lines",), painted=("meadow",))),
    f"road and lines {SHIFT_M:g} m to the left": Way("road", Change(shifted=("lines", *SURFACE), left=SHIFT_M)),
    VEGETATION: Way("vegetation", Change(hidden=("plant",))),
    "vegetation of another season": Way("vegetation", Change(painted=("leaf0", "leaf1"))),
    f"vegetation {SHIFT_M:g} m to the left": Way("vegetation", Change(shifted=("plant",), left=SHIFT_M)),
    "sky of another season": Way("sky", Change(painted=("sky",))),
    "meadow and hills of another season": Way("ground", Change(painted=("grass", "hills"))),
    "hills removed": Way("ground", Change(hidden=("ground_hills",))),
    "everything of another season": Way("season", Change(painted=("sky", "leaf0", "leaf1", "grass", "hills", "road"))),
    "vehicles removed": Way("vehicles", Change(hidden=("vehicle",))),
    "shadow across the road": Way("light", Change(shade=True)),
    "sun from the other side": Way("light", Change(sun_turned=True)),
    f"picture {1 - DARKER:.0%} darker": Way("image", gain=DARKER),
    "other noise": Way("image", Change(noise=1)),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What one way did at one moment: change of force [N] and curvature [1/m] after half a second, and ``at_once``,
    after one frame; ``altered`` is the share of what the network looks at that it changed. ``offset`` [m] of the car in
    its lane, ``gap`` [m] to what is ahead in it (None = nothing)."""

    scene: str
    seed: int
    moment: int
    way: str
    offset: float
    gap: float | None
    altered: float
    force: float
    curvature: float
    force_at_once: float
    curvature_at_once: float


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The ``effects`` in one world, and the pictures (H, W, 3) of its first moment by way."""

    effects: list[Effect]
    pictures: dict[str, NDArray[np.uint8]]


def look_into(job: Job) -> World:
    """Drive to each moment of a world and intervene there.

    Raises:
        TidegateError: the settings, the bundle or the scene is refused.
    """
    settings = prompt(load_settings(job.settings))
    bundle = Bundle.load(job.bundle, settings.vehicle.name)
    perception, policy = Perception(bundle, settings), LiquidPolicy(bundle, settings)
    copies = {name: LiquidPolicy(bundle, settings) for name in (INTACT, *WAYS)}
    rows = slice(*crop_rows(settings.camera.height, bundle.perception))
    random = np.random.default_rng([job.seed, 31])
    found: list[Effect] = []
    shown: dict[str, NDArray[np.uint8]] = {}
    with Simulator(settings, job.scene, job.seed) as simulator:
        for moment in range(job.moments):
            set_down(simulator, random)
            asked: dict[str, list[tuple[float, float]]] = {name: [] for name in copies}
            pictures: dict[str, NDArray[np.uint8]] = {}
            for number, glance in enumerate(islice(ride(simulator, perception, policy), WARM, WARM + BURST)):
                for name, own in copies.items():
                    if number == 0:
                        assert glance.before is not None
                        own.resume(*glance.before)
                    way = WAYS.get(name, Way(""))
                    image = simulator.restaged(way.change)
                    if way.gain != 1:
                        image = altered(image, brightness=0.0, gain=way.gain, blur=0.0, noise=0.0)
                    features = perception.process(Frame(glance.frame.stamp, image)).features
                    nominal = own.step(features, glance.odometry).nominal
                    asked[name].append((nominal.force, nominal.curvature))
                    pictures[name] = image
            shown = shown or pictures
            truth = simulator.truth()
            plain = pictures[INTACT][rows].astype(int)
            for name in WAYS:
                apart = np.abs(pictures[name][rows] - plain).max(axis=2) >= GREY
                change = np.subtract(asked[name], asked[INTACT])
                found.append(
                    Effect(
                        job.scene,
                        job.seed,
                        moment,
                        _called(name, job.scene),
                        truth.offset,
                        truth.gap if truth.gap_known else None,
                        float(apart.mean()),
                        *change[-1].tolist(),
                        *change[0].tolist(),
                    )
                )
    return World(found, shown)


def _called(way: str, scene: str) -> str:
    """Name of a way among the results: a truck and cars are told apart."""
    if WAYS[way].kind != "vehicles":
        return way
    return TRUCK if scene.startswith("truck") else CARS


def kind_of(way: str) -> str:
    """The kind of thing that a way among the results is about."""
    return WAYS[way].kind if way in WAYS else "vehicles"


def scales(bundle: Bundle, settings: str) -> tuple[float, float]:
    """Full scale of force [N] and curvature [1/m]: what a motor output of one asks for."""
    known = full_scales(bundle, load_settings(settings))
    return known["nominal.force"], known["nominal.curvature"]


def findings(effects: Sequence[Effect], full: tuple[float, float]) -> dict[str, Any]:
    """All figures, as plain values.

    ``ways``: one entry each, those first that move the command most: ``moments`` that counted in so many ``worlds``,
    ``altered`` share of the picture, and [mean, low, high] with a 95 % interval of the absolute change of ``force`` and
    ``curvature`` and of the mean of both (``command``), in % of full scale; ``curvature_signed`` keeps the sign.
    ``ratios``: the change by removing all vegetation over that by removing the lane lines, and over that by removing
    road and lines, at the moments where both are seen.
    """
    told: list[dict[str, Any]] = []
    for way in dict.fromkeys(one.way for one in effects):
        counted = [one for one in effects if one.way == way and one.altered >= VISIBLE]
        if not counted:
            continue
        worlds = [(one.scene, one.seed) for one in counted]
        late, early = _percent(counted, full), _percent(counted, full, at_once=True)
        told.append(
            {
                "way": way,
                "kind": kind_of(way),
                "moments": len(counted),
                "worlds": len(set(worlds)),
                "altered": float(np.mean([one.altered for one in counted])),
                "command": clustered(np.abs(late).mean(axis=1), worlds),
                "force": clustered(np.abs(late[:, 0]), worlds),
                "curvature": clustered(np.abs(late[:, 1]), worlds),
                "curvature_signed": clustered(late[:, 1], worlds),
                "command_at_once": clustered(np.abs(early).mean(axis=1), worlds),
            }
        )
    told.sort(key=lambda row: -row["command"][0])
    return {
        "full_scale": {"force [N]": full[0], "curvature [1/m]": full[1]},
        "ways": told,
        "ratios": {f"{VEGETATION} / {under}": _ratio(effects, full, VEGETATION, under) for under in (LINES, ROAD)},
    }


def _percent(effects: Sequence[Effect], full: tuple[float, float], *, at_once: bool = False) -> Floats:
    """Changes (M, 2) of force and curvature in % of full scale."""
    if at_once:
        values = [(one.force_at_once, one.curvature_at_once) for one in effects]
    else:
        values = [(one.force, one.curvature) for one in effects]
    scaled: Floats = 100 * np.array(values).reshape(-1, 2) / full
    return scaled


def _ratio(effects: Sequence[Effect], full: tuple[float, float], over: str, under: str) -> dict[str, Any] | None:
    """What one way does to what another does, at the moments where both are seen; None where there are none."""
    seen = [
        {(one.scene, one.seed, one.moment): one for one in effects if one.way == way and one.altered >= VISIBLE}
        for way in (over, under)
    ]
    both = sorted(seen[0].keys() & seen[1].keys())
    if not both:
        return None
    changes = [np.abs(_percent([one[key] for key in both], full)) for one in seen]
    table = np.concatenate([np.column_stack([one.mean(axis=1), one]) for one in changes], axis=1)
    means, drawn = table.mean(axis=0), resampled_means(table, [key[:2] for key in both])
    told: dict[str, Any] = {"moments": len(both)}
    for column, name in enumerate(("command", "force", "curvature")):
        if means[column + 3] > 0:
            low, high = np.quantile(drawn[:, column] / drawn[:, column + 3], (0.025, 0.975))
            told[name] = float(means[column] / means[column + 3]), float(low), float(high)
    return told
