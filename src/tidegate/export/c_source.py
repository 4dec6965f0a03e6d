# SPDX-License-Identifier: Apache-2.0
"""Numbers as C99 source text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 120
NUMBERS = {"float", "uint8_t", "uint16_t"}

Number = float | int | np.number[Any]
Nested = NDArray[Any] | Sequence[Any]


def literal(value: Number) -> str:
    """A number as C reads it back exactly: integers as they are, floats in single precision."""
    if isinstance(value, (int, np.integer)):
        return str(value)
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    digits = str(np.float32(value))  # the fewest digits that read back as the same number
    return f"{digits}F" if set(digits) & set(".e") else f"{digits}.0F"


def table(kind: str, name: str, values: Nested, storage: str = "") -> str:
    """A constant array: of numbers with the shape of ``values``, or of structures, a row each."""
    shape = np.shape(values) if kind in NUMBERS else (len(values),)
    sizes = "".join(f"[{size}]" for size in shape)
    return f"{storage}const {kind} {name}{sizes} = {{\n{_lines(values)}\n}};\n"


def _lines(values: Nested) -> str:
    """Elements, one row to a line where there are rows."""
    if isinstance(values[0], (Sequence, np.ndarray)):
        return textwrap.indent(",\n".join(_row(row) for row in values), "    ")
    return wrapped(", ".join(literal(value) for value in values))


def _row(values: Iterable[Any]) -> str:
    inner = ", ".join(_row(one) if isinstance(one, (Sequence, np.ndarray)) else literal(one) for one in values)
    return "{" + inner + "}"


def wrapped(words: str) -> str:
    """Indented lines, none too long."""
    return textwrap.fill(words, WIDTH, initial_indent="    ", subsequent_indent="    ")


def comment(words: str) -> str:
    """A comment, whatever ``words`` hold: a name that a user gave may contain the end of one."""
    harmless = words.replace("*/", "* /").replace("/*", "/ *")
    return textwrap.fill(f"/* {harmless} */", WIDTH, subsequent_indent="   ")


def defines(prefix: str, groups: Mapping[str, Mapping[str, object]]) -> str:
    """A header of constants, each group below its comment."""
    lines = [f"#ifndef {prefix}_SIZES_H", f"#define {prefix}_SIZES_H"]
    for words, group in groups.items():
        lines += ["", comment(words), *(f"#define {prefix}_{name} {value}" for name, value in group.items())]
    return "\n".join([*lines, "", "#endif", ""])
