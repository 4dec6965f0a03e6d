# SPDX-License-Identifier: Apache-2.0
"""The bundle on disk: the same after a round trip, and every way of being wrong in one clear line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.bundle import Bundle
from tidegate.cli.inspect import inspect
from tidegate.errors import BundleError
from tidegate.liquid import LiquidPolicy
from tidegate.perception.health import Training
from tidegate.security.manifest import write_manifest
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

FILES = ["SHA256SUMS", "backbone.onnx", "bundle.json", "weights.safetensors"]
SETTINGS = load_settings(share_path("config/car.yaml"))


@pytest.fixture(scope="module")
def made() -> Bundle:
    seen = Training.of(np.random.default_rng(0).normal(size=(200, 64)))
    return Stack.from_settings(SETTINGS, 0).to_bundle(
        "car-test", SETTINGS, 1234.5, {"seed": 0, "loss": 0.25}, conformal=[1.5] * 6, seen=seen
    )


@pytest.fixture(scope="module")
def original(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "car-test"
    made.save(path)
    return path


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bundle"))


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the description, and say so in the manifest: what is tried is the reading of it."""
    described = json.loads((folder / "bundle.json").read_text())
    change(described)
    (folder / "bundle.json").write_text(json.dumps(described))
    write_manifest(folder)


def test_a_round_trip_changes_nothing_and_fits_into_a_megabyte(made: Bundle, original: Path, tmp_path: Path) -> None:
    read = Bundle.load(original, robot="car")
    values = (
        "name",
        "robot",
        "mass_kg",
        "wiring",
        "perception",
        "policy",
        "backbone",
        "conformal",
        "camera",
        "training",
    )
    for name in values:
        assert getattr(read, name) == getattr(made, name), name
    assert read.arrays.keys() == made.arrays.keys()
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array)
    read.save(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (original / name).read_bytes()
    assert sorted(file.name for file in original.iterdir()) == FILES
    assert sum(file.stat().st_size for file in original.iterdir()) <= 1_000_000


def test_a_bundle_tells_its_camera_and_one_of_before_does_not(folder: Path) -> None:
    camera = Bundle.load(folder).camera
    assert camera is not None
    assert (camera.xyz, camera.width, camera.height, camera.fov_deg) == ((2.4, 0.0, 1.36), 160, 80, 42.0)
    np.testing.assert_allclose(camera.rpy, [0, np.radians(4), 0])
    assert Bundle.load(share_path("models/car-ltc19")).camera == camera
    edit(folder, lambda manifest: manifest.pop("camera"))
    assert Bundle.load(folder).camera is None


def test_a_bundle_tells_its_solver_and_one_of_before_has_fused_euler(folder: Path, capsys: Any) -> None:
    assert Bundle.load(folder).policy.solver == "fused_euler"
    edit(folder, lambda manifest: manifest["policy"].update(solver="exponential_midpoint", substeps=2))
    bundle = Bundle.load(folder)
    assert Stack.from_bundle(bundle).policy.cell.solver == bundle.policy.solver == "exponential_midpoint"
    inspect([folder])
    assert "exponential_midpoint, 2 sub-steps a frame" in capsys.readouterr().out
    edit(folder, lambda manifest: manifest["policy"].pop("solver"))
    assert Bundle.load(folder).policy.solver == "fused_euler"


def test_what_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(BundleError, match="nowhere: no such bundle"):
        Bundle.load(folder / "nowhere")
    for name in FILES[1:]:
        (folder / name).rename(folder.parent / name)
        with pytest.raises(BundleError, match=rf"{name}: is missing"):
            Bundle.load(folder)
        (folder.parent / name).rename(folder / name)
    for name in FILES[1:]:
        (folder / name).unlink()
        write_manifest(folder)
        with pytest.raises(BundleError, match=r"is missing; a bundle has"):
            Bundle.load(folder)


@pytest.mark.parametrize("name", ["backbone.onnx", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_file_is_noticed(folder: Path, name: str, damage: str) -> None:
    data = bytearray((folder / name).read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    else:
        del data[0 if damage == "empty" else -1 :]
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name}: is corrupt"):
        Bundle.load(folder)


def test_another_robot_and_a_newer_format_are_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match="made for robot 'car'; this one is 'lorry'"):
        Bundle.load(folder, robot="lorry")
    edit(folder, lambda manifest: manifest.update(format=99))
    with pytest.raises(BundleError, match="format 99; this version reads up to 2"):
        Bundle.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": "new"}', '{"format": 2, "robot": 5}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "bundle.json").write_text(text)
    write_manifest(folder)
    with pytest.raises(BundleError, match=r"bundle\.json: is corrupt"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("mass_kg"),
        lambda manifest: manifest.update(mass_kg="heavy"),
        lambda manifest: manifest.update(conformal=[1, None]),
        lambda manifest: manifest.update(conformal=[1.0, float("nan")]),
        lambda manifest: manifest.update(conformal=[1.0, 0.0]),
        lambda manifest: manifest.update(mass_kg=-1.0),
        lambda manifest: manifest.update(mass_kg=float("inf")),
        lambda manifest: manifest.update(outlier_distance=float("nan")),
        lambda manifest: manifest.update(training=5),
        lambda manifest: manifest["policy"].update(substeps=0),
        lambda manifest: manifest["policy"].update(gear=3),
        lambda manifest: manifest["policy"].update(solver="rk4"),
        lambda manifest: manifest["policy"].update(solver="exponential_midpoint", cell="cfc"),
        lambda manifest: manifest["perception"].update(features="many"),
        lambda manifest: manifest.update(camera=7),
        lambda manifest: manifest["camera"].pop("rpy"),
        lambda manifest: manifest["camera"].update(xyz=[1.0, 2.0]),
        lambda manifest: manifest["camera"].update(fov_deg=0.0),
        lambda manifest: manifest["camera"].update(rpy=["left", 0, 0]),
    ],
)
def test_a_value_that_cannot_be_is_refused(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    edit(folder, change)
    with pytest.raises(BundleError, match=str(folder)):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["wiring"].pop("inter"),
        lambda manifest: manifest["wiring"].update(sensory=[]),
        lambda manifest: manifest["wiring"].update(command=7),
        lambda manifest: manifest["wiring"]["recurrent"].append([0, 99, 1]),
        lambda manifest: manifest["policy"].update(cell="cfc"),
        lambda manifest: manifest["policy"].update(gain_names=["lane"]),
    ],
)
def test_a_wiring_that_does_not_fit_the_weights_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    edit(folder, change)
    bundle = Bundle.load(folder)
    for use in (lambda: LiquidPolicy(bundle, SETTINGS), lambda: Stack.from_bundle(bundle)):
        with pytest.raises(BundleError, match="its network is corrupt"):
            use()


def test_inspect_tells_the_network_and_draws_it(original: Path, tmp_path: Path, capsys: Any) -> None:
    inspect([original], tmp_path / "wiring.svg")
    told = capsys.readouterr().out
    for words in (
        "car-test",
        "19 (11 inter, 6 command, 2 motor)",
        "165 sensory",
        "1,056",
        "time constants",
        "0.25",
        "160 × 80 px",
    ):
        assert words in told
    assert (tmp_path / "wiring.svg").read_text().startswith("<svg")
