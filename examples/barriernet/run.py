# SPDX-License-Identifier: Apache-2.0
"""All published cases: demonstrate, train, drive, draw, and write docs/barriernet.md. What `make examples` runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import page
import torch
import typer
from acc import CruiseControl
from common import Case
from dips import dips
from judge import Runs, drive, figures
from lane import Lane
from learn import EPOCHS, EXPERT_GAIN, RUNS, SAMPLES, TRAINED, Method, demonstrations, train
from merging import LimitedMerging, Merging
from pictures import draw_case, draw_dips

from robot import Robot

CASES: dict[str, Case] = {case.name: case for case in (Robot(), Merging(), LimitedMerging(), Lane(), CruiseControl())}
SEEDS = {"demonstrations": 0, "training": 1, "starts": 2}
ROOT = Path(__file__).parents[2]


def run_case(case: Case, starts: int, pictures: Path) -> dict[str, Any]:
    """Everything of one case; its figures."""
    data = demonstrations(case, SEEDS["demonstrations"])
    shown = list(case.shown().values())
    begin = torch.cat((*shown, case.starts(torch.Generator().manual_seed(SEEDS["starts"]), starts)))
    reference = drive(case, begin, None)
    methods: dict[str, Any] = {}
    runs: dict[Method, Runs] = {}
    trained = {method: train(case, method, data, SEEDS["training"]) for method in TRAINED}
    for method in Method:
        made = trained.get(method, trained[Method.PLAIN])
        runs[method] = drive(case, begin, method, made.network)
        methods[method.name] = figures(case, runs[method], reference, len(shown))
        if method in trained:
            methods[method.name] |= {"loss": made.loss, "seconds": made.seconds}
        print(f"{case.name}: {method.value}: {methods[method.name]}", flush=True)
    draw_case(case, runs, pictures)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "seeds": SEEDS,
        "samples": SAMPLES,
        "demonstrations": RUNS,
        "epochs": EPOCHS,
        "expert_gain": EXPERT_GAIN,
        "expert": figures(case, reference, reference, len(shown)),
        "methods": methods,
    }


def main(
    cases: Annotated[str, typer.Option(help=f"by comma; none = the page alone: {', '.join(CASES)}")] = ",".join(CASES),
    starts: Annotated[int, typer.Option(help="random starts of each case", min=1)] = 1000,
    out: Annotated[Path, typer.Option(help="folder for the figures, one JSON file per case")] = ROOT / "out/barriernet",
    document: Annotated[Path, typer.Option(help="the page; pictures go into a folder beside it")] = ROOT
    / "docs/barriernet.md",
) -> None:
    """Run the cases and write the page; cases that were run before keep their figures."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    pictures = document.with_suffix("")
    chosen = [name for name in cases.split(",") if name]
    for name in chosen:
        if name not in CASES:
            raise typer.BadParameter(f"no case {name!r}; there are {', '.join(CASES)}")
    for name in chosen:
        _keep(out / f"{name}.json", run_case(CASES[name], starts, pictures))
    _keep(out / "dips.json", dips())
    draw_dips(pictures)
    page.write(document, out, pictures, list(CASES.values()))
    print(document)


def _keep(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
