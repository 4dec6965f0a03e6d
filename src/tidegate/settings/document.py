# SPDX-License-Identifier: Apache-2.0
"""A YAML file that a person wrote, with one sentence for what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidegate.errors import SettingsError
from tidegate.security.parse import LARGEST_TEXT, parse_yaml, read_yaml
from tidegate.settings.schema import mapping


def read_document(path: Path, largest: int = LARGEST_TEXT) -> dict[str, Any]:
    """Names and plain values in a YAML file of at most ``largest`` bytes; an empty file has none.

    Raises:
        SettingsError: no such file, too large, no YAML, or no names with values.
    """
    try:
        values = read_yaml(path, largest=largest)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise SettingsError(f"{path}: is no YAML: {error}") from error
    return _named(values, str(path))


def document_in(text: str, source: str) -> dict[str, Any]:
    """The same of a ``text`` that is not a file's; errors call it ``source``.

    Raises:
        SettingsError: no YAML, or no names with values.
    """
    try:
        return _named(parse_yaml(text), source)
    except ValueError as error:
        raise SettingsError(f"{source}: is no YAML: {error}") from error


def _named(values: Any, source: str) -> dict[str, Any]:
    return dict(mapping({} if values is None else values, "the document", source))
