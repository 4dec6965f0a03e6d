# SPDX-License-Identifier: Apache-2.0
"""``tidegate security``: the access control policy of the node graph."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.security.access import access_policy


def security(
    simulation: Annotated[bool, typer.Option("--simulation", help="with the simulator and simulated time")] = False,
    namespace: Annotated[str, typer.Option(help="of all nodes and topics")] = "/",
) -> None:
    """Print the SROS 2 policy: what each node may publish, hear, serve and call, and nothing more."""
    typer.echo(access_policy(namespace, simulation), nl=False)
