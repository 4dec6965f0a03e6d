# SPDX-License-Identifier: Apache-2.0
"""Every target gives what the live path gives, over a drive with lost frames, to 1e-5 of full scale."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from export_drive import CELLS, Drive, recorded_drive

from tidegate.bundle import Bundle
from tidegate.export.c_library import export_c
from tidegate.export.compiled import Compiled, compiler
from tidegate.export.network import Network
from tidegate.export.numpy_folder import numpy_step
from tidegate.export.onnx_model import export_onnx, onnx_step
from tidegate.export.parity import Parity, Step
from tidegate.export.standalone import TOLERANCE, share_off
from tidegate.export.targets import TARGETS, export_bundle
from tidegate.perception.image import prepare
from tidegate.records import Floats
from tidegate.settings import Settings
from tidegate.stack import Stack

BUILDS = {  # name: compiler, flags to link, what runs the program
    "native": ("cc", (), ()),
    "aarch64": ("aarch64-linux-gnu-gcc", ("-static",), ("qemu-aarch64",)),
    "armhf": ("arm-linux-gnueabihf-gcc", ("-static",), ("qemu-arm",)),
}
HARNESS = Path(__file__).with_name("frames.c")


def stepped(step: Step, drive: Drive, network: Network) -> Floats:
    state, rows = np.zeros(sum(network.facts["neurons"].values()), np.float32), []
    for image, speed, dt in zip(drive.images, drive.speed, drive.dt, strict=True):
        outputs, state = step(image, float(speed), float(dt), state)
        rows.append(outputs)
    return np.array(rows)


def run_c(build: str, folder: Path, drive: Drive, network: Network, tmp_path: Path) -> Floats:
    compiler, flags, runner = BUILDS[build]
    for tool in (compiler, *runner):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    sources = [
        HARNESS,
        *(folder / f"{name}.c" for name in ("liquid", "cell", "camera", "liquid_weights", "camera_weights")),
    ]
    program = tmp_path / "frames"
    options = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", f"-I{folder}")
    subprocess.run([compiler, *options, *flags, "-o", program, *sources, "-lm"], check=True)
    given = b"".join(
        np.float32([speed, dt]).tobytes() + image.tobytes()
        for image, speed, dt in zip(drive.images, drive.speed, drive.dt, strict=True)
    )
    made = subprocess.run([*runner, program], input=given, capture_output=True, check=True).stdout
    neurons = sum(network.facts["neurons"].values())
    return np.frombuffer(made, np.float32).reshape(len(drive.images), -1)[:, :-neurons].astype(np.float64)


def agree(found: Floats, expected: Floats, network: Network) -> None:
    assert found.shape == expected.shape
    full_scale = np.array(network.facts["full_scale"])[: expected.shape[1]]
    assert share_off(found, expected, full_scale) <= TOLERANCE


def target_step(target: str, network: Network, bundle: Bundle, parity: Parity) -> Step:
    return numpy_step(network) if target == "numpy" else onnx_step(export_onnx(network, bundle.backbone, parity))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("target", ["onnx", "numpy"])
def test_python_targets_follow_the_live_path(target, cell, bundles, networks, parities, lived, short_drive):
    step = target_step(target, networks[cell], bundles[cell], parities[cell])
    agree(stepped(step, short_drive, networks[cell]), lived[cell], networks[cell])


@pytest.fixture(scope="module")
def recorded() -> tuple[Drive, Floats]:
    return recorded_drive(Path(__file__).parents[1] / "golden" / "road")


@pytest.mark.parametrize("path", ["live", "torch", "onnx", "numpy", *BUILDS])
def test_every_path_gives_the_commands_that_a_bag_recorded(
    path, recorded, bundles, networks, parities, c_folders, car_settings, tmp_path
):
    """The shipped network drove and the node graph's own records say what it did."""
    (drive, commands), network, bundle = recorded, networks["ltc"], bundles["ltc"]
    assert len(commands) >= 40
    assert np.ptp(commands[:, :2] / network.facts["full_scale"][:2], axis=0).min() > 0.01  # it did something
    if path == "live":
        found = drive.live(bundle, car_settings)
    elif path == "torch":
        found = trained(bundle, car_settings, drive)
    elif path in BUILDS:
        found = run_c(path, c_folders["ltc"], drive, network, tmp_path)
    else:
        found = stepped(target_step(path, network, bundle, parities["ltc"]), drive, network)
    agree(found[:, : commands.shape[1]], commands, network)


EMULATED = pytest.mark.slow  # for as long; the recorded bag, which is shorter, goes through the emulators always


@pytest.mark.parametrize(
    ("build", "cell"),
    [
        *(("native", cell) for cell in CELLS),
        *(pytest.param(build, cell, marks=EMULATED) for build in ("aarch64", "armhf") for cell in CELLS),
    ],
)
def test_c_follows_the_live_path(build, cell, networks, c_folders, lived, short_drive, tmp_path):
    found = run_c(build, c_folders[cell], short_drive, networks[cell], tmp_path)
    agree(found, lived[cell], networks[cell])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("target", ["onnx", "numpy"])
def test_a_speed_that_is_none_commands_nothing_and_is_not_remembered(target, cell, bundles, networks, parities):
    step = target_step(target, networks[cell], bundles[cell], parities[cell])
    image, rest = parities[cell].images[0], np.zeros(19, np.float32)
    before, neurons = step(image, 3.0, 0.0, rest)
    for speed in (np.nan, np.inf):
        outputs, after = step(image, speed, 0.05, neurons)
        assert np.isnan(outputs[:2]).all()
        np.testing.assert_array_equal(after, neurons)
        np.testing.assert_allclose(outputs[2:], before[2:], rtol=1e-6)
        for dt in (0.6, -0.1, np.nan):
            np.testing.assert_array_equal(step(image, speed, dt, neurons)[1], rest)
    for dt in (0.6, -0.1, np.nan):  # the neurons start anew, as with the first frame
        np.testing.assert_array_equal(step(image, 3.0, dt, neurons)[0], before)


@pytest.mark.parametrize("target", ["onnx", "numpy", "c"])
def test_values_too_large_for_their_sums_are_not_remembered(target, bundles, car_settings):
    """inf − inf in a closed form with large weights: NaN would stay."""
    name, bundle = "liquid.cell.weight", bundles["cfc"]
    bundle = replace(bundle, arrays={**bundle.arrays, name: 1e4 * bundle.arrays[name]})
    network, parity = Network.of(bundle, car_settings), Parity.of(bundle, car_settings)
    if target == "c":
        if compiler() is None:
            pytest.skip("no C compiler is installed")
        step = Compiled(network, export_c(network, parity)).step
    else:
        step = target_step(target, network, bundle, parity)
    image = parity.images[0]
    _, neurons = step(image, 3.0, 0.0, np.zeros(19, np.float32))
    with np.errstate(all="ignore"):
        outputs, after = step(image, 1e308 if target == "numpy" else 3e38, 0.05, neurons)
    assert np.isnan(outputs[:2]).all()
    np.testing.assert_array_equal(after, neurons)
    assert np.isfinite(step(image, 3.0, 0.05, after)[0][:2]).all()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_other_sizes_of_everything(target, cell, car_settings, tmp_path):
    """What the shipped sizes hide: odd maps, numbers of features and lane values that fill no block of channels."""
    settings = replace(
        car_settings,
        camera=replace(car_settings.camera, height=121, width=203, rate_hz=13.0),
        perception=replace(
            car_settings.perception,
            crop_top=0.2,
            crop_bottom=0.1,
            input_height=41,
            input_width=70,
            features=7,
            preview_m=(5.0,),
        ),
        policy=replace(
            car_settings.policy,
            cell="cfc" if cell == "cfc" else "ltc",
            solver="exponential_midpoint" if cell == "midpoint" else "fused_euler",
            inter_neurons=7,
            command_neurons=5,
            motor_fanin=4,
            command_recurrent=3,
            substeps=2,
        ),
    )
    bundle = Stack.from_settings(settings, 1).to_bundle("odd", settings, 900.0, conformal=[1.0, 2.0, 3.0])
    off = export_bundle(bundle, settings, target, tmp_path / "out")
    assert off is None or off <= TOLERANCE
    if target == "c" and shutil.which("make") and compiler():
        subprocess.run(["make", "-s", "check"], cwd=tmp_path / "out", check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # emulated, on a busy machine
@pytest.mark.parametrize("target", ["onnx", "numpy", *BUILDS])
def test_a_whole_drive(target, bundles, networks, parities, c_folders, car_settings, whole_drive, tmp_path):
    network, bundle = networks["ltc"], bundles["ltc"]
    if target in BUILDS:
        found = run_c(target, c_folders["ltc"], whole_drive, network, tmp_path)
    else:
        found = stepped(target_step(target, network, bundle, parities["ltc"]), whole_drive, network)
    agree(found, whole_drive.live(bundle, car_settings), network)
    commands = trained(bundle, car_settings, whole_drive)
    agree(found[:, : commands.shape[1]], commands, network)


def trained(bundle: Bundle, settings: Settings, drive: Drive) -> Floats:
    """Command and gains (T, 2 + G) of the stack as torch computes it in training."""
    images = np.stack([prepare(image, bundle.perception) for image in drive.images])
    dt = np.where(drive.dt == 0, 1 / settings.camera.rate_hz, drive.dt).astype(np.float32)
    with torch.no_grad():
        output = Stack.from_bundle(bundle)(*(torch.from_numpy(array)[None] for array in (images, drive.speed, dt)))
    force = output.acceleration * bundle.mass_kg
    return torch.cat([force[..., None], output.curvature[..., None], output.gains], dim=-1)[0].double().numpy()
