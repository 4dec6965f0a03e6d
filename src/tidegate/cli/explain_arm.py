# SPDX-License-Identifier: Apache-2.0
"""``tidegate explain`` where the bag is an arm's."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.cli.common import check_folder, write_report
from tidegate.evaluation.whose import arm_settings_of
from tidegate.insight.arm.drive import load_arm_drive
from tidegate.insight.arm.report import report
from tidegate.share import share_path


def explain_arm(console: Console, reader: BagReader, config: Path | None, bundle: Path | None, out: Path) -> None:
    """Write the page about a bag and the JSON beside it.

    Raises:
        TidegateError: bag, settings or bundle are refused; OSError: the files cannot be written.
    """
    check_folder(out)
    settings = arm_settings_of(reader, config)
    with console.status("reading the bag"):
        drive = load_arm_drive(reader, reader.path.name, settings)
    model = None
    if len(drive.seen) or len(drive.neurons):
        model = Bundle.load(bundle or share_path("models/arm-ltc19"), settings.arm.name)
    with console.status("telling what was done"):
        text, told = report(drive, model)
    page, numbers = write_report(out, text, {"report.json": told})
    for one in told["drive"]["interventions"]:
        console.print(one["sentence"], soft_wrap=True, highlight=False, markup=False)
    console.print(f"report: {page}, its numbers: {numbers}", soft_wrap=True, markup=False)
