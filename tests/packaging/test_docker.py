# SPDX-License-Identifier: Apache-2.0
"""What the images copy, start and ask for is there. No engine builds them here."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
FILES = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.gazebo"]
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
FOREIGN = re.compile(r"^ros:jazzy-ros-(base|core)$")


def stages(file: Path) -> dict[str, list[tuple[str, str]]]:
    """Stage → its instructions (word, rest), those of the stage that it begins from first; unnamed = its number."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            assert base in found or FOREIGN.match(base) or base == "tidegate:simulation", line
            current = found[name or str(len(found))] = list(found.get(base, []))
        else:
            current.append((word, rest.strip()))
    return found


def images() -> dict[str, list[tuple[str, str]]]:
    """The stages that are run, by the name of their image."""
    robot = stages(FILES[0])
    (gazebo,) = stages(FILES[1]).values()
    return {
        "tidegate:robot": robot["robot"],
        "tidegate:simulation": robot["simulation"],
        "tidegate:gazebo": [*robot["simulation"], *gazebo],
    }


def ignored(path: str) -> bool:
    """Whether ``.dockerignore`` keeps a file out of the build."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    return any(fnmatch.fnmatch(path, pattern.removeprefix("**/")) for pattern in patterns)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_whatever_is_copied_is_there(file: Path) -> None:
    known = stages(file)
    for instructions in known.values():
        for word, rest in instructions:
            if word == "COPY" and rest.startswith("--from="):
                stage, source = re.match(r"--from=(\S+) (\S+)", rest).groups()
                made = " ".join(text for _, text in known[stage])
                assert source in made, f"{stage} makes no {source}"
            elif word == "COPY":
                for source in rest.split()[:-1]:
                    assert (ROOT / source).exists(), rest
                    assert not ignored(source), rest


def test_the_default_of_the_dockerfile_is_the_robot() -> None:
    assert list(stages(FILES[0]))[-1] == "robot"


@pytest.mark.parametrize("name", images())
def test_an_image_is_safe_to_run(name: str) -> None:
    """Not as root, stopped by the signal that brakes, with a health check and an entry point that it contains."""
    last = dict(images()[name])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["STOPSIGNAL"] == "SIGINT"
    check = json.loads(re.search(r"CMD (\[.*\])$", last["HEALTHCHECK"])[1])
    (entry,) = json.loads(last["ENTRYPOINT"])
    assert check[0] == entry
    (source,) = (rest.split()[0] for word, rest in images()[name] if word == "COPY" and rest.endswith(entry))
    script = ROOT / source
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    assert script.read_text(encoding="utf-8").rstrip().endswith('exec "$@"')
    launch(json.loads(last["CMD"]))


def launch(command: list[str]) -> None:
    """Assert that a ``ros2 launch`` or ``ros2 run`` of ours exists."""
    assert command[0] == "ros2"
    assert command[2] == "tidegate"
    if command[1] == "launch":
        assert (ROOT / "launch" / command[3]).is_file()
    else:
        assert f'"{command[3].removesuffix("_node")}"' in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_no_folder_of_the_host_is_made_by_docker() -> None:
    """It would be root's, and the services are not root."""
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    assert [mount["target"] for mount in mounts] == ["/bags"]
    assert all(mount["bind"]["create_host_path"] is False for mount in mounts)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_fits_its_image(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["profiles"] == [name]  # a bare `up` must not start two masters
    build, known = service["build"], images()
    assert service["image"] in known
    file = DOCKER / build["context"] / build["dockerfile"]
    assert file.resolve() in FILES
    assert build.get("target", service["image"].partition(":")[2]) == service["image"].partition(":")[2]
    assert build.get("target", "0") in stages(file)
    words = service["command"]
    launch(words if words[0] == "ros2" else words[-1].partition("exec ")[2].split())
    assert service["read_only"]
    assert service["stop_signal"] == "SIGINT"
    assert int(service["stop_grace_period"].removesuffix("s")) > 12  # as long as a launch waits for its nodes
    assert service["ulimits"]["rtprio"] >= 70


def test_what_is_recorded_has_its_contract_and_is_split(tmp_path: Path) -> None:
    """The command of the service as the shell reads it, with what ``ros2`` would answer."""
    pytest.importorskip("rclpy")
    from tidegate.nodes.recorder_node import PARAMETERS

    (script,) = COMPOSE["services"]["record"]["command"][2:]
    shell = re.sub(r"\$\{(\w+):-([^}]*)\}", r"\2", script).replace("$$", "$")
    (tmp_path / "ros2").write_text(f'#!/bin/sh\n[ "$1" = pkg ] && echo {ROOT} || printf "%s\\n" "$@"\n')
    (tmp_path / "ros2").chmod(0o755)
    said = subprocess.run(
        ["bash", "-c", shell], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    values = dict(word.split(":=") for word in said if ":=" in word)
    assert set(values) <= {item.name for item in PARAMETERS}
    assert Path(values["config"]).is_file()
    assert (Path(values["bundle"]) / "bundle.json").is_file()
    assert int(values["max_bag_size"]) > 0
    assert re.fullmatch(r"/bags/\d{8}T\d{6}Z", values["path"])
