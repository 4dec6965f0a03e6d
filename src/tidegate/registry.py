# SPDX-License-Identifier: Apache-2.0
"""Name → class, for the kinds of part that a user may add to (barriers, scenes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from tidegate.errors import DependencyError

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """Parts of one kind by name; other packages add theirs through the entry point group ``tidegate.<kind>``.

    A package's part is imported when it is first asked for: what no robot's file names costs and breaks nothing.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, Part] = {}
        self._points: dict[str, EntryPoint] = {}
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
            self._points = {point.name: point for point in entry_points(group=f"tidegate.{self.kind}")}

    def __getitem__(self, name: str) -> Part:
        """The part of that name.

        Raises:
            KeyError: there is none; DependencyError: the package that has it cannot be imported.
        """
        self._discover()
        if name not in self._parts:
            if name not in self._points:
                raise KeyError(f"unknown {self.kind} '{name}'; known: {', '.join(self)}")
            self._parts[name] = self._load(self._points[name])
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted({*self._parts, *self._points}))

    def _load(self, point: EntryPoint) -> Any:
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise DependencyError(
                f"{self.kind} '{point.name}': its package has no {point.value} ({type(error).__name__}: {error})"
            ) from error


barriers: Registry[Any] = Registry("barriers")
"""Barrier types by name; here and not beside the barriers, because the settings need the parameters of a user's."""
