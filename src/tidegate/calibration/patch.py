# SPDX-License-Identifier: Apache-2.0
"""The settings as measured, to be merged into the robot's file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from tidegate.calibration.estimate import Estimate
from tidegate.calibration.findings import Finding, Verdict, told
from tidegate.settings import Settings, entries
from tidegate.settings.schema import check, put


def settings_patch(findings: Sequence[Finding], settings: Settings) -> str:
    """A ROS parameter file with the settings that were judged: as they are where they are safe, else as measured (the
    worst end of the interval); each with what was measured. What another value would not mend is left out.
    ``findings`` may be of several recordings.

    Raises:
        SettingsError: a measured value is outside what the setting may be.
    """
    known = {entry.key: entry for entry in entries(settings)}
    values: dict[str, Any] = {}
    notes = []
    for finding in findings:
        measured = finding.measured
        if not finding.key or not isinstance(measured, Estimate):
            continue
        notes.append(f"# {finding.key}: {finding.quantity} {told(measured)} {finding.unit}, {finding.verdict.value}")
        value = values.get(finding.key, setting_of(settings, finding.key))
        if finding.verdict is not Verdict.SAFE:
            if finding.remedy:
                notes.append(f"#   {finding.remedy}")
                continue
            found = float(f"{measured.high if finding.at_most else measured.low:.3g}")
            value = max(value, found) if finding.at_most else min(value, found)
        values[finding.key] = check(value, known[finding.key], "measured")
    nested: dict[str, Any] = {}
    for key, value in values.items():
        put(nested, key, value)
    document = yaml.safe_dump({"/**": {"ros__parameters": nested}}, sort_keys=False)
    return "\n".join(["# Measured by `tidegate calibrate`; means with their 95 % intervals.", *notes, document])


def setting_of(settings: Settings, key: str) -> float:
    """The number that a dotted ``key`` has."""
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return float(value)
