# SPDX-License-Identifier: Apache-2.0
"""``tidegate security``: the access control policy of the node graph."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.errors import SettingsError
from tidegate.security.access import Time, access_policy


def security(
    simulation: Annotated[
        bool, typer.Option("--simulation", help="with the embedded simulator, its clock inside the namespace")
    ] = False,
    sim_time: Annotated[
        bool,
        typer.Option("--sim-time", help="time comes from a /clock outside of any namespace: Gazebo, or a played bag"),
    ] = False,
    namespace: Annotated[str, typer.Option(help="of all nodes and topics")] = "/",
) -> None:
    """Print the SROS 2 policy: what each node may publish, hear, serve and call, and nothing more."""
    if simulation and sim_time:
        raise SettingsError("--simulation brings a clock of its own; give it or --sim-time, not both")
    time: Time = "simulator" if simulation else "shared" if sim_time else "system"
    typer.echo(access_policy(namespace, time), nl=False)
