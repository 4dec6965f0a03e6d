# SPDX-License-Identifier: Apache-2.0
"""Write the page from the figures that were kept; a case that was not run has no table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import Case
from learn import Method

HEAD = """# BarrierNet's published cases

Made by `make examples` (`python examples/barriernet/run.py`) from its own runs. Only the figures of Xiao et al.,
"BarrierNet: Differentiable Control Barrier Functions for Learning of Safe Robot Control" (T-RO 2023, code
`Weixy21/BarrierNet`), are quoted, and named as theirs. Every method imitates the same expert, is trained from nothing,
and solves through `tidegate.safety.qp_layer`; the network is of their size (128, 32 and 32 units).

| method | row | gains |
| --- | --- | --- |
| plain network | none | none |
| fixed-gain CBF-QP after the plain network | textbook, not in training | constant |
| fixed-gain HOCBF layer | textbook, trained through | constant |
| BarrierNet as published | textbook, trained through | all learned, in (0, 4) 1/s |
| BarrierNet, ours | with a reserve for the limited brake and a margin for the hold between ticks | outermost learned |

*Textbook*: b̈ + (p₁ + p₂) ḃ + p₁ p₂ b ≥ 0, or ḃ + p b ≥ 0, at the tick. *Ours*: the programme is solved, its command
held on the model under the stated worst case, what ψ(τ) ≥ (1 − p τ) ψ(0) lacked goes into the margin, and it is solved
again until nothing lacks. Commands are held for 0.1 s; b is judged five times a tick, for every method. All start where
b and ψ are ≥ 0 and, where the brake is limited, where full braking is enough; from elsewhere no method can be safe.
Where the input is limited, so is every method's programme.

The expert goes through our programme with constant gains (p₁ as ours, the outermost {gain:g} 1/s), so ours can imitate
it best; the published layer could learn nearly the same gains. Near the limit is where it wants to be: it shows what
each row is worth there.

*Crashed*: runs with contact. *b < 0*: runs in which the barrier was broken, by however little. Both with the two-sided
Clopper–Pearson interval at 95 %. *Min b, median*: how near to the limit a run came; near 0 is not conservative.
*Behind*: way lost against the expert, median and 95 % quantile. *Effort*: ∫‖u‖² dt over the expert's, median. *Rows not
met*: ticks at which the programme had no solution (the fallback, braking, was used), or whose hold was not verified.
"""


def write(page: Path, figures: Path, pictures: Path, cases: Sequence[Case]) -> None:
    """Write ``page``; ``figures`` holds one JSON file per case, ``pictures`` one PNG."""
    paths = {case: figures / f"{case.name}.json" for case in cases}
    records = {case: json.loads(path.read_text("utf-8")) for case, path in paths.items() if path.exists()}
    where = pictures.relative_to(page.parent).as_posix()
    parts: list[str] = []
    for case, record in records.items():
        parts = parts or [HEAD.format(gain=record["expert_gain"]), seeds(record)]
        parts.append(section(case, record, where))
    parts.append(dip_section(json.loads((figures / "dips.json").read_text("utf-8")), where))
    page.write_text("\n".join(parts), encoding="utf-8")


def seeds(record: dict[str, Any]) -> str:
    """What chance decided, and how much was learned from."""
    seed = record["seeds"]
    return (
        f"Seeds: demonstrations {seed['demonstrations']}, training {seed['training']}, starts {seed['starts']}; one "
        f"training of each. {record['samples']} samples from {record['demonstrations']} demonstrations, "
        f"{record['epochs']} epochs, one thread of a shared machine.\n"
    )


def section(case: Case, record: dict[str, Any], where: str) -> str:
    """Picture and tables of one case."""
    shown, rows = [], []
    for name, found in {"expert": record["expert"], **record["methods"]}.items():
        title = name if name == "expert" else Method[name].value
        shown.append((title, *(signed(value) for value in found["shown"])))
        rows.append(
            (
                title,
                rate(found, "crashed"),
                rate(found, "broken"),
                signed(found["lowest"]),
                signed(found["median"]),
                f"{found['behind_m']:+.2f}, {found['behind_m_95']:+.2f}",
                f"{found['effort']:.2f}",
                found["unsure_ticks"],
                f"{found['seconds']:.0f}" if "seconds" in found else "",
            )
        )
    least = f"least b [{case.unit}]"
    head = ("method", "crashed", "b < 0", least, "min b, median", "behind [m]", "effort", "rows not met", "trained [s]")
    parts = [
        f"## {case.title[0].upper()}{case.title[1:]}",
        case.reference,
        constants(case),
        f"![{case.title}]({where}/{case.name}.png)",
        table(("min b", *case.shown()), shown),
        f"{record['expert']['runs']} random starts:",
        table(head, rows),
        f"*{record['date']}*\n",
    ]
    return "\n\n".join(part for part in parts if part)


def constants(case: Case) -> str:
    """The gains that are not learned."""
    fixed = " and ".join(f"{gain:g}" for gain in case.fixed)
    ours = f"; of ours p₁ = {case.inner:g} 1/s" if case.degree == 2 else ""
    return f"Constant gains: {fixed} 1/s{ours}."


def dip_section(record: dict[str, Any], where: str) -> str:
    """The two dips of the sampled textbook barrier."""
    rows = [(name, f"{found['textbook']:+.5f}", f"{found['ours']:+.5f}") for name, found in record.items()]
    return (
        "## Where the textbook barrier dips\n\nMerging from the published start without a network: the wish is 1 m/s² "
        "all along. The row holds at every tick where it can, and b still falls below 0: between ticks, and where the "
        f"brake is limited.\n\n![dips]({where}/dips.png)\n\n{table(('min b [m]', 'textbook', 'ours'), rows)}\n"
    )


def signed(value: float) -> str:
    """Four digits, or as many as show on which side of 0 it is."""
    return f"{value:+.4f}" if abs(value) >= 1e-4 else f"{value:+.0e}"


def rate(found: dict[str, Any], what: str) -> str:
    """A count with its interval."""
    low, high = (f"{100 * end:.1f}" for end in found[f"{what}_interval"])
    return f"{found[what]}/{found['runs']} ({low}–{high} %)"


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
