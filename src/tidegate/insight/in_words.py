# SPDX-License-Identifier: Apache-2.0
"""Which rows kept a limit, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tidegate.insight.limits import BROKEN, MARGINS
from tidegate.insight.together import BACKED, CAUSED, HORIZON_S, NOT_NEEDED, WORSE_OFF, Finding
from tidegate.insight.worlds import BOTH, BOUND, WISH

WHERE = {
    (BOUND, "lane"): "the lane estimate errs by its stated bounds and the car is farther out than was seen",
    (BOUND, "edge"): "the lane estimate errs by its stated bounds and the car is farther out than was seen",
    (BOUND, "distance"): "all others stop at once",
    (WISH, ""): "the policy goes on asking for the same",
}
"""By kind of world and type of barrier what is otherwise in it; '' = of every type."""


def finding_facts(
    row: str, kind: str, found: Finding, worlds: Mapping[str, Finding] = MappingProxyType({})
) -> dict[str, Any]:
    """What was found of an intervention of ``row``, a barrier of the type ``kind``, as plain values; the rows without
    which its limit is broken, and when [s]; the same in ``worlds`` that the row counts with."""
    told = _facts(row, kind, found)
    told["worlds"] = [_facts(row, kind, one) | {"world": name} for name, one in worlds.items()]
    return told | {"sentence": kept_by(told)}


def _facts(row: str, kind: str, found: Finding) -> dict[str, Any]:
    alone = (row,) if found.after_s is not None else ()
    return {
        "row": row,
        "type": kind,
        "verdict": found.verdict,
        "rows": list(found.together or alone),
        "after_s": found.after_s if found.together_s is None else found.together_s,
        "by_itself": found.by_itself,
        "in_its_place": list(found.others),
        "another_limit": list(found.also),
        "horizon_s": HORIZON_S,
    }


def kept_by(told: Mapping[str, Any]) -> str:
    """A few sentences; every number is one of ``told``, which is as ``finding_facts`` makes it."""
    row, kind, verdict, after = told["row"], told["type"], told["verdict"], told["after_s"]
    broken = BROKEN.get(kind, f"h of {row} is below 0")
    if verdict == CAUSED:
        return f"Without {row} {broken} {after:.1f} s later; with it that is not so."
    if verdict == BACKED and after is not None:
        rows = told["rows"]
        own = "it is kept" if told["by_itself"] else f"it is broken all the same, so {listed(rows[1:])} kept it"
        both = "both" if len(rows) == 2 else f"all {len(rows)}"
        return (
            f"{listed(rows)} rows: without {both} {broken} {after:.1f} s later, without {row} alone that is not so; "
            f"with {row} put back {own}."
        )
    if verdict == BACKED:
        return f"Other rows than {row} keep its limit here; which of them was not found."
    if verdict == NOT_NEEDED:
        margin = MARGINS.get(kind, "what its h foresees")
        another = told["another_limit"]
        also = f" Without {row} the limit of {listed(another)} is broken." if another else ""
        return (
            f"{row} left a margin for {margin}: in this roll-out its limit would not have been broken without any row, "
            f"for {told['horizon_s']:.0f} s or to the end of the drive.{also}{_elsewhere(told, broken)}"
        )
    worse = "further without it" if verdict == WORSE_OFF else "about as far without it"
    return f"With {row} too {broken}, {worse}."


def _elsewhere(told: Mapping[str, Any], broken: str) -> str:
    """What comes of it in the worlds that the row counts with: the first in which rows keep it, else that there is
    none."""
    kind = told["type"]
    for one in told["worlds"]:
        if one["verdict"] in (CAUSED, BACKED) and one["rows"]:
            rows = f"{listed(one['rows'])}{' together' * (len(one['rows']) > 1)}"
            where, after = _where(one["world"], kind), one["after_s"]
            return f" Where {where}, {broken} {after:.1f} s later without {rows}, and not with all rows."
    kept = " nor where ".join(_where(one["world"], kind) for one in told["worlds"] if one["verdict"] == NOT_NEEDED)
    return f" Neither is it where {kept}." if kept else ""


def _where(world: str, kind: str) -> str:
    parts = [words for (name, of), words in WHERE.items() if of in ("", kind) and (name == world or world == BOTH)]
    return " and ".join(parts)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
