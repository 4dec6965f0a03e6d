# SPDX-License-Identifier: Apache-2.0
"""Values of records as Markdown: short, and nothing of them acts as markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

UNKNOWN = "not in the record"


def told(value: Any) -> str:
    """A value of the record, short."""
    if value is None:
        return UNKNOWN
    if isinstance(value, dict):
        return ", ".join(f"{plain(str(key))} {told(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(told, value))}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return plain(value if isinstance(value, str) else json.dumps(value))


def plain(text: str) -> str:
    """One line without control characters, that ends no cell and begins no markup."""
    shown = "".join(one if one.isprintable() else " " for one in text)
    return re.sub(r"([\\`*<|\[])", r"\\\1", shown)


def bullets(*lines: str) -> str:
    """A list of ``lines``."""
    return "\n".join(f"- {line}" for line in lines)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of ``rows`` below ``heads``; cells as they are."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def seeds_told(seeds: Sequence[str]) -> str:
    """As a span where there are many."""
    numbers = sorted(int(seed) for seed in seeds if seed)
    if not numbers:
        return "–"
    if numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers)) if len(numbers) <= 4 else f"{len(numbers)} of {numbers[0]} to {numbers[-1]}"
