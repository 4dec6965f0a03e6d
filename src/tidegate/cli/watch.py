# SPDX-License-Identifier: Apache-2.0
"""``tidegate watch``: a running graph, live in the terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from tidegate.cli.common import known_namespace
from tidegate.nodes.run_graph import signals_counted
from tidegate.nodes.watching import Watch, watching
from tidegate.operate.terminal import WIDTH, render
from tidegate.operate.view import View, silent
from tidegate.settings import load_settings
from tidegate.share import share_path

PERIOD_S = 0.2
PATIENCE_S = 8.0
"""``--once`` waits so long at most for what is expected: who misses the first greeting hears the next one after 3 s."""
RATES_S = 1.0
"""``--once`` counts for so long once everything is there."""


def watch(
    namespace: Annotated[str, typer.Option(help="of the graph's topics", callback=known_namespace)] = "",
    config: Annotated[Path | None, typer.Option(help="robot's settings; default config/car.yaml")] = None,
    once: Annotated[bool, typer.Option("--once", help="one picture, for logs; exit code 1 if some are silent")] = False,
) -> None:
    """Show camera, lane, neurons, commands, barriers, efforts and rates of a running graph until Ctrl-C.

    Publishes nothing. Where the output is no terminal, it shows one picture.
    """
    console = Console()
    settings = load_settings(config or share_path("config/car.yaml"))
    with watching(namespace, settings.camera.topic) as heard:
        if once or not console.is_terminal:
            console.width = max(console.width, WIDTH)
            view = snapshot(heard)
            console.print(render(view))
            raise typer.Exit(1 if list(silent(view)) else 0)
        with signals_counted() as interrupted, Live(console=console, screen=True, auto_refresh=False) as live:
            while not interrupted():
                heard.spin(PERIOD_S)
                live.update(render(heard.view()), refresh=True)


def snapshot(heard: Watch) -> View:
    """One view, once everything that is expected has been heard for a while, or patience ends."""
    end = time.monotonic() + PATIENCE_S
    while list(silent(heard.view())) and time.monotonic() < end:
        heard.spin(PERIOD_S)
    heard.spin(RATES_S)
    return heard.view()
