# SPDX-License-Identifier: Apache-2.0
"""The ``tidegate`` command: one sub-command per module of this room."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from tidegate.errors import TidegateError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """A camera, nineteen liquid neurons, and a barrier between them and the motors."""


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit code 2."""
    try:
        app()
    except TidegateError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {error}", highlight=False)
        sys.exit(2)
