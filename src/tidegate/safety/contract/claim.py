# SPDX-License-Identifier: Apache-2.0
"""What a barrier's docstring claims, and whether it says all that it must."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from tidegate.errors import ContractError
from tidegate.safety.barrier import Barrier

PARTS = {
    "h": r"\bh\W{0,2}\s*=",
    "its relative degree ('relative degree 0', '1' or '2')": r"[Rr]elative degree\s+[012]\b",
    "'Trusted inputs:'": r"Trusted inputs:",
    "'Guarantee:'": r"Guarantee:",
    "'Assumption:'": r"Assumption:",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """``degree``: 0 the rows are h itself, 1 they are ḣ, 2 they are ψ̇₁ with ψ₁ = ḣ + p₁ h; ``discrete``: they are
    h(next) ≥ (1 − p T) h."""

    degree: int
    discrete: bool


def claim_of(kind: type[Barrier]) -> Claim:
    """Read the docstring of a barrier type.

    Raises:
        ContractError: it lacks a part.
    """
    text = kind.__dict__.get("__doc__") or ""
    for part, pattern in PARTS.items():
        if not re.search(pattern, text):
            raise ContractError(f"{kind.__name__}: its docstring does not say {part}")
    degree = re.search(r"[Rr]elative degree\s+([012])(\s+in\s+discrete\s+time)?", text)
    assert degree is not None
    return Claim(int(degree[1]), degree[2] is not None)


def check_unit(kind: type[Barrier]) -> None:
    """The unit of its rows is said.

    Raises:
        ContractError: it is not.
    """
    if not kind.unit:
        raise ContractError(
            f"{kind.__name__}: 'unit' does not say what its rows compare ('1' where it has no dimension)"
        )


def check_parameters(kind: type[Barrier]) -> None:
    """Every parameter is declared with ``setting``, a number with its unit.

    Raises:
        ContractError: one is not.
    """
    for item in dataclasses.fields(kind.Parameters):
        limits = item.metadata.get("limits")
        if limits is None or not limits.doc:
            raise ContractError(f"{kind.__name__}: parameter '{item.name}' has no setting(default, unit, meaning)")
        if item.type in ("float", float) and not limits.unit:
            raise ContractError(f"{kind.__name__}: parameter '{item.name}' has no unit ('1' where it has no dimension)")
