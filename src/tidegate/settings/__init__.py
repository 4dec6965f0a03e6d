# SPDX-License-Identifier: Apache-2.0
"""Typed settings: each field declared once with default, unit, range and meaning."""

from tidegate.settings.loader import Settings, load_settings, settings_from
from tidegate.settings.schema import Entry, Limits, entries

__all__ = ["Entry", "Limits", "Settings", "entries", "load_settings", "settings_from"]
