# SPDX-License-Identifier: Apache-2.0
"""The command from bags to table, on drives of seconds: it goes on, it repeats, and what fails ends nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidegate.comparison.compare import DRIVES, TABLE, TRAININGS
from tidegate.comparison.lessons import PARTS, parted
from tidegate.comparison.training import Training, run_training
from tidegate.errors import BagError
from tidegate.share import share_path

CONFIG, MODEL = share_path("config/car.yaml").resolve(), share_path("models/car-ltc19").resolve()
SHORT = "--steps 3 --rates 0.02,0.005 --trainings 2 --seeds 3400 --seconds 1 --processes 1"


def called(bags: list[Path], out: Path, *words: str) -> str:
    from tidegate.cli.app import app

    result = CliRunner().invoke(app, ["compare", str(bags[0].parent), "--out", str(out), *SHORT.split(), *words])
    assert result.exit_code == 0, result.output
    return (out / TABLE).read_text("utf-8")


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()[1:]]


@pytest.mark.slow
def test_the_command_trains_drives_tells_and_goes_on(bags: list[Path], tmp_path: Path) -> None:
    out, words = tmp_path / "out", ("--architectures", "ltc,lstm-small", "--conditions", "clean,jitter")
    text = called(bags, out, *words, "--filter", "both")
    trained, driven = lines(out / TRAININGS), lines(out / DRIVES)
    assert len(trained) == 2 * 2 + 2, "two architectures at two rates, and each with another seed at the better one"
    for name in ("ltc", "lstm-small"):
        tried = {one["rate"]: one["choosing"] for one in trained if (one["architecture"], one["seed"]) == (name, 0)}
        other = next(one for one in trained if (one["architecture"], one["seed"]) == (name, 1))
        assert other["rate"] == min(tried, key=lambda rate: tried[rate])
    assert {(one["architecture"], one["seed"], one["condition"], one["filtered"]) for one in driven} == {
        (name, seed, condition, filtered)
        for name in ("ltc", "lstm-small")
        for seed in (0, 1)
        for condition in ("clean", "jitter")
        for filtered in (False, True)
    }
    assert all(not one["error"] and one["duration_s"] == pytest.approx(1.0) for one in driven)
    assert "| LSTM-6 | 2 | 960 ± 0 |" in text
    assert "| predict zero |" in text
    assert "## Failed" not in text

    # broken off in the middle of the drives, the last line cut: the same table
    kept = (out / DRIVES).read_text("utf-8").splitlines(keepends=True)
    (out / DRIVES).write_text("".join(kept[:8]) + kept[8][:40], "utf-8")
    network = out / "networks" / f"lstm-small-1-{trained[-1]['rate']:g}-3.safetensors"
    assert called(bags, out, *words, "--filter", "both") == text
    assert lines(out / TRAININGS) == trained

    # a network that cannot be read: its drives are named, all others are told; and again once it is there
    weights = network.read_bytes()
    network.write_bytes(b"poison")
    more = (*words[:3], "clean,jitter,dropped-30", "--filter", "off")
    poisoned = called(bags, out, *more)
    failed = [one for one in lines(out / DRIVES) if one["error"]]
    assert [(one["architecture"], one["seed"], one["condition"]) for one in failed] == [("lstm-small", 1, "dropped-30")]
    assert f"{network.name}: is no network of 'lstm-small'" in poisoned
    network.write_bytes(weights)
    mended = called(bags, out, *more)
    assert "## Failed" not in mended
    assert not any(one["error"] for one in lines(out / DRIVES))

    # one training again: the same weights and losses, whatever ran beside it
    one = trained[0]
    again = Training(str(CONFIG), str(MODEL), str(out), one["architecture"], one["seed"], one["rate"], one["steps"])
    before = again.network.read_bytes()
    found = dataclasses.asdict(run_training(again))
    timed = ("train_s", "step_us")
    assert {key: found[key] for key in found if key not in timed} == {key: one[key] for key in one if key not in timed}
    assert again.network.read_bytes() == before

    # other bags to learn from than before: refused
    from tidegate.cli.app import app

    result = CliRunner().invoke(app, ["compare", *map(str, reversed(bags)), "--out", str(out), *SHORT.split(), *words])
    assert "holds results of other data than now" in str(result.exception)


def test_a_training_that_fails_is_told_and_not_raised(tmp_path: Path) -> None:
    found = run_training(Training(str(CONFIG), str(MODEL), str(tmp_path), "ltc", 4, 0.02, 3))
    assert found.error.startswith("FileNotFoundError")
    assert (found.architecture, found.seed, found.rate, found.steps) == ("ltc", 4, 0.02, 3)
    assert found.choosing == float("inf")


def test_no_bag_is_in_two_parts() -> None:
    every = [Path(f"/bag-{index}") for index in range(40)]
    parts = parted([*every, every[3]])
    assert list(parts) == list(PARTS)
    assert sorted(path for part in parts.values() for path in part) == sorted(every)
    assert [len(part) for part in parts.values()] == [34, 3, 3]
    assert all(len(part) == 1 for part in parted(every[:3]).values())
    with pytest.raises(BagError, match="a comparison needs 3"):
        parted(every[:2])
