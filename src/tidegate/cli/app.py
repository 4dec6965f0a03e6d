# SPDX-License-Identifier: Apache-2.0
"""The ``tidegate`` command: one sub-command per module of this room (``common`` aside), imported when called."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from tidegate.errors import DependencyError, TidegateError

EXTRA = {  # command → the extra of the package that it needs
    "run": "ros,sim",
    "record": "ros",
    "replay": "sim",
    "collect": "sim",
    "train": "sim,learn",
    "compare": "sim,learn",
    "evaluate": "sim",
    "attack": "sim,attack",
    "drill": "sim",
    "campaign": "sim,data,insight",
    "calibrate": "sim,calibrate",
    "explain": "sim,insight",
    "distil": "sim,insight",
    "lesion": "sim,insight",
    "saliency": "sim,insight",
    "cause": "sim,insight",
    "demo": "ros,sim,insight",
    "import": "data",
    "export-dataset": "data",
    "inspect": "",
    "card": "",
    "curate": "",
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


DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""Faults of the place that a command was told to write to, which may come without its name: full, read-only, somebody
else's. With a name any fault is one: a folder where a file is wanted, a file where a folder is."""

MODULE = {"import": "import_data", "export-dataset": "export_dataset"}
"""Where the name of a command is none in Python."""


class Commands(TyperGroup):
    """Sub-commands by name; each lives in ``tidegate.cli.<name>``, or as ``MODULE`` says, as a function named so."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order in which a user meets them."""
        return list(EXTRA)

    def get_command(self, ctx: Any, name: str) -> Any:
        """Import one command; where its dependencies are absent, a command that says what to install."""
        if name not in EXTRA:
            return None
        try:
            module = MODULE.get(name, name)
            with _ctrl_c_waits():
                function = getattr(import_module(f"tidegate.cli.{module}"), module)
        except ImportError as error:
            return _absent(name, error)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name)(function)
        command = typer.main.get_command(single)
        for option in command.params:
            if isinstance(option, (TyperArgument, TyperOption)) and option.help:
                option.help = escape(option.help)  # units such as [s] are no markup
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command; Ctrl-C is one line on standard error and exit code 130, as shells have it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            Console(stderr=True).print("broken off by Ctrl-C")
            ctx.exit(130)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Within, Ctrl-C is put off: an extension that it breaks off while it is imported looks like one that is absent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _absent(name: str, cause: ImportError) -> TyperCommand:
    """A command that cannot run here, whatever its arguments."""
    said, short = str(cause), "(cannot run here)"
    if not isinstance(cause, DependencyError):  # which tells the remedy by itself
        said, short = f"{said}; type: pip install 'tidegate[{EXTRA[name]}]'", f"(needs the extras {EXTRA[name]})"

    def refuse() -> None:
        raise DependencyError(f"'tidegate {name}' cannot run here: {said}")

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return TyperCommand(
        name, callback=refuse, help=f"Cannot run here: {said}", short_help=short, context_settings=anything
    )


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """A camera, nineteen liquid neurons, and a barrier between them and the motors."""


def main() -> None:
    """Run the command line; an error of ours, or of a disk, is one line on standard error and exit code 2."""
    try:
        app()
    except TidegateError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None and error.errno not in DISK:
            raise
        _refuse(f"{error.filename or 'a file'}: cannot be used ({error.strerror})")


def _refuse(said: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(said)}", highlight=False)
    sys.exit(2)
