# SPDX-License-Identifier: Apache-2.0
"""A YAML file that a person wrote, with one sentence for what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidegate.errors import SettingsError
from tidegate.security.parse import LARGEST_TEXT, read_bounded, yaml_values
from tidegate.settings.schema import mapping


def read_document(path: Path, largest: int = LARGEST_TEXT) -> dict[str, Any]:
    """Names and plain values in a YAML file of at most ``largest`` bytes; an empty file has none.

    Raises:
        SettingsError: no such file, too large, no YAML, or no names with values.
    """
    try:
        text = read_bounded(path, largest).decode("utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise SettingsError(f"{path}: is no YAML: {error}") from error
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> dict[str, Any]:
    """As ``read_document``, of its ``text``.

    Raises:
        SettingsError: naming ``source``; no YAML, or no names with values.
    """
    try:
        values = yaml_values(text)
    except ValueError as error:
        raise SettingsError(f"{source}: is no YAML: {error}") from error
    return dict(mapping({} if values is None else values, "the document", source))
