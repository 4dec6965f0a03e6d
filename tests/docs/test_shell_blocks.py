# SPDX-License-Identifier: Apache-2.0
"""Each block of commands or Python is run here or says why not; commands and options that are named exist."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import setuptools
from shown import missing, words_of

from blocks import NEEDS, PAGES, PYTHON, ROOT, Block, blocks, commands, inline
from tidegate.cli.app import EXTRA, Commands
from tidegate.messages import TOPICS
from tidegate.messages.graph import GRAPH, LIFECYCLE
from tidegate.nodes.main import ENTRIES
from tidegate.settings import check_change, entries, load_settings

ALL = [block for page in PAGES for block in blocks(page)]
MAKEFILES = (ROOT / "Makefile", ROOT / "src/tidegate/export/c/Makefile")
TRANSITIONS = ("configure", "activate", "deactivate", "cleanup", "shutdown")
NONE: frozenset[str] = frozenset()
VERBS: dict[str, dict[str, frozenset[str] | set[str]]] = {
    "bag": {
        "play": {"--clock", "--topics", "--remap", "--qos-profile-overrides-path", "--rate", "--loop"},
        "record": {"-s", "-a", "--all-topics", "--qos-profile-overrides-path", "--exclude-topics"},
        "reindex": set(),
        "info": set(),
    },
    "lifecycle": dict.fromkeys(("set", "get", "nodes", "list"), NONE),
    "service": dict.fromkeys(("call", "list"), NONE),
    "param": dict.fromkeys(("set", "get", "describe", "list", "dump"), NONE),
    "topic": dict.fromkeys(("echo", "hz", "info", "list", "pub"), NONE),
    "node": dict.fromkeys(("list", "info"), NONE),
    "pkg": dict.fromkeys(("prefix", "list", "executables"), NONE),
    "daemon": dict.fromkeys(("start", "stop", "status"), NONE),
    "control": dict.fromkeys(("list_controllers",), NONE),
}
"""What of ``ros2`` the pages may use; the options of ``ros2 bag`` as rosbag2 documents them for Jazzy."""
MCAP = ("recover", "info", "cat", "doctor", "compress", "decompress")
COLCON = ("build", "test", "test-result")
TOOLS = {"pip-audit"}
"""What a page lets somebody install that the package does not ask for."""
RUN_HERE: dict[Path, list[Block]] = {}
for _block in ALL:
    if not _block.marked:
        RUN_HERE.setdefault(_block.page, []).append(_block)


def pages() -> list[Any]:
    """The pages that have something to run; slow where a block says so."""
    return [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] if any("slow" in one.notes for one in here) else [])
        for page, here in RUN_HERE.items()
    ]


@pytest.mark.parametrize("page", pages())
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """One after the other, in one folder that looks like the repository; bundles are copies, for some are signed."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("out", "build", "install", "log", "models"):
            (tmp_path / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "models", tmp_path / "models")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "MUJOCO_GL": "egl",
    }
    for block in RUN_HERE[page]:
        ran = subprocess.run(
            [sys.executable, "-c", block.text]
            if block.language == PYTHON
            else ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert ran.returncode == 0, f"{block}\n{ran.stdout}{ran.stderr}"


@pytest.mark.parametrize("block", ALL, ids=str)
def test_what_is_marked_is_marked_truly(block: Block) -> None:
    needs, shown = block.note("needs"), block.note("shown elsewhere")
    assert set(filter(None, re.split(r",\s*", needs or ""))) <= NEEDS, block
    if shown is not None:
        lacking = missing(block, [words_of(test) for test in shown.split()])
        assert not lacking, f"{block}: {shown} does not run {lacking}"
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert set(filter(None, re.split(r",\s*", block.note("run by CI") or ""))) <= set(lines), block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    shell = [block for block in ALL if block.page == page and block.language != PYTHON]
    told = [words for block in shell for words in commands(block.text)]
    for words in [*told, *inline(page)]:
        problem = fault(words)
        assert not problem, f"{page.name}: {' '.join(words)}: {problem}"


def fault(words: list[str]) -> str:
    """What is wrong with a command; empty = nothing that is known of."""
    match words:
        case ["ros2", "launch", "-s", *rest]:
            return fault(["ros2", "launch", *rest])
        case ["ros2", group, verb, *rest] if group in VERBS and "…" not in words:
            return f"no 'ros2 {group} {verb}'" if verb not in VERBS[group] else of_ros(group, verb, rest)
        case ["ros2", group, *_] if group not in (*VERBS, "launch", "run", "security") and "…" not in words:
            return f"no 'ros2 {group}'"
        case ["mcap", verb, *_] if verb not in MCAP:
            return f"no 'mcap {verb}'"
        case ["colcon", verb, *_] if verb not in COLCON:
            return f"no 'colcon {verb}'"
        case ["pip", "install", *rest]:
            unknown = {word for word in rest if word[0] not in "-." and not installable(word)}
            return f"nothing called {', '.join(sorted(unknown))}" if unknown else ""
        case ["python" | "python3", script, *_] | [script, *_] if re.match(r"(scripts|benchmarks|examples)/", script):
            return "" if (ROOT / script).exists() else f"no file '{script}'"
        case ["python" | "python3", "-m", module, *_] if module.startswith("examples."):
            return "" if (ROOT / f"{module.replace('.', '/')}.py").exists() else f"no module '{module}'"
        case ["tidegate", name, *rest]:
            if name not in EXTRA:
                return f"no command '{name}'"
            unknown = {word.partition("=")[0] for word in rest if word.startswith("--")} - options(name)
            return f"no option {', '.join(unknown)}" if unknown else ""
        case ["ros2", "launch", "tidegate", file, *rest]:
            if not (ROOT / "launch" / file).is_file():
                return f"no launch file '{file}'"
            unknown = {word.partition(":=")[0] for word in rest if ":=" in word} - arguments(file)
            return f"no argument {', '.join(unknown)}" if unknown else ""
        case ["ros2", "run", "tidegate", node, *_] if node not in {*ENTRIES, "tidegate"}:
            return f"no executable '{node}'"
        case ["make", *targets]:
            unknown = {word for word in targets if "=" not in word} - made()
            return f"no target {', '.join(unknown)}" if unknown else ""
    return ""


def of_ros(group: str, verb: str, rest: list[str]) -> str:
    """What is wrong with ``ros2 group verb …``: the names of this package that it is given, its options for bags."""
    match group, rest:
        case "bag", _:
            unknown = {word for word in rest if re.match(r"--?[a-z]", word)} - VERBS["bag"][verb]
            return f"no option {', '.join(sorted(unknown))}" if unknown else ""
        case "lifecycle", [node, transition]:
            return named(node, LIFECYCLE) or named(transition, TRANSITIONS)
        case "service", [service, kind, *_]:
            served = [name for interface in GRAPH.values() for name in interface.serves]
            return named(service, served) or ("" if kind == "std_srvs/srv/Trigger" else f"of another type than {kind}")
        case "param", [node, name, *value]:
            known = {entry.key: entry for entry in entries(load_settings(ROOT / "config" / "car.yaml"))}
            if name.startswith("safety.barriers.") and name not in known:  # a user's own
                return named(node, ENTRIES)
            if verb == "set" and name in known:
                check_change(float(value[0]), known[name])
            return named(node, ENTRIES) or named(name, known)
        case "topic", [topic, *_]:
            return named(topic, TOPICS)
    return ""


def named(name: str, known: Iterable[str]) -> str:
    """What is wrong with a name that must be one of those ``known``."""
    return "" if name.lstrip("/") in known else f"no '{name}'"


def installable(requirement: str) -> bool:
    """Whether it is this package with extras that it has, something that it asks for, or a tool."""
    name, _, extras = requirement.rstrip("]").partition("[")
    asked = extras_required()
    known = {re.split(r"[\[<>=!~;]", one)[0] for group in asked.values() for one in group}
    return set(extras.split(",")) <= {"", *asked} if name == "tidegate" else name in known | TOOLS


@cache
def extras_required() -> dict[str, list[str]]:
    """What setup.py asks for, by extra; '' = always."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
        patch.chdir(ROOT)
        runpy.run_path("setup.py")
    return {"": given["install_requires"], **given["extras_require"]}


@cache
def options(name: str) -> frozenset[str]:
    """The options of a sub-command."""
    command = Commands().get_command(None, name)
    return frozenset({"--help"}.union(*([*one.opts, *one.secondary_opts] for one in command.params)))


@cache
def arguments(file: str) -> frozenset[str]:
    """The arguments of a launch file."""
    pytest.importorskip("launch_ros")
    described = runpy.run_path(str(ROOT / "launch" / file))["generate_launch_description"]()
    return frozenset(argument.name for argument in described.get_launch_arguments())


@cache
def made() -> frozenset[str]:
    """The targets of make, of the repository and of an exported library."""
    return frozenset(
        target for file in MAKEFILES for target in re.findall(r"^([a-z]+):", file.read_text("utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tidegate driv --scene road", "no command 'driv'"),
        ("tidegate run --scen road", "no option --scen"),
        ("A=1 tidegate run --scene road | tee log && make tset", "no target tset"),
        ("ros2 launch tidegate robot.launch.py robt:=car", "no argument robt"),
        ("ros2 launch tidegate robots.launch.py", "no launch file 'robots.launch.py'"),
        ("ros2 run tidegate saftey_node", "no executable 'saftey_node'"),
        ("ros2 bag play BAG --clok", "no option --clok"),
        ("ros2 bag plya BAG", "no 'ros2 bag plya'"),
        ("ros2 lifecycle set /saftey_node configure", "no '/saftey_node'"),
        ("ros2 lifecycle set /safety_node configur", "no 'configur'"),
        ("ros2 service call /safety_node/rest std_srvs/srv/Trigger", "no '/safety_node/rest'"),
        ("ros2 param set /safety_node vehicle.speed_mx 8.0", "no 'vehicle.speed_mx'"),
        ("mcap recovr FILE", "no 'mcap recovr'"),
        ("colcon biuld", "no 'colcon biuld'"),
        ("pip install 'tidegate[simulation]'", "nothing called tidegate[simulation]"),
        ("pip install --quiet daqq mcap", "nothing called daqq"),
        ("python scripts/mutat.py", "no file 'scripts/mutat.py'"),
    ],
)
def test_a_wrong_command_is_seen(text: str, problem: str) -> None:
    assert problem in [fault(words) for words in commands(text)]


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("tidegate info BAG --json", []),
        ("tidegate info BAG --rescue NEW", ["tidegate info BAG --rescue NEW"]),
        ("ros2 launch tidegate replay.launch.py bag:=BAG\ntidegate info BAG", []),
        ("ros2 launch tidegate replay.launch.py rate:=2", ["ros2 launch tidegate replay.launch.py rate:=2"]),
        ("make check CC=gcc", ["make check CC=gcc"]),
        ("tidegate replay BAG", ["tidegate replay BAG"]),  # in the docstring alone
        ("openssl version", ["openssl version"]),
    ],
)
def test_a_page_that_names_a_test_which_does_not_run_the_same_is_seen(
    text: str, lacking: list[str], tmp_path: Path
) -> None:
    test = tmp_path / "test_x.py"
    test.write_text(
        'PROGRAM = ["tidegate", "info"]\n'
        'def test_y(launch):\n    "replay"\n    run(PROGRAM, "--json")\n    run(f"replay.launch.py bag:={launch}")\n'
        'def test_z():\n    run("rate:=2", "check", "CC=gcc", "version", "--rescue")\n',
        encoding="utf-8",
    )
    block = Block(ROOT / "README.md", 1, f"{text}\n", (), "sh")
    assert [" ".join(words) for words in missing(block, [words_of(f"{test}::test_y")])] == lacking


def test_python_is_shown_by_a_test_that_reads_the_page(tmp_path: Path) -> None:
    test = tmp_path / "test_x.py"
    test.write_text("def test_y():\n    run('docs/liquid.md')\n", encoding="utf-8")
    said = words_of(f"{test}::test_y")
    for page, lacks in (("liquid.md", False), ("export.md", True)):
        block = Block(ROOT / "docs" / page, 1, "import numpy\n", (), "python")
        assert bool(missing(block, [said])) == lacks
    with pytest.raises(ValueError, match="no test_w"):
        words_of(f"{test}::test_w")


def test_a_block_without_a_fence_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text in ("Do\n\n    tidegate run\n", "```\ntidegate run --scene road\n```\n"):
        page.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"page\.md:\d: shell commands"):
            list(blocks(page))
