# SPDX-License-Identifier: Apache-2.0
"""The ``tidegate`` command: one sub-command per module of this room (``common`` aside), imported when called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from tidegate.errors import DependencyError, TidegateError

EXTRA = {  # command → the extra of the package that it needs
    "run": "ros,sim",
    "record": "ros",
    "replay": "sim",
    "collect": "sim",
    "train": "sim,learn",
    "evaluate": "sim",
    "attack": "sim,attack",
    "drill": "sim",
    "calibrate": "sim,calibrate",
    "explain": "sim,insight",
    "demo": "ros,sim,insight",
    "inspect": "",
    "info": "",
    "doctor": "",
    "watch": "ros",
    "export": "export",
    "world": "sim",
    "settings": "",
    "security": "",
    "sign": "sign",
    "verify": "sign",
}


class Commands(TyperGroup):
    """Sub-commands by name; each lives in ``tidegate.cli.<name>`` as a function of that name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order in which a user meets them."""
        return list(EXTRA)

    def get_command(self, ctx: Any, name: str) -> Any:
        """Import one command; where its dependencies are absent, a command that says which extra to install."""
        if name not in EXTRA:
            return None
        try:
            function = getattr(import_module(f"tidegate.cli.{name}"), name)
        except ImportError as error:
            return _absent(name, str(error))
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name)(function)
        return typer.main.get_command(single)


def _absent(name: str, cause: str) -> TyperCommand:
    """A command that cannot run here."""

    def refuse() -> None:
        remedy = f"pip install 'tidegate[{EXTRA[name]}]'"
        raise DependencyError(f"'tidegate {name}' cannot run here ({cause}); type: {remedy}")

    return TyperCommand(name, callback=refuse, help=f"(needs the extras {EXTRA[name]})")


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """A camera, nineteen liquid neurons, and a barrier between them and the motors."""


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit code 2."""
    try:
        app()
    except TidegateError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(2)
