# SPDX-License-Identifier: Apache-2.0
"""``tidegate export``: what it writes stands alone, and what it cannot write it refuses in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from export_drive import CONFIG, MODEL
from onnx import helper
from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.errors import BundleError, ExportError
from tidegate.export import compiled, targets
from tidegate.export.network import Network
from tidegate.export.numpy_folder import numpy_step
from tidegate.export.targets import export_bundle


def export(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["export", str(MODEL), "--config", str(CONFIG), *map(str, arguments)])
    assert done.exception is None, done.exception
    return done.output


def test_the_numpy_folder_needs_numpy_alone_and_checks_itself(tmp_path):
    out = tmp_path / "deep" / "folder"
    assert "of full scale" in export("--to", "numpy", "--out", out)
    script = """
import runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tidegate", "torch", "onnx", "onnxruntime", "cv2", "safetensors", "scipy"}:
            raise ImportError(name)
sys.meta_path.insert(0, Nothing())
runpy.run_path(sys.argv[1], run_name="__main__")
"""
    command = [sys.executable, "-c", script, str(out / "network.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of full scale" in done.stdout
    with np.load(out / "weights.npz", allow_pickle=False) as arrays:
        spoilt = dict(arrays)
    spoilt["output_bias"] = spoilt["output_bias"] * 1.01
    np.savez(out / "weights.npz", **spoilt)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_the_onnx_file_holds_names_shapes_facts_and_its_parity_sequence(tmp_path):
    out = tmp_path / "car.onnx"
    export("--to", "onnx", "--out", out)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert {one.name: (one.type, one.shape) for one in session.get_inputs()} == {
        "image": ("tensor(uint8)", [80, 160, 3]),
        "speed": ("tensor(float)", []),
        "dt": ("tensor(float)", []),
        "neurons": ("tensor(float)", [19]),
    }
    shapes = {one.name: one.shape for one in session.get_outputs()}
    assert shapes == {
        "drive_force": [],
        "path_curvature": [],
        "gains": [3],
        "lane": [6],
        "lane_bound": [6],
        "next_neurons": [19],
    }
    told = session.get_modelmeta().custom_metadata_map
    facts, parity = json.loads(told["tidegate"]), json.loads(told["parity"])
    assert facts["name"] == "car-ltc19"
    assert len(facts["outputs"]) == len(parity["outputs"][0]) == 17


def test_the_c_folder_is_written(tmp_path):
    told = export("--to", "c", "--out", tmp_path / "c")
    assert (tmp_path / "c" / "tidegate.h").exists()
    assert ("of full scale" in told) == (compiled.compiler() is not None)


def test_without_a_compiler_c_is_written_unchecked(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "compiler", lambda: None)
    told = export("--to", "c", "--out", tmp_path / "c")
    assert "make -C" in told.replace("\n", " ")


def test_an_unknown_target_and_a_path_that_exists_are_refused(bundles, car_settings, tmp_path):
    with pytest.raises(ExportError, match="'rust'; it must be one of onnx, c, numpy"):
        export_bundle(bundles["ltc"], car_settings, "rust", tmp_path / "new")
    for target in targets.TARGETS:
        with pytest.raises(ExportError, match="exists already"):
            export_bundle(bundles["ltc"], car_settings, target, tmp_path)


def test_a_backbone_of_another_kind_is_refused_by_name(bundles, car_settings):
    bundle = bundles["ltc"]
    model = onnx.load_from_string(bundle.backbone)
    pooled = onnx.ModelProto()
    pooled.CopyFrom(model)
    next(node for node in pooled.graph.node if node.op_type == "Relu").op_type = "Sigmoid"
    with pytest.raises(ExportError, match="operator 'Sigmoid'; exported are"):
        Network.of(replace(bundle, backbone=pooled.SerializeToString()), car_settings)
    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    conv = wider.graph.node[0]
    conv.attribute.remove(next(one for one in conv.attribute if one.name == "strides"))
    conv.attribute.append(helper.make_attribute("strides", [1, 1]))
    with pytest.raises(ExportError, match="node 0 of its backbone is 'Conv'"):
        Network.of(replace(bundle, backbone=wider.SerializeToString()), car_settings)
    lacking = onnx.ModelProto()
    lacking.CopyFrom(model)
    lacking.graph.initializer.remove(next(one for one in lacking.graph.initializer if one.name == "lane.weight"))
    with pytest.raises(ExportError, match="lacks a layer"):
        Network.of(replace(bundle, backbone=lacking.SerializeToString()), car_settings)


def test_an_unknown_cell_is_refused(bundles, car_settings):
    other = replace(bundles["ltc"], policy=replace(bundles["ltc"].policy, cell="gru"))
    with pytest.raises(ExportError, match="cell is 'gru'; exported are ltc, cfc"):
        Network.of(other, car_settings)
    arrays = {**bundles["cfc"].arrays, "liquid.cell.dense_time_weight": np.zeros((2, 5), np.float32)}
    with pytest.raises(ExportError, match="parameters dense_time_weight; exported are bias, weight"):
        Network.of(replace(bundles["cfc"], arrays=arrays), car_settings)


def test_a_camera_smaller_than_the_input_is_refused(bundles, car_settings):
    small = replace(car_settings, camera=replace(car_settings.camera, width=80))
    with pytest.raises(ExportError, match="96 × 48 px; the cropped image of the camera is 80 × 56 px"):
        Network.of(bundles["ltc"], small)


def test_a_camera_that_would_be_rectified_is_refused(bundles, car_settings, tmp_path):
    other = replace(car_settings, camera=replace(car_settings.camera, fov_deg=55.0))
    with pytest.raises(ExportError, match="was trained with another camera than the settings"):
        export_bundle(bundles["ltc"], other, "numpy", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_corrupt_bundle_is_refused(bundles, car_settings, tmp_path):
    arrays = {name: array for name, array in bundles["ltc"].arrays.items() if "raw_leak" not in name}
    with pytest.raises(BundleError, match="corrupt"):
        export_bundle(replace(bundles["ltc"], arrays=arrays), car_settings, "c", tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("wrong", [np.nan, 0.03])
def test_an_export_that_differs_is_refused(wrong, networks, parities):
    right = numpy_step(networks["ltc"])

    def step(image, speed, dt, neurons):
        outputs, after = right(image, speed, dt, neurons)
        outputs[1] += wrong if speed == 8 else 0  # one output of one frame
        return outputs, after

    assert parities["ltc"].hold(right, networks["ltc"].facts) <= 1e-5
    with pytest.raises(ExportError, match="of full scale off the live path"):
        parities["ltc"].hold(step, networks["ltc"].facts)
