# SPDX-License-Identifier: Apache-2.0
"""``tidegate inspect``: what is in a bundle, or in bags as data to learn from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.bag import bags_in, is_bag, remappings
from tidegate.bundle import DESCRIPTION, Bundle, CameraView
from tidegate.card import card_of
from tidegate.cli.common import Remap
from tidegate.cli.curate import WORK, RulesFile, Work
from tidegate.cli.inspect_bags import inspect_bags
from tidegate.curation.rules import load_rules
from tidegate.errors import BundleError
from tidegate.liquid.drawing import draw_policy
from tidegate.liquid.live import CfcStep, LtcStep
from tidegate.liquid.live_network import make_step
from tidegate.liquid.wiring import Wiring, input_names, motor_names
from tidegate.security.manifest import MANIFEST, digest, read_sealed, write_manifest
from tidegate.settings import load_settings
from tidegate.share import share_path


def inspect(
    what: Annotated[list[Path], typer.Argument(help="a bundle, such as models/car-ltc19, or bags or folders of bags")],
    svg: Annotated[Path | None, typer.Option(help="bundle: write the wiring as a picture to this file")] = None,
    renewed: Annotated[
        bool, typer.Option("--write-manifest", help="bundle: first state the files as they are now: you trust them")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="bags: write one page with pictures to this file, and a JSON beside it")
    ] = None,
    rules: RulesFile = None,
    work: Work = WORK,
    config: Annotated[Path | None, typer.Option(help="bags: robot's settings")] = None,
    remap: Remap = None,
) -> None:
    """Show what is in a bundle: its network, files, training, card; or in bags: timing, content, repetition, leaks."""
    if len(what) == 1 and (svg or renewed or not _holds_bags(what[0])):
        _inspect_bundle(what[0], svg, renewed)
        return
    if svg or renewed:
        raise BundleError("--svg and --write-manifest are of one bundle; bags have neither")
    settings = load_settings(config or share_path("config/car.yaml"))
    inspect_bags(bags_in(what), settings, load_rules(rules), work, remappings(remap or ()), html)


def _holds_bags(path: Path) -> bool:
    return is_bag(path) or any(True for pattern in ("*.mcap", "*.db3") for _ in path.rglob(pattern))


def _inspect_bundle(bundle: Path, svg: Path | None, renewed: bool) -> None:
    if renewed:
        if not (bundle / DESCRIPTION).is_file():
            raise BundleError(f"{bundle}: is no bundle (it has no {DESCRIPTION})")
        write_manifest(bundle)
    loaded = Bundle.load(bundle)
    try:
        wiring = Wiring.from_dict(loaded.wiring)
        step = make_step(loaded, wiring)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise BundleError(f"{bundle}: its network is corrupt ({error})") from error
    console = Console()
    console.print(_summary(loaded, wiring, step))
    console.print(_files(bundle))
    if loaded.training:
        console.print(_training(loaded))
    told = card_of(bundle) or f"no model card; to write one: tidegate card {bundle}"
    console.print(told, soft_wrap=True, highlight=False, markup=False)
    if svg is not None:
        svg.parent.mkdir(parents=True, exist_ok=True)
        svg.write_text(draw_policy(wiring, f"{loaded.name} · {loaded.policy.cell.upper()}"), encoding="utf-8")
        console.print(f"wiring drawn to {escape(str(svg))}")


def _summary(bundle: Bundle, wiring: Wiring, step: LtcStep | CfcStep) -> Table:
    table = Table(title=f"{bundle.name}, for robot '{bundle.robot}'", show_header=False)
    liquid = sum(array.size for array in bundle.part("liquid").values())
    layers = f"{wiring.inter} inter, {wiring.command} command, {wiring.motor} motor"
    names = input_names(wiring)
    rows = {
        "cell": bundle.policy.cell.upper(),
        "neurons": f"{wiring.neurons} ({layers})",
        "inputs": ", ".join(names) if bundle.tool else f"{bundle.perception.features} features, {names[-1]}",
        "synapses": f"{np.count_nonzero(wiring.sensory)} sensory, {np.count_nonzero(wiring.recurrent)} between neurons",
        "liquid parameters": f"{liquid:,} (each one acts: absent synapses have none)",
        "live step": step.runs_in if step.runs_in == "C" else f"{step.runs_in}: C could not be built at installation",
        "asks for": ", ".join(motor_names(wiring)),
        "backbone": f"{len(bundle.backbone) / 1024:,.0f} KiB, "
        f"image {bundle.perception.input_width} × {bundle.perception.input_height} px",
    }
    if bundle.tool is None:
        policy = bundle.policy
        rows |= {
            "gains": f"{', '.join(policy.gain_names)} in {policy.gain_low:g}–{policy.gain_high:g} 1/s",
            "camera": _camera(bundle.camera),
            "lane bound": "calibrated" if bundle.conformal else "not calibrated (infinite)",
        }
    for name, words in rows.items():
        table.add_row(name, words)
    if isinstance(step, LtcStep):
        table.add_row("solver", f"{bundle.policy.solver}, {bundle.policy.substeps} sub-steps a frame")
        fast, slow = step.time_constants()
        for name, part in zip(("inter", "command", "motor"), wiring.layers, strict=True):
            table.add_row(f"time constants, {name}", f"{fast[part].min():.3f} s to {slow[part].max():.2f} s")
    return table


def _camera(view: CameraView | None) -> str:
    if view is None:
        return "not told (a bundle of before)"
    x, y, z = (f"{value:g}" for value in view.xyz)
    turned = ", ".join(f"{math.degrees(angle):g}°" for angle in view.rpy)
    return f"{view.width} × {view.height} px, {view.fov_deg:g}° high, at ({x}, {y}, {z}) m, roll pitch yaw {turned}"


def _files(path: Path) -> Table:
    sealed = read_sealed(path)
    signed = "signed, by whom tells tidegate verify" if sealed.signature else "not signed"
    table = Table("file", "bytes", "SHA-256", title=f"{MANIFEST}: {signed}")
    for name, data in sealed.files.items():
        table.add_row(name, f"{len(data):,}", digest(data))
    return table


def _training(bundle: Bundle) -> Table:
    table = Table(title="Training record", show_header=False)
    for name, value in bundle.training.items():
        table.add_row(str(name), _told(name, value))
    return table


def _told(name: str, value: object) -> str:
    """One entry of the training record, short: a table as a line each, hashes of many bags as their number."""
    if not isinstance(value, dict):
        return str(value)
    if name == "data_sha256":
        return f"{len(value)} bags, each with its hash in {DESCRIPTION}"
    lines = []
    for key, part in value.items():
        inner = ", ".join(f"{k} {v}" for k, v in part.items()) if isinstance(part, dict) else str(part)
        lines.append(f"{key}: {inner}")
    return "\n".join(lines)
