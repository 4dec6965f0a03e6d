# SPDX-License-Identifier: Apache-2.0
"""Saliency with figures: where it lies, whether the command depends on it, and whether noise changes it.

Deletion and insertion (Petsiuk et al. 2018, RISE) frame by frame: the most salient patches are blurred first, or are
the first to come back into a blurred picture; a map that is true moves the command, or restores it, sooner than patches
by chance. Only what the network looks at takes part, for chance too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.evaluation.difference import full_scales
from tidegate.insight.maps import Probe, blur, noisy, occlusion, ssim
from tidegate.insight.moments import WARM, Glance, Job, prompt, ride, set_down
from tidegate.insight.ranking import agreement
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Floats, Frame
from tidegate.settings import load_settings
from tidegate.simulation import Simulator

Image = NDArray[np.uint8]

BACKPROP, GRADIENTS, OCCLUSION = "VisualBackProp", "integrated gradients", "occlusion"
ELSEWHERE, CHANCE = "VisualBackProp of another moment", "by chance"
METHODS = (BACKPROP, GRADIENTS, OCCLUSION)
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Shares of what the network looks at that are blurred, or come back."""
SIDE = 4
"""Patches have this side [px]: single pixels hardly reach a strided CNN."""
DRAWS = 5
"""Orders by chance for each frame."""
VARIANCES = (0.1, 0.2, 0.3)
HORIZON_PX = 3.0
"""Rows up to this far from where a flat world would end count as horizon; it overlaps with the other classes."""
MATTERS = ("road", "lines", "horizon")


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One moment with all that it takes to ask about its picture; ``masks`` (H, W) by class."""

    glance: Glance
    masks: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One moment's figures by method.

    ``shares`` of the saliency and ``areas`` of what the network looks at, by class; ``deletion`` and ``insertion`` (F,)
    how far the command is from that on the real picture, in full scales, at each of ``FRACTIONS``; ``ssim`` with the
    map of the noisy picture, by variance, and with that of ``another moment``; ``agreement`` with occlusion, Spearman.
    """

    scene: str
    seed: int
    moment: int
    shares: dict[str, dict[str, float]]
    areas: dict[str, float]
    deletion: dict[str, Floats]
    insertion: dict[str, Floats]
    ssim: dict[str, dict[str, float]]
    agreement: dict[str, float | None]
    picture: Image
    maps: dict[str, NDArray[np.float32]]


def judge_world(job: Job) -> list[Judged]:
    """Drive to each moment of a world and judge the maps there.

    Raises:
        TidegateError: the settings, the bundle or the scene is refused; the camera is not the one of the bundle.
    """
    settings = prompt(load_settings(job.settings))
    bundle = Bundle.load(job.bundle, settings.vehicle.name)
    perception, policy = Perception(bundle, settings), LiquidPolicy(bundle, settings)
    if perception.rectifies:
        raise BundleError(f"bundle '{bundle.name}': was trained with another camera; saliency is judged in its picture")
    known = full_scales(bundle, settings)
    probe = Probe(bundle, perception, policy, (known["nominal.force"], known["nominal.curvature"]))
    random = np.random.default_rng([job.seed, 31])
    sights = []
    with Simulator(settings, job.scene, job.seed) as simulator:
        for _ in range(job.moments):
            set_down(simulator, random)
            for glance in islice(ride(simulator, perception, policy), WARM, WARM + 1):
                sights.append(Sight(glance, masks_of(simulator)))
    backprop = [perception.saliency(one.glance.frame).astype(np.float64) for one in sights]
    judged = []
    for number, (sight, own) in enumerate(zip(sights, backprop, strict=True)):
        other = backprop[(number + 1) % len(backprop)]
        judged.append(_judge(job, number, sight, own, other, probe, perception, random))
    return judged


def masks_of(simulator: Simulator) -> dict[str, NDArray[np.bool_]]:
    """What each pixel shows now, (H, W) by class, and where the horizon is."""
    masks = simulator.masks()
    rows = np.arange(len(masks["road"])) + 0.5
    band = np.abs(rows - simulator.horizon()) <= HORIZON_PX
    masks["horizon"] = np.broadcast_to(band[:, None], masks["road"].shape).copy()
    masks[" + ".join(MATTERS)] = np.any([masks[name] for name in MATTERS], axis=0)
    return masks


def _judge(
    job: Job,
    number: int,
    sight: Sight,
    own: Floats,
    other: Floats,
    probe: Probe,
    perception: Perception,
    random: np.random.Generator,
) -> Judged:
    glance, image = sight.glance, sight.glance.frame.image
    rows, command = probe.rows(image.shape[0]), probe.command(glance)
    maps = {BACKPROP: own, GRADIENTS: probe.gradients(glance, image)[0], OCCLUSION: occlusion(command, image, rows)}
    orders = {name: order(map_[rows]) for name, map_ in (maps | {ELSEWHERE: other}).items()}
    size = len(orders[BACKPROP])
    deleted, inserted = (
        {name: curve(command, image, rows, places, back=back) for name, places in orders.items()}
        | {CHANCE: np.mean([curve(command, image, rows, random.permutation(size), back=back) for _ in range(DRAWS)], 0)}
        for back in (False, True)
    )
    alike: dict[str, dict[str, float]] = {BACKPROP: {"another moment": ssim(own[rows], other[rows])}, GRADIENTS: {}}
    for variance in VARIANCES:
        worse = noisy(image, variance, number)
        again = perception.saliency(Frame(glance.frame.stamp, worse)).astype(np.float64)
        alike[BACKPROP][f"{variance:g}"] = ssim(own[rows], again[rows])
        again = probe.gradients(glance, worse)[0]
        alike[GRADIENTS][f"{variance:g}"] = ssim(maps[GRADIENTS][rows], again[rows])
    patchwise = {name: patches(map_[rows]).ravel() for name, map_ in maps.items()}
    return Judged(
        scene=job.scene,
        seed=job.seed,
        moment=number,
        shares={
            name: shares(map_[rows], {kind: one[rows] for kind, one in sight.masks.items()})
            for name, map_ in maps.items()
        },
        areas={kind: float(one[rows].mean()) for kind, one in sight.masks.items()},
        deletion=deleted,
        insertion=inserted,
        ssim=alike,
        agreement={name: agreement(patchwise[name], patchwise[OCCLUSION]) for name in (BACKPROP, GRADIENTS)},
        picture=image,
        maps={name: map_.astype(np.float32) for name, map_ in maps.items()},
    )


def shares(map_: Floats, masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, float]:
    """Share of the saliency (H, W) that lies on each class; NaN where there is none."""
    total = float(map_.sum())
    return {name: float(map_[mask].sum()) / total if total > 0 else float("nan") for name, mask in masks.items()}


def patches(map_: Floats) -> Floats:
    """Mean over patches (H / SIDE, W / SIDE)."""
    height, width = map_.shape[0] // SIDE, map_.shape[1] // SIDE
    means: Floats = map_[: height * SIDE, : width * SIDE].reshape(height, SIDE, width, SIDE).mean(axis=(1, 3))
    return means


def order(map_: Floats) -> NDArray[np.int64]:
    """Patches of a map, the most salient first."""
    return np.argsort(-patches(map_), axis=None, kind="stable")


def curve(
    command: Callable[[Image], Floats],
    image: Image,
    rows: slice,
    places: NDArray[np.int64],
    *,
    back: bool,
    fractions: Sequence[float] = FRACTIONS,
) -> Floats:
    """How far the command is from that on ``image`` with the first ``fractions`` of ``places`` blurred, (F,) in full
    scales; with ``back`` everything in ``rows`` is blurred but these."""
    gone, plain = blur(image), command(image)
    height, width = (rows.stop - rows.start) // SIDE, image.shape[1] // SIDE
    made = []
    for fraction in fractions:
        chosen = np.zeros(height * width, np.uint8)
        chosen[places[: max(1, round(fraction * len(places)))]] = 1
        blown = cv2.resize(chosen.reshape(height, width), None, fx=SIDE, fy=SIDE, interpolation=cv2.INTER_NEAREST)
        mask = np.zeros(image.shape[:2], bool)
        mask[rows.start : rows.start + height * SIDE, : width * SIDE] = (blown == 0) if back else (blown == 1)
        made.append(float(np.abs(command(np.where(mask[..., None], gone, image)) - plain).mean()))
    return np.array(made)
