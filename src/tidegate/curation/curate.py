# SPDX-License-Identifier: Apache-2.0
"""From bags to a plan: one pass over each, then a choice among all windows by what was kept of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tidegate.bag import Drive
from tidegate.bag.reader import AS_IT_IS
from tidegate.curation.look import look
from tidegate.curation.plan import Plan, PlannedBag
from tidegate.curation.rules import Rules
from tidegate.curation.select import select
from tidegate.curation.split import HELD_SHARE, split
from tidegate.curation.windows import WindowTable, joined, windows_of
from tidegate.errors import BagError
from tidegate.robot import Car
from tidegate.settings import Settings

Heard = Callable[[Path, str], None]
"""Told of each bag that was read, and why it is refused; empty = it is not."""


class Seen:
    """What one pass over each of ``bags`` found.

    Attributes:
        bags, hashes: those that are time series, in the order given; ``tables`` their windows.
        refused: the others, and why.
    """

    def __init__(
        self,
        bags: Sequence[Path],
        settings: Settings,
        rules: Rules,
        cache: Path | None = None,
        remap: Mapping[str, str] = AS_IT_IS,
        heard: Heard = lambda path, why: None,
        keep: Callable[[Drive], None] = lambda drive: None,
    ) -> None:
        """Read them.

        Args:
            bags: as ``bags_in`` finds them.
            settings: of the robot.
            rules: what rules a window out.
            cache, remap: as ``kept_drive`` takes them.
            heard: told of each bag.
            keep: sees each drive that is a time series, pictures as ``Glance`` makes them.

        Raises:
            BagError: none is a time series.
        """
        self.bags: list[Path] = []
        self.hashes: list[str] = []
        self.tables: list[WindowTable] = []
        self.refused: dict[Path, str] = {}
        mass = Car.from_settings(settings).effective_mass
        for path in bags:
            try:
                drive, digest = look(path, settings.perception, cache, remap)
            except BagError as error:
                self.refused[path] = str(error)
                heard(path, str(error))
                continue
            self.tables.append(windows_of(drive, len(self.bags), rules, settings.perception, mass))
            self.bags.append(path)
            self.hashes.append(digest)
            keep(drive)
            heard(path, "")
        if not self.bags:
            raise BagError(f"none of {len(bags)} bag(s) can be used; the first: {next(iter(self.refused.values()))}")

    def table(self) -> WindowTable:
        """The windows of all bags."""
        return joined(self.tables)

    def names(self) -> list[str]:
        """What the bags are called, on one line: the folder's name, with its parent's where two have the same."""
        count = Counter(path.name for path in set(self.bags))
        names = (path.name if count[path.name] == 1 else f"{path.parent.name}/{path.name}" for path in self.bags)
        return ["".join(one if one.isprintable() else "?" for one in name) for name in names]


def curate(
    seen: Seen,
    rules: Rules,
    budget_s: float,
    seed: int = 0,
    held_share: float = HELD_SHARE,
    remap: Mapping[str, str] = AS_IT_IS,
) -> Plan:
    """Choose windows that last no longer than ``budget_s`` [s] in all; the same of everything gives the same plan.

    Args:
        seen: the bags.
        rules: with which they were seen.
        budget_s: longest that all that is kept may last.
        seed: chooses the bags that are held out.
        held_share: of the bags that are held out to measure the training, at least one of several; 0 = none. A bag that
            was given twice is never among them.
        remap: with which they were seen.

    Raises:
        BagError: nothing can be kept.
    """
    once = [path for path, digest in zip(seen.bags, seen.hashes, strict=True) if seen.hashes.count(digest) == 1]
    held = set(split(once, held_share, seed)[1]) if held_share else set()
    tables = [held_out(table) if path in held else table for path, table in zip(seen.bags, seen.tables, strict=True)]
    table = joined(tables)
    verdicts = iter(select(table, budget_s, rules, seen.names()))
    bags = tuple(
        PlannedBag(path, digest, path in held, {int(frame): next(verdicts) for frame in one.frame})
        for path, digest, one in zip(seen.bags, seen.hashes, tables, strict=True)
    )
    plan = Plan(budget_s, seed, rules, remap, bags, seen.refused)
    if not plan.counts().get("kept"):
        told = ", ".join(f"{count} {name}" for name, count in plan.counts().items())
        raise BagError(f"nothing can be kept of {len(seen.bags)} bag(s) and {len(table)} windows: {told}")
    return plan


def held_out(table: WindowTable) -> WindowTable:
    """The windows of a bag that measures."""
    return replace(table, ruled_out=("held: its bag measures the training",) * len(table))
