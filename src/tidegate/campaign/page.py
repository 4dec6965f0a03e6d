# SPDX-License-Identifier: Apache-2.0
"""A campaign on one page."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from tidegate.attack.campaign import rate_bound
from tidegate.campaign.journal import DRIVEN, Entry
from tidegate.insight.page import Section, Tile, page, table

Row = Mapping[str, Any]
MOST_NAMED = 200
"""Episodes without a result that the page names."""
LONGEST = 200
"""Characters of an error."""


def campaign_page(rows: Sequence[Row], entries: Sequence[Entry]) -> str:
    """One page of the ``rows`` of the table and of the ``entries`` of the journal, which know what it took."""
    driven = [row for row in rows if row["status"] == DRIVEN]
    evaluated = [row for row in driven if row["what"] == "evaluate"]
    attacked = [row for row in driven if row["what"] == "attack"]
    missing = [row for row in rows if row["status"] != DRIVEN]
    hours, far = (sum(row[name] for row in driven) for name in ("duration_s", "distance_m"))
    tiles = [
        Tile(str(len(rows)), "episodes"),
        Tile(str(len(missing)), "without a result", not missing),
        Tile(f"{hours / 3600:.1f} h", "driven"),
        Tile(f"{far / 1000:.1f} km", "far"),
    ]
    if evaluated:
        done, hits = (sum(row[name] for row in evaluated) for name in ("completed", "collisions"))
        tiles += [Tile(f"{done}/{len(evaluated)}", "evaluations completed"), Tile(str(hits), "collisions", not hits)]
    if attacked:
        broken = sum(map(_unexcused, attacked))
        tiles += [Tile(f"{broken}/{len(attacked)}", "attacks broke a promise", not broken)]
    sections = [*_evaluations(evaluated), *_pairs(evaluated), *_attacks(attacked), *_missing(missing)]
    scenes = ", ".join(dict.fromkeys(row["scene"] for row in rows))
    return page("Campaign", f"{len(rows)} episodes on {scenes}", tiles, [*sections, _workers(entries)])


def _evaluations(rows: Sequence[Row]) -> Iterator[Section]:
    if not rows:
        return
    head = ("who, scene", "drives", "completed", "collisions", "limits", "wheel off", "lane max [m]", "gap min [m]")
    body = []
    for who, scene in product(_whos(rows), dict.fromkeys(row["scene"] for row in rows)):
        mine = [row for row in rows if (_who(row), row["scene"]) == (who, scene)]
        gaps = [row["min_gap_m"] for row in mine if row["min_gap_m"] is not None]
        sums = (sum(row[name] for row in mine) for name in ("completed", "collisions", "limit_violations"))
        off, lane = sum(row["off_road_s"] > 0 for row in mine), _largest(mine, "max_abs_lane_error_m")
        gap = f"{min(gaps):.1f}" if gaps else "–"
        body.append((f"{who}, {scene}", str(len(mine)), *map(str, sums), str(off), lane, gap))
    yield Section("Evaluations", "Closed loops, by who drives.", table(head, body))


def _pairs(rows: Sequence[Row]) -> Iterator[Section]:
    """Each bundle against the first, on the roads that both drove."""
    first, *others = _whos(rows) or ("",)
    won = {
        who: {(row["scene"], row["seed"]): row["completed"] for row in rows if _who(row) == who}
        for who in (first, *others)
    }
    body = []
    for other in others:
        counts = Counter((won[first][road], won[other][road]) for road in won[first].keys() & won[other].keys())
        lost, gained = counts[True, False], counts[False, True]
        figures = (counts[True, True], lost, gained, counts[False, False])
        body.append((other, *map(str, figures), f"{sign_test(lost, gained):.2g}"))
    if body:
        note = (
            f"Roads by who completed them, with {first} as the first. p: chance of so uneven a split of the roads that "
        )
        note += "one alone completed, if neither were better (sign test, two-sided)."
        yield Section(
            "Bundles compared", note, table(("against", "both", "only the first", "only it", "neither", "p"), body)
        )


def _attacks(rows: Sequence[Row]) -> Iterator[Section]:
    if not rows:
        return
    body = []
    for scene, adversary in product(*(dict.fromkeys(row[name] for row in rows) for name in ("scene", "adversary"))):
        mine = [row for row in rows if (row["scene"], row["adversary"]) == (scene, adversary)]
        if mine:
            excused = sum(row["violations"] != "{}" and not _unexcused(row) for row in mine)
            counts = (len(mine), sum(map(_unexcused, mine)), excused)
            body.append((f"{adversary}, {scene}", *map(str, counts), f"{min(row['margin'] for row in mine):.2f}"))
    bound = rate_bound(sum(map(_unexcused, rows)), len(rows))
    note = f"Hostile drives. With 95 % confidence fewer than {bound:.2%} of such episodes break what is promised. "
    note += "Excused: after a stated assumption had been broken. Margin: the least that was left of a reserve."
    yield Section("Attacks", note, table(("who, scene", "episodes", "broke", "excused", "margin"), body))


def _missing(rows: Sequence[Row]) -> Iterator[Section]:
    if rows:
        body = [(row["key"], row["status"], row["error"][:LONGEST]) for row in rows[:MOST_NAMED]]
        note = "Failed: the episode raised an error. Poisoned: each worker that had it died."
        if len(rows) > MOST_NAMED:
            note += f" The first {MOST_NAMED} of {len(rows)}; the table has all."
        yield Section("Episodes without a result", note, table(("episode", "status", "why"), body))


def _workers(entries: Sequence[Entry]) -> Section:
    """What the journal knows and the table does not: it is another each time."""
    nodes = Counter(entry.worker.rpartition(" ")[0] for entry in entries if entry.worker)
    held = {node: {entry.worker for entry in entries if entry.worker.rpartition(" ")[0] == node} for node in nodes}
    spent = {node: sum(one.wall_s for one in entries if one.worker in held[node]) / 3600 for node in nodes}
    body = [(node, str(len(held[node])), str(count), f"{spent[node]:.2f}") for node, count in nodes.most_common()]
    again = sum(entry.attempts - 1 for entry in entries)
    note = f"Processes that drove, episodes, and hours by the clock. {again} times an episode went to another worker, "
    note += "because the one that had it died."
    return Section("Workers", note, table(("machine", "processes", "episodes", "hours"), body))


def sign_test(one: int, other: int) -> float:
    """Two-sided p of ``one`` against ``other`` wins, if each were as likely (McNemar's exact test)."""
    count = one + other
    tail = sum(math.comb(count, k) for k in range(min(one, other) + 1))
    return min(1.0, float(2 * tail / 2**count))


def _whos(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(map(_who, rows)))


def _who(row: Row) -> str:
    return str(row["bundle"] or row["driver"])


def _unexcused(row: Row) -> bool:
    """Whether a promise was broken and no assumption before it; ``violations`` is JSON of assumptions by kind."""
    found = json.loads(row["violations"])
    return bool(found) and not all(found.values())


def _largest(rows: Sequence[Row], name: str) -> str:
    return f"{max(row[name] for row in rows):.2f}"
