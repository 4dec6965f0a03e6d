# SPDX-License-Identifier: Apache-2.0
"""A package outside the repository, installed by pip: its barriers are found, judged, tried and driven with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.share import share_path

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example elsewhere, with the shipped robot description by its full path."""
    made = tmp_path_factory.mktemp("stranger") / "own_barrier"
    shutil.copytree(ROOT / "examples/own_barrier", made)
    robot = made / "car.yaml"
    text = robot.read_text(encoding="utf-8")
    assert "../../urdf/car.urdf.xacro" in text
    robot.write_text(
        text.replace("../../urdf/car.urdf.xacro", str(share_path("urdf/car.urdf.xacro"))), encoding="utf-8"
    )
    return made


@pytest.fixture(scope="module")
def site(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is built and installed into, without any index."""
    target = tmp_path_factory.mktemp("site")
    install(folder, target)
    shutil.rmtree(folder / "src")  # from here on only what pip installed
    return target


def install(folder: Path, target: Path) -> None:
    """Build and install a package offline."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(target), str(folder)], check=True)


def python(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the example's folder with the installed package."""
    paths = [str(site), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "MUJOCO_GL": "egl"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_its_own_tests_pass(site: Path, folder: Path) -> None:
    ran = python(site, folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "10 passed" in ran.stdout


@pytest.mark.slow
def test_the_limit_holds_with_it_and_is_exceeded_without(site: Path, folder: Path) -> None:
    ran = python(site, folder, "drive.py")
    assert ran.returncode == 0, ran.stderr
    runs = dict(re.findall(r"without (\w+): ([\d.]+) m/s at most in the zone", ran.stdout))
    assert runs.keys() == {"nothing", "school"}
    assert 4.0 < float(runs["nothing"]) <= 6.0 < 9.0 < float(runs["school"])
    (first, second) = (line.split("acted: ")[1].split(", ") for line in ran.stdout.splitlines())
    assert {"school", "gentle_bends"} <= set(first)
    assert "school" not in second


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("radius: 0.0", "'safety.barriers.school.radius' is 0.0; it must be 1 to 1000 [m]"),
        ("radios: 9.0", "unknown key 'safety.barriers.school.radios'; known here: deceleration, drift"),
    ],
)
def test_what_the_file_says_wrong_of_it_is_refused(site: Path, folder: Path, given: str, words: str) -> None:
    text = (folder / "car.yaml").read_text(encoding="utf-8")
    wrong = folder / "wrong.yaml"
    wrong.write_text(text.replace("radius: 12.0", given), encoding="utf-8")
    ran = python(site, folder, "-c", "from tidegate.settings import load_settings; load_settings('wrong.yaml')")
    assert f"SettingsError: wrong.yaml: {words}" in ran.stderr


def test_without_the_package_its_type_is_named(folder: Path, tmp_path: Path) -> None:
    ran = python(tmp_path, folder, "-c", "from tidegate.settings import load_settings; load_settings('car.yaml')")
    assert "is 'gentle_bends'; it must be one of curve, distance" in ran.stderr


def blocks(language: str) -> list[str]:
    """The code of docs/own_barrier.md in one language."""
    page = (ROOT / "docs/own_barrier.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.mark.slow
def test_what_the_page_says_works_as_it_stands(tmp_path: Path) -> None:
    """A stranger's package, file and test, copied from the page."""
    barrier, contract, constraint = blocks("python")
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "time_gap.py").write_text(barrier, encoding="utf-8")
    (package / "gentle.py").write_text(constraint, encoding="utf-8")
    gentle = 'gentle = "my_package.gentle:GentleBends"\n'
    (tmp_path / "pyproject.toml").write_text(blocks("toml")[0] + gentle, encoding="utf-8")
    install(tmp_path, tmp_path / "site")
    shutil.rmtree(package)
    shipped = share_path("config/car.yaml").read_text(encoding="utf-8")
    shipped = shipped.replace("../urdf/car.urdf.xacro", str(share_path("urdf/car.urdf.xacro")))
    added = blocks("yaml")[0].partition("ros__parameters:\n")[2] + "        gentle: {type: gentle}\n"
    (tmp_path / "my_car.yaml").write_text(shipped + added, encoding="utf-8")
    bends = contract.replace(
        '"keep_time", speeds=(1.0, 12.0), margin=0.4, start=nothing_comes, reserve=5.0', '"gentle", reserve=0.05'
    )
    assert bends != contract
    (tmp_path / "test_gap.py").write_text(contract, encoding="utf-8")
    (tmp_path / "test_bends.py").write_text(bends, encoding="utf-8")
    quiet = ["-p", "no:cacheprovider", "-p", "no:launch_testing", "-p", "no:launch_ros", "-p", "no:launch_pytest"]
    ran = python(tmp_path / "site", tmp_path, "-m", "pytest", "-q", *quiet)
    assert (ran.returncode, "10 passed" in ran.stdout) == (0, True), ran.stdout + ran.stderr
