# SPDX-License-Identifier: Apache-2.0
"""``tidegate security``: the access control policy of the node graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.errors import SettingsError
from tidegate.messages import PICTURES
from tidegate.security.access import Time, access_policy
from tidegate.settings import load_settings


def security(
    simulation: Annotated[
        bool, typer.Option("--simulation", help="with the embedded simulator, its clock inside the namespace")
    ] = False,
    sim_time: Annotated[
        bool,
        typer.Option("--sim-time", help="time comes from a /clock outside of any namespace: Gazebo, or a played bag"),
    ] = False,
    namespace: Annotated[str, typer.Option(help="of all nodes and topics")] = "/",
    config: Annotated[
        Path | None, typer.Option(help="robot's settings, for its camera.topic; default camera/image_raw")
    ] = None,
) -> None:
    """Print the SROS 2 policy: what each node may publish, hear, serve and call, and nothing more."""
    if simulation and sim_time:
        raise SettingsError("--simulation brings a clock of its own; give it or --sim-time, not both")
    if simulation and config is not None:
        raise SettingsError("--simulation has its pictures on camera/image_raw in any case; leave out --config")
    camera = PICTURES if config is None else load_settings(config).camera.topic
    time: Time = "simulator" if simulation else "shared" if sim_time else "system"
    typer.echo(access_policy(namespace, time, camera), nl=False)
