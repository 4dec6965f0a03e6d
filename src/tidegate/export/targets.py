# SPDX-License-Identifier: Apache-2.0
"""Write an export, after it has been compared with the live path where that is possible here."""

from __future__ import annotations

from pathlib import Path

from tidegate.bundle import Bundle
from tidegate.errors import ExportError
from tidegate.export.c_library import export_c
from tidegate.export.compiled import Compiled, compiler
from tidegate.export.network import Network
from tidegate.export.numpy_folder import export_numpy, numpy_step
from tidegate.export.onnx_model import export_onnx, onnx_step
from tidegate.export.parity import Parity, Step
from tidegate.settings import Settings

TARGETS = ("onnx", "c", "numpy")


def export_bundle(bundle: Bundle, settings: Settings, target: str, out: Path) -> float | None:
    """Write ``bundle`` for ``target`` to ``out``: a file (onnx) or a folder.

    Returns:
        the largest difference from the live path on the parity sequence, as a share of full scale; None where C
        could not be compiled here.

    Raises:
        ExportError: an unknown target, ``out`` exists, the network cannot be exported, or the export differs.
        BundleError: the bundle cannot be run.
    """
    if target not in TARGETS:
        raise ExportError(f"target is '{target}'; it must be one of {', '.join(TARGETS)}")
    if out.exists():
        raise ExportError(f"{out}: exists already; name a new {'file' if target == 'onnx' else 'folder'}")
    parity = Parity.of(bundle, settings)
    network = Network.of(bundle, settings)
    step: Step | None
    if target == "onnx":
        files = {"": export_onnx(network, bundle.backbone, parity)}  # the path itself
        step = onnx_step(files[""])
    elif target == "numpy":
        files, step = export_numpy(network, parity), numpy_step(network)
    else:
        sources = export_c(network, parity)
        files = {name: text.encode() for name, text in sources.items()}
        step = Compiled(network, sources).step if compiler() else None
    off = None if step is None else parity.hold(step, network.facts)
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    return off
