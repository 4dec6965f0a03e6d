# SPDX-License-Identifier: Apache-2.0
"""Typed settings: each field declared once with default, unit, range and meaning."""

from tidegate.settings.barriers import BarrierParameters
from tidegate.settings.loader import Settings, load_settings, settings_from
from tidegate.settings.schema import Entry, Limits, adjusted, check_change, entries, setting

__all__ = [
    "BarrierParameters",
    "Entry",
    "Limits",
    "Settings",
    "adjusted",
    "check_change",
    "entries",
    "load_settings",
    "setting",
    "settings_from",
]
