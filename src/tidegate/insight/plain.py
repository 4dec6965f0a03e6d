# SPDX-License-Identifier: Apache-2.0
"""Plain values, as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

DIGITS = 7
"""Significant digits that are kept of a number."""


def fixed(value: float, digits: int) -> str:
    """``value`` with so many digits behind the point and a true minus; a zero has no sign."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def plain(value: Any) -> Any:
    """``value`` as JSON has it: rounded to ``DIGITS``, what is not finite as None, enumerations by name."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None
