# SPDX-License-Identifier: Apache-2.0
"""Files of others, read within bounds: size, depth, repetition by aliases, no entities."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

LARGEST_TEXT = 1 << 18
"""Bytes of a settings file or a wiring; ours have less than 10,000."""
LARGEST_XML = 1 << 22
DEEPEST = 50
"""Levels of nesting; a settings file has five."""
LONGEST_WORD = 3000
"""Characters without quotes: Python cannot print numbers that are much longer."""

_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_bounded(path: Path, largest: int) -> bytes:
    """The content of a file.

    Raises:
        OSError: it cannot be read; ValueError: it has more than ``largest`` bytes.
    """
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise ValueError(f"has more than {largest:,} bytes")
    return data


def check_yaml(text: str, repeats: int = 0) -> None:
    """See that ``text`` is YAML which no reader can blow up on, by its events alone.

    Args:
        text: the document.
        repeats: how many values aliases may stand for. A few that refer to each other stand for more than any memory
            holds; ROS's own parser of parameters takes none.

    Raises:
        ValueError: no YAML, too many aliases, a word too long, or too deep.
    """
    sizes: dict[str | None, int] = {}
    nodes: list[tuple[str | None, int]] = []
    try:
        for event in yaml.parse(text, Loader=_FAST):
            where = f"line {event.start_mark.line + 1}" if event.start_mark else "somewhere"
            if isinstance(event, yaml.CollectionStartEvent):
                nodes.append((event.anchor, 1))
                if len(nodes) > DEEPEST:
                    raise ValueError(f"{where}: more than {DEEPEST} levels deep")
                continue
            if isinstance(event, yaml.AliasEvent):
                anchor, size = None, sizes.get(event.anchor, repeats + 1)  # of a node that contains it: without end
                repeats -= size
                if repeats < 0:
                    raise ValueError(f"{where}: the alias *{event.anchor} is not allowed, or repeats too much")
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, size = nodes.pop()
            elif isinstance(event, yaml.ScalarEvent):
                anchor, size = event.anchor, 1
                if not event.implicit[1] and len(event.value) > LONGEST_WORD:
                    raise ValueError(f"{where}: a word of {len(event.value)} characters")
            else:
                continue
            if anchor is not None:
                sizes[anchor] = size
            if nodes:
                nodes[-1] = (nodes[-1][0], nodes[-1][1] + size)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def read_yaml(path: Path, repeats: int = 0, largest: int = LARGEST_TEXT) -> Any:
    """The plain values in a YAML file of at most ``largest`` bytes; ``repeats`` as for ``check_yaml``.

    Raises:
        OSError: it cannot be read; ValueError: it is too large, or no YAML, saying why.
    """
    return parse_yaml(read_bounded(path, largest).decode("utf-8"), repeats)


def parse_yaml(text: str, repeats: int = 0) -> Any:
    """The plain values in ``text``; ``repeats`` as for ``check_yaml``.

    Raises:
        ValueError: no YAML, saying why.
    """
    check_yaml(text, repeats)
    try:
        _check_names(yaml.compose(text, Loader=_FAST))
        return yaml.safe_load(text)
    except Exception as error:  # PyYAML passes on what int, float and datetime raise, and KeyError for '!!bool x'
        raise ValueError(" ".join(str(error).split())) from error


def _check_names(node: Any) -> None:
    """See that no name stands twice in one place: which of the two counts is not the same for every reader.

    Raises:
        ValueError: one does.
    """
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise ValueError(f"line {key.start_mark.line + 1}: '{key.value}' stands here twice")
                seen.add((key.tag, key.value))
            _check_names(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_names(value)


class _Plain(ElementTree.TreeBuilder):
    """Refuses a document type: only there can entities be declared, which may expand without end or name files."""

    def doctype(self, name: str, _public: str, _system: str) -> None:
        raise ValueError(f"<!DOCTYPE {name}> is not allowed")


def parse_xml(data: bytes | str) -> ElementTree.Element:
    """The root element of a document without a document type.

    Raises:
        ValueError: no XML, or a document type.
    """
    try:
        return ElementTree.fromstring(data, ElementTree.XMLParser(target=_Plain()))
    except (ElementTree.ParseError, LookupError) as error:  # LookupError: an encoding that Python does not know
        raise ValueError(str(error)) from error
