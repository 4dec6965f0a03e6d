# SPDX-License-Identifier: Apache-2.0
"""What the code never does, read off the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tidegate

ROOT = Path(tidegate.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
IMPORTS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "yaml.load": "its loader may be any",
    "yaml.load_all": "its loader may be any",
    "yaml.full_load": "makes objects",
    "yaml.unsafe_load": "makes objects",
    "pickle.load": "runs code",
    "pickle.loads": "runs code",
    "os.system": "a shell",
    "os.popen": "a shell",
    "shutil.unpack_archive": "paths that lead out",
    "zipfile.ZipFile": "paths that lead out",
    "ElementTree.parse": "use security.parse: entities",
    "minidom.parse": "entities",
    "minidom.parseString": "entities",
}
NUMPY = {"np.load", "numpy.load"}
SHELLS = {"subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output"}


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of an attribute or a name; empty for anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def given(call: ast.Call, name: str) -> object:
    """The constant that is given for a keyword; None = not given."""
    return next(
        (word.value.value for word in call.keywords if word.arg == name and isinstance(word.value, ast.Constant)), None
    )


def faults(source: str) -> list[str]:
    """What a module must not do, by line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [f"{node.lineno}: imports {name}" for name in names if name.split(".")[0] in IMPORTS]
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in BUILT_IN or name in CALLS:
            found.append(f"{node.lineno}: {name}: {CALLS.get(name, 'runs code')}")
        if name in NUMPY and given(node, "allow_pickle") is not False:
            found.append(f"{node.lineno}: {name} without allow_pickle=False")
        if name == "torch.load" and given(node, "weights_only") is not True:
            found.append(f"{node.lineno}: torch.load without weights_only=True")
        if name in SHELLS and given(node, "shell") is not None:
            found.append(f"{node.lineno}: {name} with shell")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_run_and_no_shell_is_asked(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "exec(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "subprocess.run('ls', shell=True)",
        "zipfile.ZipFile(path).extractall()",
    ],
)
def test_it_would_be_found(line: str) -> None:
    assert len(faults(line)) == 1


def test_yaml_and_xml_of_others_have_one_reader() -> None:
    """Bounded in size, depth and aliases: ``security.parse``. Fast DDS's own profile is the user's."""
    homes: dict[str, set[str]] = {"yaml.safe_load": set(), "ElementTree.fromstring": set()}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and dotted(node.func) in homes:
                homes[dotted(node.func)].add(str(path.relative_to(ROOT)))
    assert homes == {"yaml.safe_load": {"security/parse.py"}, "ElementTree.fromstring": {"security/parse.py"}}


def test_every_direct_dependency_is_listed_with_its_licence() -> None:
    repository = ROOT.parents[1]
    wanted = set(re.findall(r'"([A-Za-z][\w-]*)(?:[<>=][^"]*)"', (repository / "setup.py").read_text()))
    wanted |= set(re.findall(r'"(ros-jazzy-[\w-]+|types-PyYAML)"', (repository / "setup.py").read_text()))
    listed = set(
        re.findall(r"`([A-Za-z][\w-]*)`", (repository / "SECURITY.md").read_text().partition("## Dependencies")[2])
    )
    assert len(wanted) > 30
    assert wanted - {"python"} <= listed, wanted - listed
