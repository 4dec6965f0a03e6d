# SPDX-License-Identifier: Apache-2.0
"""Bad input to the command line, in processes of its own: one line that names it, exit code 2, nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from ctypes.util import find_library
from pathlib import Path

import pytest

pytest.importorskip("mujoco")

from domains import random_domain
from tidegate.bag import BagReader, BagWriter
from tidegate.security.manifest import write_manifest
from tidegate.share import share_path

BUNDLE = share_path("models/car-ltc19")
CONFIG = share_path("config/car.yaml")
GOLDEN = Path(__file__).parent / "golden" / "road"
DRIVE = ("evaluate", "--scene", "road", "--seeds", "1000", "--out", "out")


def called(place: Path, *words: str | Path, without: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """``tidegate words`` in the folder ``place``, where the Python module ``without`` cannot be imported."""
    script = f"import sys; sys.modules[{without!r}] = None; from tidegate.cli.app import main; main()"
    command, environment = [sys.executable, "-c", script, *map(str, words)], {**os.environ, **variables}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120)


def copied(source: Path, place: Path) -> Path:
    return Path(shutil.copytree(source, place / source.name))


def altered(place: Path) -> Path:
    bundle = copied(BUNDLE, place)
    weights = bytearray((bundle / "weights.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (bundle / "weights.safetensors").write_bytes(weights)
    return bundle


def foreign(place: Path) -> Path:
    bundle = copied(BUNDLE, place)
    manifest = json.loads((bundle / "bundle.json").read_text("utf-8"))
    (bundle / "bundle.json").write_text(json.dumps(manifest | {"robot": "lorry"}), "utf-8")
    write_manifest(bundle)
    return bundle


def mistyped(place: Path) -> Path:
    file = place / "mine.yaml"
    text = CONFIG.read_text("utf-8")
    assert "brake_guaranteed" in text
    file.write_text(text.replace("brake_guaranteed", "brake_guarantee"), "utf-8")
    return file


def blind(place: Path) -> Path:
    """The golden bag without its pictures."""
    reader = BagReader(GOLDEN)
    with BagWriter(place / "blind") as writer:
        for name, kind, received, data in reader.raw([name for name in reader.topics if "image" not in name]):
            writer.write_raw(name, kind, data, received)
    return place / "blind"


def cut(place: Path) -> Path:
    """The golden bag, whose file ends within its header."""
    bag = copied(GOLDEN, place)
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:20])
    return bag


def note(place: Path) -> Path:
    """A file where a folder is wanted."""
    file = place / "note.txt"
    file.write_text("a note\n", "utf-8")
    return file


CASES: dict[str, tuple[Callable[[Path], tuple[str | Path, ...]], str]] = {
    "missing bundle": (lambda place: (*DRIVE, "--bundle", place / "none"), "none: no such bundle"),
    "altered bundle": (lambda place: (*DRIVE, "--bundle", altered(place)), "weights.safetensors: is corrupt"),
    "bundle of another robot": (lambda place: (*DRIVE, "--bundle", foreign(place)), "made for robot 'lorry'"),
    "demo's bundle": (lambda place: ("demo", "--out", "out", "--bundle", place / "none"), "none: no such bundle"),
    "typo in the settings": (lambda place: (*DRIVE, "--config", mistyped(place)), "key 'vehicle.brake_guarantee'"),
    "unknown scene": (lambda place: ("evaluate", "--scene", "raod", "--seeds", "1", "--out", "out"), "'raod'; known:"),
    "seeds": (lambda place: ("evaluate", "--scene", "road", "--seeds", "5:1", "--out", "out"), "seeds '5:1': must be"),
    "training without camera": (
        lambda place: ("train", "--bags", blind(place), "--out", "out", "--work", "out"),
        "has no camera images, topic 'camera/image_raw'",
    ),
    "truncated bag": (lambda place: ("replay", cut(place)), "road: is cut off or corrupt, no message can be read"),
    "no bag": (lambda place: ("info", place / "none"), "none: no such bag"),
    "results into a file": (lambda place: (*DRIVE[:-1], note(place)), "note.txt: cannot be used (Not a directory)"),
    "results below a file": (
        lambda place: ("inspect", BUNDLE, "--svg", note(place) / "a.svg"),
        "note.txt: cannot be used (File exists)",
    ),
    "page over a folder": (lambda place: ("replay", GOLDEN, "--html", place), "cannot be used (Is a directory)"),
    "training into a file": (
        lambda place: ("train", "--bags", GOLDEN, "--work", note(place)),
        "note.txt: cannot be used (Not a directory)",
    ),
    "part that is none": (lambda place: ("replay", GOLDEN, "--disable", "lnae"), "cannot disable 'lnae'; parts are"),
    "no scene": (lambda place: ("cause", "--scene", "", "--out", "out"), "name at least one scene"),
    "namespace": (lambda place: ("doctor", "--namespace", "a b"), "--namespace is 'a b'; it must be letters"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_code_2(case: str, tmp_path: Path) -> None:
    make, said = CASES[case]
    done = called(tmp_path, *make(tmp_path))
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(find_library("OSMesa") is not None, reason="the library that is to be absent is there")
@pytest.mark.parametrize("words", [DRIVE, ("demo", "--out", "out"), ("run", "--record", "out")])
def test_without_a_graphics_library_the_command_says_what_to_install_whatever_its_options(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    done = called(tmp_path, *words, MUJOCO_GL="osmesa", PYOPENGL_PLATFORM="osmesa", ROS_DOMAIN_ID=random_domain())
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert "apt-get install libegl1 libgl1" in line
    assert "pip install" not in line  # which would not help
    assert "Traceback" not in done.stderr


def test_a_replay_without_a_camera_says_so_and_is_different(tmp_path: Path) -> None:
    done = called(tmp_path, "replay", blind(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "no camera in the bag: perception and policy were not run\n" in done.stdout


def test_without_an_extra_the_command_names_it_and_the_list_of_commands_still_shows(tmp_path: Path) -> None:
    done = called(tmp_path, *DRIVE, without="mujoco")
    assert done.returncode == 2, done.stderr
    assert "pip install tidegate[sim]" in done.stderr
    shown = called(tmp_path, "--help", without="mujoco")
    assert shown.returncode == 0, shown.stderr
    assert "cannot run here" in shown.stdout
    assert "doctor" in shown.stdout


def test_help_shows_the_units_of_options(tmp_path: Path) -> None:
    shown = called(tmp_path, "evaluate", "--help", COLUMNS="120").stdout
    assert "longest drive [s]" in shown


def test_a_full_disk_is_one_line_whatever_was_to_be_written(tmp_path: Path) -> None:
    ended = called(tmp_path, "inspect", BUNDLE, "--svg", "/dev/full")
    assert (ended.returncode, ended.stderr) == (2, "error: a file: cannot be used (No space left on device)\n")


def test_a_name_with_brackets_is_printed_as_it_is(tmp_path: Path) -> None:
    done = called(tmp_path, "inspect", BUNDLE, "--svg", "[b] of [bold] car.svg")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("wiring drawn to [b] of [bold] car.svg\n")
