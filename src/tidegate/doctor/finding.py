# SPDX-License-Identifier: Apache-2.0
"""What a check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """OK; WARN: it drives, but worse or without something; FAIL: it does not drive, or not safely."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: which ``check``, its ``verdict``, what was ``said``, and unless it is ok the ``remedy``."""

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""


def ok(check: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Verdict.OK, said)


def warn(check: str, said: str, remedy: str) -> Finding:
    """It drives, but not as well as it could."""
    return Finding(check, Verdict.WARN, said, remedy)


def fail(check: str, said: str, remedy: str) -> Finding:
    """It must be mended first."""
    return Finding(check, Verdict.FAIL, said, remedy)


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)
