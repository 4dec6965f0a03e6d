# SPDX-License-Identifier: Apache-2.0
"""Each shell block of the documentation is run here or says why not; commands and options that are named exist."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from blocks import NEEDS, PAGES, ROOT, Block, blocks, commands, inline

from tidegate.cli.app import EXTRA, Commands
from tidegate.nodes.main import ENTRIES

ALL = [block for page in PAGES for block in blocks(page)]
MAKEFILES = (ROOT / "Makefile", ROOT / "src/tidegate/export/c/Makefile")
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
    """One after the other, in one folder that looks like the repository."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in ("out", "build", "install", "log"):
            (tmp_path / entry.name).symlink_to(entry)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "MUJOCO_GL": "egl",
    }
    for block in RUN_HERE[page]:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
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
    assert all((ROOT / path).exists() for path in (shown or "").split()), block
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert set(filter(None, re.split(r",\s*", block.note("run by CI") or ""))) <= set(lines), block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    told = [words for block in ALL if block.page == page for words in commands(block.text)]
    for words in [*told, *inline(page)]:
        problem = fault(words)
        assert not problem, f"{page.name}: {' '.join(words)}: {problem}"


def fault(words: list[str]) -> str:
    """What is wrong with a command; empty = nothing that is known of."""
    match words:
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
    ],
)
def test_a_wrong_command_is_seen(text: str, problem: str) -> None:
    assert problem in [fault(words) for words in commands(text)]


def test_a_block_without_a_fence_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text in ("Do\n\n    tidegate run\n", "```\ntidegate run --scene road\n```\n"):
        page.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"page\.md:\d: shell commands"):
            list(blocks(page))
