# SPDX-License-Identifier: Apache-2.0
"""Name → class, for the kinds of part that a user may add to (barriers, scenes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """Parts of one kind by name; other packages add theirs through the entry point group ``tidegate.<kind>``."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, Part] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[Part], Part]:
        """Decorate a class or function to register it under ``name``.

        Raises:
            ValueError: the name is taken.
        """

        def add(part: Part) -> Part:
            if name in self._parts:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._parts[name] = part
            return part

        return add

    def _discover(self) -> None:
        if not self._discovered:
            self._discovered = True
            for point in entry_points(group=f"tidegate.{self.kind}"):
                self._parts.setdefault(point.name, point.load())

    def __getitem__(self, name: str) -> Part:
        self._discover()
        if name not in self._parts:
            raise KeyError(f"unknown {self.kind} '{name}'; known: {', '.join(self)}")
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._parts))
