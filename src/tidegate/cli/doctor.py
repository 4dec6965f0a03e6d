# SPDX-License-Identifier: Apache-2.0
"""``tidegate doctor``: is this robot fit to be driven, and what to do if not."""

from __future__ import annotations

import os
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.cli.common import known_namespace, print_json
from tidegate.doctor.facts import GraphFacts, RosFacts
from tidegate.doctor.finding import Finding, Verdict, fail, worst
from tidegate.doctor.graph import check_graph
from tidegate.doctor.images import check_images
from tidegate.doctor.machine import check_disk, check_machine, machine_facts
from tidegate.doctor.middleware import check_domain, check_ros
from tidegate.doctor.robot import check_bundle, read_bundle, read_robot
from tidegate.doctor.segments import check_left_over
from tidegate.errors import DependencyError, GraphError
from tidegate.messages import PICTURES
from tidegate.nodes.priority import PRIORITIES
from tidegate.share import share_path

COLOUR = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


def doctor(
    config: Annotated[Path | None, typer.Option(help="robot's settings; default config/car.yaml")] = None,
    bundle: Annotated[Path | None, typer.Option(help="model it will drive with; default models/car-ltc19")] = None,
    namespace: Annotated[str, typer.Option(help="of the graph's topics", callback=known_namespace)] = "",
    folder: Annotated[Path, typer.Option(help="where bags would be recorded")] = Path(),
    seconds: Annotated[float, typer.Option(min=0.5, help="how long the graph is watched [s]")] = 3.0,
    offline: Annotated[bool, typer.Option("--offline", help="only what needs no running graph")] = False,
    json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
) -> None:
    """Check machine, ROS, settings, bundle and the running graph; say what is wrong and how to mend it.

    Exit code 1 where something fails.
    """
    console = Console()
    with Console(stderr=True).status("looking"):
        findings = look(
            config or share_path("config/car.yaml"),
            bundle or share_path("models/car-ltc19"),
            folder,
            None if offline else (namespace.strip("/"), seconds),
        )
    if json:
        print_json({"verdict": worst(findings), "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            console.print(line(finding), soft_wrap=True, highlight=False)
    if worst(findings) is Verdict.FAIL:
        raise typer.Exit(1)


def look(config: Path, bundle: Path, folder: Path, watch: tuple[str, float] | None) -> list[Finding]:
    """Every finding; ``watch``: namespace of the graph and how long to watch it [s], None = not at all."""
    machine = machine_facts(os.environ, folder, max(PRIORITIES.values()), graphics())
    ros = installed_ros()
    findings: list[Finding] = [*check_ros(ros), *check_domain(machine), *check_left_over(machine)]
    robot = read_robot(config, findings)
    if robot is not None:
        settings, car = robot
        findings += check_bundle(bundle, settings, car)
        findings += check_disk(machine, settings)
    set_up = not any(one.verdict is Verdict.FAIL and one.check in ("ros", "domain", "discovery") for one in findings)
    graph: GraphFacts | None = None
    if watch is not None and robot is not None and set_up:
        from tidegate.nodes.examine import examine

        try:
            graph = examine(*watch, settings.camera.topic)
        except GraphError as error:
            findings.append(
                fail("graph", str(error), "the lines of ROS above say why; is another program on its ports?")
            )
    findings += check_machine(machine, graph is not None and graph.simulated)
    if robot is not None:
        segments, pictures = (graph.segments, graph.topics.get(PICTURES)) if graph else (None, None)
        findings += check_images(machine, settings.camera, ros.rmw, segments, pictures)
    if graph is not None:
        findings += check_graph(graph, settings, car, read_bundle(bundle))
    return findings


def installed_ros() -> RosFacts:
    """The ROS that can be imported here."""
    try:
        from tidegate.nodes.examine import ros_facts
    except ImportError as error:
        return RosFacts(absent=str(error))
    return ros_facts()


def graphics() -> str | None:
    """Why the simulator gets no picture here; empty = it does, None = it is not installed."""
    if find_spec("mujoco") is None:
        return None
    try:
        from tidegate.simulation.graphics import draw_something

        draw_something()
    except DependencyError as error:
        return str(error)
    return ""


def line(finding: Finding) -> str:
    """One line, with the mend below it."""
    word = f"[{COLOUR[finding.verdict]}]{finding.verdict.value:4}[/]"
    mend = f"\n     → {escape(finding.remedy)}" if finding.remedy else ""
    return f"{word} [bold]{escape(finding.check)}[/]: {escape(finding.said)}{mend}"
