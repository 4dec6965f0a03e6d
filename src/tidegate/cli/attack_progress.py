# SPDX-License-Identifier: Apache-2.0
"""What a person sees while `tidegate attack` drives: how far it is, and every episode that broke something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console

from tidegate.cli.common import campaign_bar


class Attacked(Protocol):
    """What came of an episode, of a car or an arm."""

    @property
    def name(self) -> str:
        """How a person calls it."""

    @property
    def searched(self) -> bool:
        """Whether a search chose it."""

    @property
    def harmless(self) -> bool:
        """Whether nothing was broken."""


One = TypeVar("One", bound=Attacked)


@contextmanager
def watched(console: Console, drawn: int, searched: int, harm: Callable[[One], str]) -> Iterator[Callable[[One], None]]:
    """Bars of so many episodes; gives who is to hear of each outcome. ``harm`` says in words what was broken."""
    with campaign_bar(console) as progress:
        bar = progress.add_task("attacking", total=drawn)
        hunt = progress.add_task("searching", total=searched, visible=searched > 0)

        def heard(outcome: One) -> None:
            progress.advance(hunt if outcome.searched else bar)
            if not outcome.harmless:
                progress.console.print(f"[red]{outcome.name}: {harm(outcome)}", soft_wrap=True)

        yield heard
