# SPDX-License-Identifier: Apache-2.0
"""What an arm's perception made of its pictures: where it says goal and obstacle are, and where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BagError
from tidegate.insight import attribution, charts
from tidegate.insight.arm.drive import ArmDrive
from tidegate.insight.explain import faithfulness, overlay
from tidegate.insight.page import Section, gallery, picture
from tidegate.insight.plain import fixed, plain
from tidegate.perception.sight import Sight
from tidegate.perception.sight_maps import SightMaps
from tidegate.records import Floats
from tidegate.simulation.arm.furniture import pixels

MOMENTS = 6
"""Pictures that are shown."""
JUDGED = 24
"""Pictures, spread over the drive, on which saliency is judged."""
TOUCHES = 0.5
"""Force [N] from which on it touches."""
THERE = 0.5
"""What the perception must say of an obstacle for it to count as seen."""
ALIKE_MM = 1.0
"""Farther apart than this, what is seen now and what was recorded are of two bundles."""
SCALE = 2
"""Pixels on the page per pixel of a picture."""
GOAL, OBSTACLE, TOOL = (11, 110, 143), (200, 68, 47), (28, 43, 51)
"""Colours of the marks, RGB."""

Image = NDArray[np.uint8]


def seen_section(drive: ArmDrive) -> Section | None:
    """The way from the tool to the goal that is seen, and the obstacle; None = nothing was seen."""
    if len(drive.seen) < 2:
        return None
    tool = drive.tool.place[[drive.tick_at(time) for time in drive.seen_time]]
    way: Floats = 1e3 * (drive.seen[:, :3] - tool)
    body = charts.series(
        [(f"{axis}, tool to goal", drive.seen_time, way[:, index]) for index, axis in enumerate("xyz")], "[mm]"
    )
    there = [("an obstacle is there", drive.seen_time, drive.seen[:, 7])]
    body += charts.series(there, "from 0 to 1", height=1.6, limit=THERE)
    last = np.flatnonzero(np.isfinite(way).all(axis=1))[-1:]
    facts = {
        "pictures": len(drive.seen),
        "not_to_be_trusted": int((~np.isfinite(drive.seen)).any(axis=1).sum()),
        "obstacle_in_pictures": int((drive.seen[:, 7] > THERE).sum()),
        "last_way_mm": float(np.linalg.norm(way[last[0]])) if len(last) else None,
    }
    note = (
        f"Perception told of {facts['pictures']} pictures where goal and obstacle are; "
        f"{facts['not_to_be_trusted']} were not to be trusted, an obstacle was seen in {facts['obstacle_in_pictures']}."
    )
    note += " Above the dashed line it counts as seen on this page; the policy counts with any share."
    if facts["last_way_mm"] is not None:
        note += f" In the last the goal was {facts['last_way_mm']:.1f} mm from the tool."
    return Section("What it sees", note, body, facts)


def sight_sections(drive: ArmDrive, bundle: Bundle) -> list[Section]:
    """Typical moments with what was seen in them, and where ``bundle``'s network looks with its faithfulness; none
    where there are no pictures of which something was told.

    Raises:
        BagError: the pictures are of another size than the bundle's; BundleError: as ``SightMaps``.
    """
    told = dict(zip(drive.seen_time.tolist(), drive.seen, strict=True))
    usable = [place for place, time in enumerate(drive.image_time.tolist()) if time in told]
    if not usable:
        return []
    size = bundle.perception.input_height, bundle.perception.input_width
    kept = [place for place in usable if drive.images[place].shape == (*size, 3)]
    if not kept:
        height, width = drive.images[usable[0]].shape[:2]
        raise BagError(
            f"{drive.name}: its pictures are {width} × {height} px; bundle '{bundle.name}' was trained with "
            f"{size[1]} × {size[0]} px (--bundle names another)"
        )
    look = SightMaps(bundle)
    return [_moments(drive, kept, told, bundle, look), _saliency(drive, kept, bundle, look)]


def moments(drive: ArmDrive, places: Sequence[int]) -> list[tuple[int, str]]:
    """At most ``MOMENTS`` of the pictures at ``places``, in the order of time, and why each."""
    times = drive.image_time[list(places)]
    tool, changed = drive.tool, np.linalg.norm((drive.allowed - drive.wanted) / drive.arm.effort, axis=1)
    changed[drive.row == ""] = np.nan
    wanted: list[tuple[float, str]] = [(times[0], "the first picture"), (times[-1], "the last")]
    touching = np.flatnonzero(tool.force > TOUCHES)
    if len(touching):
        wanted.append((drive.time[touching[0]], "it touches"))
    if np.isfinite(changed).any():
        peak = int(np.nanargmax(changed))
        wanted.append((drive.time[peak], f"{drive.row[peak]} changes the torques most"))
    if np.isfinite(tool.speed).any():
        wanted.append((drive.time[int(np.nanargmax(tool.speed))], "the tool is fastest"))
    if len(touching):
        wanted.append((drive.time[int(np.nanargmax(tool.force))], "it presses hardest"))
    found: dict[int, list[str]] = {}
    for time, why in wanted[:MOMENTS]:
        place = places[max(int(np.searchsorted(times, time + 1e-9, side="right")) - 1, 0)]
        found.setdefault(place, []).append(why)
    return [(place, ", ".join(found[place])) for place in sorted(found)]


def _moments(
    drive: ArmDrive, places: Sequence[int], told: dict[float, Floats], bundle: Bundle, look: SightMaps
) -> Section:
    again, figures, facts = Sight(bundle), [], []
    apart = 0.0
    for place, why in moments(drive, places):
        time, image = float(drive.image_time[place]), drive.images[place]
        seen, tool = told[time], drive.tool.place[drive.tick_at(time)]
        if np.isfinite(seen).all():
            apart = max(apart, 1000 * float(np.linalg.norm(again(image)[:3] - seen[:3])))
        one = _told(time, why, seen, tool, drive.doubts.get(time, ()))
        facts.append(one)
        marked = overlay(image, look(image).astype(np.float64), SCALE)
        if drive.simulated:
            _mark(marked, image.shape, seen, tool)
        figures.append(([picture(marked, f"camera image at {time:.2f} s, {why}")], _caption(one)))
    note = "Amber is what the camera network looks at (VisualBackProp)."
    if drive.simulated:
        note += (
            " Where goal (blue ring) and obstacle (red square) are by the perception, and the tool (dark dot) by the "
            "joints, is drawn as the embedded world's camera shows it."
        )
    if apart > ALIKE_MM:
        note += (
            f" Bundle {bundle.name} sees the goal up to {apart:.1f} mm from where the bag has it: another one drove, "
            "and amber is not of that."
        )
    return Section("Typical moments", note, gallery(figures), plain({"pictures": facts, "bundle_apart_mm": apart}))


def _told(time: float, why: str, seen: Floats, tool: Floats, doubts: Sequence[str]) -> dict[str, Any]:
    there = bool(seen[7] > THERE)
    return {
        "time_s": time,
        "why": why,
        "goal_m": seen[:3],
        "goal_extent_m": seen[3],
        "obstacle": seen[7],
        "obstacle_m": seen[4:7] if there else None,
        "tool_m": tool,
        "way_mm": 1000 * np.linalg.norm(seen[:3] - tool),
        "doubts": list(doubts),
    }


def _caption(one: dict[str, Any]) -> str:
    if not np.isfinite(one["goal_m"]).all():
        return f"{one['time_s']:.2f} s, {one['why']}: the picture is not to be trusted ({'; '.join(one['doubts'])})"
    way = f", {one['way_mm']:.0f} mm from the tool" if np.isfinite(one["way_mm"]) else ""
    thing = "none" if one["obstacle_m"] is None else f"at ({_place(one['obstacle_m'])}) m"
    return (
        f"{one['time_s']:.2f} s, {one['why']}: goal at ({_place(one['goal_m'])}) m{way}; "
        f"obstacle {thing} ({fixed(one['obstacle'], 2)})"
    )


def _place(place: Floats) -> str:
    return ", ".join(fixed(value, 3) for value in place)


def _mark(image: Image, shape: tuple[int, ...], seen: Floats, tool: Floats) -> None:
    """Draw into ``image``, which is ``SCALE`` times a picture of that ``shape``."""
    drawn = [(GOAL, seen[:3]), (TOOL, tool)] + ([(OBSTACLE, seen[4:7])] if seen[7] > THERE else [])
    for colour, place in drawn:
        if not np.isfinite(place).all():
            continue
        x, y = (round(value) for value in SCALE * pixels(place, shape[1], shape[0]))
        for shade, width in (((255, 255, 255), 4), (colour, 2)):
            if colour == GOAL:
                cv2.circle(image, (x, y), 9, shade, width, cv2.LINE_AA)
            elif colour == OBSTACLE:
                cv2.rectangle(image, (x - 8, y - 8), (x + 8, y + 8), shade, width, cv2.LINE_AA)
            else:
                cv2.circle(image, (x, y), width, shade, cv2.FILLED, cv2.LINE_AA)


def _saliency(drive: ArmDrive, places: Sequence[int], bundle: Bundle, look: SightMaps) -> Section:
    """How faithful the maps are, on pictures spread over the drive."""
    chosen = [places[index] for index in np.unique(np.linspace(0, len(places) - 1, JUDGED).round().astype(int))]
    images = [drive.images[place] for place in chosen]
    maps = [look(image).astype(np.float64) for image in images]
    sight = Sight(bundle)
    assert bundle.tool is not None, "SightMaps takes an arm's bundles alone"
    unit = bundle.tool.place

    def read(image: Image) -> Floats:
        return sight(image).astype(np.float64)

    result = faithfulness(read, images, maps, np.array([unit] * 7 + [1.0]))
    note = (
        "VisualBackProp, with the shares that the head reads of the last maps in the place of a last ReLU. Painting "
        f"out the most salient patches first moves what is seen {result.advantage:.2f} times as far as painting out "
        f"patches by chance ({len(images)} pictures of this drive; 1 = no better than chance). A place counts in "
        f"units of {unit:g} m, whether there is an obstacle from 0 to 1."
    )
    facts = {
        "advantage": result.advantage,
        "images": len(images),
        "unit_m": unit,
        "painted_out": result.fractions,
        "moved_salient_first": result.salient,
        "moved_by_chance": result.random,
    }
    body = attribution.chart(result, f"{unit:g} m")
    return Section("What the camera network looks at", note, body, plain(facts))
