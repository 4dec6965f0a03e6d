# SPDX-License-Identifier: Apache-2.0
"""Investigate one moment of a bag: everything that the page and the JSON beside it hold."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tidegate.bag import BagReader
from tidegate.bundle import Bundle, bundle_identity
from tidegate.errors import BagError, ImageError, TidegateError
from tidegate.evaluation.difference import Tolerances, against_record, agreement, compare, full_scales
from tidegate.evaluation.replay import Replay
from tidegate.evaluation.topics import FRAMES, LENS, Records
from tidegate.insight.comparison import INNER
from tidegate.insight.counterfactual import Course, drive_without, recorded_course, rerun_of
from tidegate.insight.in_words import finding_facts, listed
from tidegate.insight.intervention import Account, Facts, accounts
from tidegate.insight.moment import TRUTH, FrameView, Moment, observe
from tidegate.insight.moment_facts import moment_facts, roll_out_facts, what_if_facts
from tidegate.insight.moment_tree import tree_facts
from tidegate.insight.policy_tree import PolicyTree
from tidegate.insight.together import HORIZON_S, NOT_NEEDED, Finding, Watched, judged
from tidegate.insight.whatif import grid
from tidegate.insight.worlds import World, until_explained, worlds
from tidegate.liquid import LiquidPolicy, Wiring
from tidegate.perception import Perception
from tidegate.perception.saliency import overlay
from tidegate.robot import Car
from tidegate.robot.contract import contract_of, differences
from tidegate.settings import Settings, load_settings

WIDEST, WIDEST_ALTERED = 320, 160
"""Pictures on the page are at most so wide [px]; of altered ones there are hundreds."""
QUALITY = 72
"""Of their JPEG, 1 to 95."""

Told = Callable[[int, int], None]
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Question:
    """What to investigate: ``at_s`` [s] after the start of the ``bag``, ``window_s`` [s] around it.

    ``bundle`` and ``config`` are what drove, ``disable`` the parts that were switched off; ``asked``: the nominal
    commands are the bag's, somebody else than the policy asked. ``roll_out``: drive on without the row that acted.
    ``against``: another bundle to run on the same bag. ``tree``: of ``tidegate distil``, to tell the way through it.
    """

    bag: Path
    at_s: float
    window_s: float
    bundle: Path
    config: Path
    disable: frozenset[str] = frozenset()
    asked: bool = False
    roll_out: bool = True
    against: Path | None = None
    tree: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """``told`` as ``moment_page`` takes it, with the addresses (``data:``) of the pictures that go with it."""

    told: Facts
    frames: list[list[str]]
    altered: list[str]


def investigate(question: Question, told: Told = lambda done, total: None) -> Answer:
    """Replay the bag, watch the moment, try what-ifs, and drive on without the row that acted.

    Raises:
        BagError: the bag cannot be replayed, or the moment is not in it.
        BundleError, RobotError, SettingsError: the bundle, the robot or a setting is refused.
    """
    settings = load_settings(question.config)
    bundle, reader = Bundle.load(question.bundle, settings.vehicle.name), BagReader(question.bag)
    tree = None if question.tree is None else PolicyTree.load(question.tree, bundle.perception.preview_m)
    rival = None if question.against is None else Bundle.load(question.against, settings.vehicle.name)
    if rival is not None and not reader.held(FRAMES):
        raise BagError(f"{question.bag}: has no camera images; without them bundles make no difference")
    car = Car.from_settings(settings)
    moment = observe(
        reader,
        bundle,
        settings,
        question.at_s,
        question.window_s,
        disable=question.disable,
        asked=question.asked,
        told=told,
    )
    accounted = accounts(moment.active, moment.start, settings, car)
    facts = {
        "bag": question.bag.name,
        "bundle": bundle.name,
        "bundle_sha256": bundle_identity(question.bundle)[1],
        **moment_facts(moment, accounted, settings, car, Wiring.from_dict(bundle.wiring)),
        "replay": _replayed(reader, moment.replay, bundle, settings, question),
    }
    perception = _perception(bundle, settings, reader)
    altered: list[str] = []
    frame = moment.frame
    if frame is not None:
        odometry = None if question.asked else moment.odometry(frame.stamp)
        cells = grid(perception, LiquidPolicy(bundle, settings), frame, moment.before(frame), odometry)
        facts["what_if"] = what_if_facts(cells, settings)
        altered = [address(cell.image, WIDEST_ALTERED) for cell in cells]
        if tree is not None:
            facts["tree"] = tree_facts(tree, frame, moment.odometry(frame.stamp))
    row = _in_question(moment, accounted)
    if question.roll_out and row is not None and reader.held(TRUTH):
        facts["roll_out"] = _rolled(question, reader, settings, row, moment.replay.recorded[TRUTH])
    frames = [[address(one.frame.image, WIDEST), _seen(perception, one)] for one in moment.frames]
    if rival is not None:
        facts["against"], seen = _rival(question, rival, reader, settings, told, moment.replay.recorded)
        for mine, theirs in zip(frames, seen, strict=True):
            mine.append(theirs)
    return Answer(facts, frames, altered)


def _rival(
    question: Question, rival: Bundle, reader: BagReader, settings: Settings, told: Told, held: Records
) -> tuple[Facts, list[str]]:
    """The same moment with another bundle, and its saliency on each frame."""
    at, window, off = question.at_s, question.window_s, question.disable
    moment = observe(reader, rival, settings, at, window, disable=off, told=told, held=held)
    car, wiring = Car.from_settings(settings), Wiring.from_dict(rival.wiring)
    accounted = accounts(moment.active, moment.start, settings, car)
    assert question.against is not None
    name, sha = bundle_identity(question.against)
    same = name == bundle_identity(question.bundle)[0]
    facts = {
        "bundle": f"{name} ({sha[:8]})" if same else name,
        "bundle_sha256": sha,
        **moment_facts(moment, accounted, settings, car, wiring),
    }
    perception = _perception(rival, settings, reader)
    return facts, [_seen(perception, one) for one in moment.frames]


def _in_question(moment: Moment, accounted: list[Account]) -> Account | None:
    """The intervention at the moment; else the last one before it in the window, else the first one after."""
    at, begin, end = (moment.time(stamp) for stamp in (moment.at, moment.begin, moment.end))
    inside = [one for one in accounted if one.begin <= end and one.end >= begin]
    tick = moment.tick
    row = "" if tick is None else tick.tick.intervened
    now = [one for one in inside if one.begin <= at <= one.end]
    earlier = [one for one in inside if one.begin <= at]
    chosen = [one for one in now if one.row == row] or now or earlier
    return chosen[-1] if chosen else next(iter(inside), None)


def _rolled(question: Question, reader: BagReader, settings: Settings, one: Account, truth: dict[int, Any]) -> Facts:
    """The recorded drive, the same without the row, without those that act in its place, and without any row."""
    begin, every = one.first.stamp, frozenset(settings.safety.barriers)
    recorded = recorded_course(settings, truth, begin)
    courses: dict[str, Course | str] = {"recorded": recorded}
    driven: dict[frozenset[str], Course] = {}

    def made(
        names: frozenset[str], until_s: float, world: World | None = None, *, first: bool = False
    ) -> tuple[Course, Watched]:
        again = rerun_of(question.bag, reader.contract(), settings, question.config, question.bundle, question.disable)
        if isinstance(again, str):
            raise TidegateError(again)
        course = drive_without(settings, again, truth, begin, names, one.row, until_s, world, first)
        if isinstance(course, str):
            raise TidegateError(course)
        assert course.watched is not None
        return course, course.watched

    def drive(names: frozenset[str], *, until_s: float = HORIZON_S, first: bool = False) -> Watched:
        """To the end, whether or not the limit is broken ``first``: the page shows it."""
        driven[names], watched = made(names, until_s)
        return watched

    def in_world(world: World) -> Finding:
        def drive(names: frozenset[str], *, until_s: float = HORIZON_S, first: bool = False) -> Watched:
            return made(names, until_s, world, first=first)[1]

        return judged(one.row, every, drive(frozenset()), drive)

    if isinstance(recorded, str):
        return roll_out_facts(one.begin, one.row, courses, None)
    try:
        found = judged(one.row, every, drive(frozenset()), drive)
        if every not in driven:
            drive(every)
        other = found.verdict == NOT_NEEDED and worlds(one.kind, one.row, one.first.tick, one.first.inputs)
        told = until_explained(other or {}, in_world)
    except TidegateError as error:
        courses[f"without {one.row}"] = str(error)
        return roll_out_facts(one.begin, one.row, courses, None)
    courses["recorded"] = replace(recorded, watched=driven[frozenset()].watched)
    courses[f"without {one.row}"] = driven[frozenset([one.row])]
    if found.together and frozenset(found.together) != every:
        courses[f"without {listed(found.together)}"] = driven[frozenset(found.together)]
    courses["without any row"] = driven[every]
    return roll_out_facts(one.begin, one.row, courses, finding_facts(one.row, one.kind, found, told))


def _replayed(reader: BagReader, made: Replay, bundle: Bundle, settings: Settings, question: Question) -> Facts:
    """Whether what was run is what was recorded."""
    compared = compare(*against_record(made), full_scales(bundle, settings), made.start, Tolerances())
    found = [one for one in compared if not one.name.endswith(INNER)]
    other = differences(reader.contract(), contract_of(question.config, question.bundle))
    notes = [*reader.problems, *([other] if other else []), *(note.line(6) for note in made.notes)]
    return {"agreement": agreement(found), "notes": notes}


def _perception(bundle: Bundle, settings: Settings, reader: BagReader) -> Perception:
    """As it ran on the bag's pictures: by what the camera said of itself first."""
    perception = Perception(bundle, settings)
    for _, _, info in reader.messages([LENS] if reader.held(LENS) else []):
        perception.calibrate(info)
        break
    return perception


def _seen(perception: Perception, one: FrameView) -> str:
    """The picture with its saliency; alone where the network cannot take it."""
    try:
        return address(overlay(one.frame.image, perception.saliency(one.frame)), WIDEST)
    except ImageError:
        return address(one.frame.image, WIDEST)


def address(image: Picture, widest: int) -> str:
    """An image (H, W, 3) RGB as an address that holds it (``data:``), no wider than ``widest`` [px]."""
    height, width = image.shape[:2]
    if width > widest:
        image = np.asarray(cv2.resize(image, (widest, round(height * widest / width)), interpolation=cv2.INTER_AREA))
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
