# SPDX-License-Identifier: Apache-2.0
"""What the code never does, read off the code."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from pathlib import Path

import pytest

import tidegate

ROOT = Path(tidegate.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
IMPORTS = {
    **dict.fromkeys(("pickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"), "runs code"),
    **dict.fromkeys(("tarfile", "zipfile"), "paths that lead out"),
    **dict.fromkeys(("xml.dom", "xml.sax", "lxml"), "entities"),
}
HARMLESS = {"zipfile.BadZipFile"}
"""May be had all the same: it only names a fault."""
NEVER = {
    **dict.fromkeys(("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__"), "runs code"),
    **dict.fromkeys(("yaml.load", "yaml.load_all"), "its loader may be any"),
    **dict.fromkeys(
        ("yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"), "makes objects"
    ),
    **dict.fromkeys(("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"), "a shell"),
    "asyncio.create_subprocess_shell": "a shell",
    "shutil.unpack_archive": "paths that lead out",
    **dict.fromkeys((f"xml.etree.ElementTree.{name}" for name in ("parse", "iterparse", "XML", "XMLID")), "entities"),
}
STARTS = ("run", "Popen", "call", "check_call", "check_output")


def given(call: ast.Call, name: str, otherwise: object) -> object:
    """The constant that is given for a keyword; None = no constant, or it may be among others (``**``)."""
    for word in call.keywords:
        if word.arg in (name, None):
            return word.value.value if isinstance(word.value, ast.Constant) else None
    return otherwise


ONLY: dict[str, tuple[str, Callable[[ast.Call], bool]]] = {
    "numpy.load": ("without allow_pickle=False", lambda call: given(call, "allow_pickle", None) is False),
    "torch.load": ("without weights_only=True", lambda call: given(call, "weights_only", None) is True),
    **{
        f"subprocess.{name}": ("perhaps with a shell", lambda call: given(call, "shell", False) is False)
        for name in STARTS
    },
}
"""May be called in one way alone, and not be handed on."""


def imported(tree: ast.AST) -> dict[str, str]:
    """What each name that a module imports, anywhere in it, stands for in full."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """``a.b.c`` in full of an attribute or a name; empty for anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    if isinstance(node, ast.Name):
        return names.get(node.id, f"builtins.{node.id}" if hasattr(builtins, node.id) else node.id)
    return ""


def within(name: str) -> str | None:
    """Why nothing is to be had of the module that ``name`` is in; None = it may."""
    parts = name.split(".")
    return next((why for size in range(len(parts), 0, -1) if (why := IMPORTS.get(".".join(parts[:size])))), None)


def brought(node: ast.AST, names: dict[str, str]) -> list[str]:
    """The full names that an import brings, by ``importlib`` too."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module or ''}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and dotted(node.func, names) == "importlib.import_module":
        return [str(one.value) for one in node.args[:1] if isinstance(one, ast.Constant)]
    return []


def faults(source: str) -> list[str]:
    """What a module must not do, by line."""
    tree = ast.parse(source)
    names, found = imported(tree), []
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        for name in brought(node, names):
            why = within(name) or NEVER.get(name) or ("all of it" if name.endswith(".*") else None)
            if why and name not in HARMLESS:
                found.append(f"{node.lineno}: imports {name}: {why}")
        name = dotted(node, names)
        if name in NEVER:
            found.append(f"{node.lineno}: {name}: {NEVER[name]}")
        elif name in ONLY:
            how, allowed = ONLY[name]
            if id(node) not in calls or not allowed(calls[id(node)]):
                found.append(f"{node.lineno}: {name} {how}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_run_and_no_shell_is_asked(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import importlib\nimportlib.import_module('pickle')",
        "from importlib import import_module as get\nget('dill')",
        "eval('1')",
        "exec(text)",
        "run = eval",
        "import builtins\nbuiltins.exec(text)",
        "from builtins import compile as make",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import yaml as y\ny.unsafe_load(text)",
        "from yaml import load",
        "from yaml import full_load as safe_load",
        "from yaml import *",
        "import yaml\nread = yaml.load",
        "import os\nos.system('ls')",
        "from os import system",
        "def late():\n    from os import popen as read",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy\nnumpy.load(path, **options)",
        "from numpy import load\nload(path)",
        "import numpy as np\nread = np.load",
        "import torch\ntorch.load(path)",
        "from torch import load as read\nread(path, weights_only=False)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.run('ls', shell=wanted)",
        "import subprocess\nsubprocess.Popen('ls', **options)",
        "from subprocess import run\nrun('ls', shell=True)",
        "from subprocess import check_output as ask\nask('ls', shell=True)",
        "import subprocess as sub\nsub.getoutput('ls')",
        "import asyncio\nasyncio.create_subprocess_shell('ls')",
        "import zipfile",
        "from zipfile import ZipFile",
        "from zipfile import ZipFile as Archive",
        "import tarfile as tar",
        "from shutil import unpack_archive",
        "from xml.etree import ElementTree\nElementTree.parse(path)",
        "from xml.etree.ElementTree import iterparse",
        "import xml.etree.ElementTree as ET\nET.XML(text)",
        "import xml.dom.minidom",
        "from xml.dom import minidom",
        "from xml import sax",
    ],
)
def test_it_would_be_found(source: str) -> None:
    found = faults(source)
    assert len(found) == 1
    assert found[0].startswith(f"{len(source.splitlines())}: ")


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile(text)",
        "from re import compile\ncompile(text)",
        "model = spec.compile()",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "import subprocess\nsubprocess.run(['ls'], check=True)",
        "from subprocess import run\nrun(['ls'], shell=False)",
        "from zipfile import BadZipFile",
        "from xml.etree import ElementTree\nElementTree.Element('a')",
        "import os.path\nos.path.join(a, b)",
        "def system(load):\n    return load()",
    ],
)
def test_what_is_harmless_is_not(source: str) -> None:
    assert faults(source) == []


def test_yaml_and_xml_of_others_have_one_reader() -> None:
    """Bounded in size, depth and aliases: ``security.parse``. Fast DDS's own profile is the user's."""
    homes: dict[str, set[str]] = {"yaml.safe_load": set(), "xml.etree.ElementTree.fromstring": set()}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = imported(tree)
        for node in ast.walk(tree):
            for name in (dotted(node, names), *brought(node, names)):
                if name in homes:
                    homes[name].add(str(path.relative_to(ROOT)))
    assert homes == {name: {"security/parse.py"} for name in homes}
