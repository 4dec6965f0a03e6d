# SPDX-License-Identifier: Apache-2.0
"""The score by file and the survivors, with the reasons that are kept for them."""

from __future__ import annotations

from pathlib import Path

import yaml

from mutation.run import ARGUED, KILLED, LATE, NOT_RUN, UNCOVERED

Results = dict[str, list[dict[str, str]]]
"""By file: the mutants that were run, each with ``key``, ``line`` and ``status``."""
STATUS = {UNCOVERED: " (no test reaches it)", ARGUED: " (not run)"}
HEAD = """# Mutants

Made by `make mutants`; do not edit. `scripts/mutate.py` changes one place at a time in the safety room (what is
changed: `scripts/mutation/make.py`) and runs the tests that reach that line, those of more than a second left out. A
mutant that no test notices survives. Reasons are kept in `tests/safety/survivors.yaml`; a survivor without one is work
still to be done. What was not run on the present state of its file counts neither way, but
as a survivor where there is a reason for it.
"""


def reasons(path: Path) -> dict[str, dict[str, str]]:
    """By file, by mutant: why it may survive."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def survivors(results: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those that were run and that no test noticed."""
    return [result for result in results if result["status"] not in (KILLED, LATE, NOT_RUN)]


def score(results: list[dict[str, str]]) -> str:
    """Killed of all that were run, in words."""
    run = sum(result["status"] != NOT_RUN for result in results)
    killed = run - len(survivors(results))
    return f"{killed}/{run} ({100 * killed / run:.1f} %)" if run else "none run"


def page(results: Results, why: dict[str, dict[str, str]]) -> str:
    """docs/mutants.md."""
    everything = [result for part in results.values() for result in part]
    lines = [HEAD, "| file | killed | survive, argued | survive, not argued | not run |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, part in [*sorted(results.items()), ("all", everything)]:
        left = survivors(part)
        argued = sum(result["key"] in why.get(result["file"], {}) for result in left)
        waiting = sum(result["status"] == NOT_RUN for result in part)
        lines.append(f"| `{name}` | {score(part)} | {argued} | {len(left) - argued} | {waiting} |")
    for name, part in sorted(results.items()):
        left = survivors(part)
        if left:
            lines += ["", f"## {name}", ""]
        for result in left:
            reason = why.get(name, {}).get(result["key"])
            note = f": {reason}" if reason else " **(not argued)**"
            lines.append(f"- `{result['key']}`{STATUS.get(result['status'], '')}{note}")
    return "\n".join(lines) + "\n"
