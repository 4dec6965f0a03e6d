# SPDX-License-Identifier: Apache-2.0
"""The model card: figures of the record and of given results alone, and no change to what the bundle is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tidegate.attack.campaign import OUTCOMES, run_attack
from tidegate.attack.episode import Episode
from tidegate.bundle import Bundle, bundle_identity
from tidegate.card import card_of, write_card
from tidegate.cli.app import app
from tidegate.errors import BundleError
from tidegate.evaluation.campaign import EVALUATION, run_campaign, write_evaluation
from tidegate.evaluation.rollout import Task
from tidegate.security.manifest import CARD, MANIFEST, digest, read_sealed, write_manifest
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

SHIPPED, CONFIG = share_path("models/car-ltc19"), share_path("config/car.yaml")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def run(*arguments: object) -> None:
    """The command line, whose errors are raised here."""
    app([*map(str, arguments)], standalone_mode=False)


def bare(place: Path) -> Path:
    """The shipped bundle without its card."""
    copy = Path(shutil.copytree(SHIPPED, place / "bundle"))
    (copy / CARD).unlink()
    write_manifest(copy)
    return copy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bare(tmp_path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of ``evaluate`` and of ``attack``: the one with a card in the bundle, the other without."""
    place = tmp_path_factory.mktemp("results")
    task = Task(str(CONFIG), str(SHIPPED), "road", 1000, longest_s=1.0)
    write_evaluation(place, task, *run_campaign([task], 1))
    run_attack([Episode(str(CONFIG), str(bare(place)), "road", 5000, "full_throttle", longest_s=1.0)], place, 1)
    return place


def leaves(value: Any) -> Iterator[Any]:
    """Every key and every value of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def section(card: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def test_every_number_of_training_and_results_is_the_records(folder: Path) -> None:
    write_card(folder)
    record = Bundle.load(folder).training
    known = {f"{value:.4g}" for value in leaves(record) if isinstance(value, float)}
    known |= {number for value in leaves(record) for number in NUMBER.findall(str(value))}
    known |= {f"{distance:g}" for distance in Bundle.load(folder).perception.preview_m}
    for title in ("Training", "Results on held-out drives"):
        numbers = NUMBER.findall(section(card_of(folder), title))
        assert len(numbers) > 40
        assert set(numbers) <= known, set(numbers) - known


def test_the_card_tells_data_and_limits(folder: Path) -> None:
    write_card(folder)
    bundle, card = Bundle.load(folder), card_of(folder)
    assert f"`{bundle_identity(folder)[1]}`" in card
    data = section(card, "Data")
    assert f"frames: {bundle.training['frames']}" in data
    assert f"bags: {len(bundle.training['data_sha256'])}" in data
    bags = [int(row.split("|")[3]) for row in data.splitlines() if row.startswith("|") and "`" in row]
    assert sum(bags) == len(bundle.training["data_sha256"])
    truck = sorted(value for name, value in bundle.training["data_sha256"].items() if "calibration/truck" in name)
    together = digest("".join(f"{one}\n" for one in truck).encode())[:16]
    assert f"| calibration | truck | {len(truck)} | 801, 814 | `{together}…` |" in data
    limits = section(card, "Limits of validity")
    for words in ("160 × 80 px, 42° high, at (2.4, 0, 1.36) m", "0°, 4°, 0°", "at most 10 %", "below 6", "from 0.48"):
        assert words in limits


def test_the_shipped_card_is_of_the_shipped_network() -> None:
    assert f"What drives has the SHA-256 `{bundle_identity(SHIPPED)[1]}`" in card_of(SHIPPED)


def test_a_card_changes_neither_identity_nor_network_and_is_sealed(folder: Path) -> None:
    before, files = bundle_identity(folder), read_sealed(folder).files
    assert before[1] == digest((folder / MANIFEST).read_bytes())
    write_card(folder)
    assert bundle_identity(folder) == before
    assert read_sealed(folder).files == files | {CARD: (folder / CARD).read_bytes()}
    first = (folder / CARD).read_bytes()
    write_card(folder)
    assert (folder / CARD).read_bytes() == first
    (folder / CARD).write_bytes(first.replace(b"car-ltc19", b"car-ltc91"))
    with pytest.raises(BundleError, match=f"{CARD}: is corrupt"):
        Bundle.load(folder)


def test_a_network_that_is_saved_anew_loses_the_card_of_the_old(folder: Path) -> None:
    write_card(folder)
    replace(Bundle.load(folder), mass_kg=2.0).save(folder)
    assert card_of(folder) == ""
    assert Bundle.load(folder).mass_kg == 2.0


def test_inspect_prints_the_card_and_says_how_to_get_one(folder: Path, capsys: Any) -> None:
    run("inspect", folder)
    assert f"no model card; to write one: tidegate card {folder}" in capsys.readouterr().out
    run("card", folder)
    assert f"card: {folder / CARD}" in capsys.readouterr().out
    run("inspect", folder)
    assert card_of(folder).strip() in capsys.readouterr().out


def test_what_the_record_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    settings = load_settings(CONFIG)
    name = "odd | name\n# heading\x1b[31m"
    Stack.from_settings(settings, 0).to_bundle(name, settings, 1234.5, {"loss": 0.25}).save(tmp_path)
    write_card(tmp_path)
    card = card_of(tmp_path)
    assert card.startswith("# Model card: odd \\| name # heading \\[31m\n\n")
    assert "frames: not in the record" in card
    assert "bags: not in the record" in card
    assert "None: not in the record." in section(card, "Results on held-out drives")
    assert "lane bounds: not calibrated" in section(card, "Limits of validity")
    assert "Not known: no results were given" in section(card, "Known failures")


def test_results_of_this_bundle_are_told_with_what_failed(folder: Path, results: Path) -> None:
    run("card", folder, "--evaluation", results, "--outcomes", results)
    card = card_of(folder)
    (lap,) = json.loads((results / EVALUATION).read_text("utf-8"))["runs"]
    worst = f"{lap['max_abs_lane_error_m']:.2f}"
    assert f"| road | filter on | 1000 | 0/1 | 0 | 0 | 0 | {worst} | – |" in section(card, "Results in closed loop")
    failures = section(card, "Known failures")
    assert "Drives: 1 of 1 failed." in failures
    assert f"| road | filter on | 1000 | no | time limit | {lap['distance_m']:.0f} | 0 | 0 | 0.0 |" in failures
    assert "Hostile episodes: 1 (0 of them searched for the worst)" in failures
    assert "None of them broke anything." in failures


def test_the_commands_of_the_page_give_a_card_with_results(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tidegate evaluate``, ``attack`` and ``card`` one after the other."""
    monkeypatch.chdir(tmp_path)
    short = ("--seconds", "1", "--processes", "1")
    run("evaluate", "--bundle", folder, "--scene", "road", "--seeds", "1000", *short, "--out", "out/evaluate")
    run("card", folder)  # as training leaves it
    scene = ("--scenes", "road", "--adversaries", "coast", "--seeds", "5000")
    run("attack", "--bundle", folder, *scene, *short, "--out", "out/attack")
    run("card", folder, "--evaluation", "out/evaluate", "--outcomes", "out/attack")
    assert "Hostile episodes: 1 " in card_of(folder)
    assert "Drives: 1 of 1 failed." in card_of(folder)


def test_what_adversaries_broke_is_told_with_the_assumption_that_was_broken(
    folder: Path, results: Path, tmp_path: Path
) -> None:
    first, line = (results / OUTCOMES).read_text("utf-8").splitlines()
    outcome = json.loads(line)
    harmed = outcome | {"violations": {"lane": ["remembered lane"], "contact": []}}
    bare = harmed | {"episode": outcome["episode"] | {"disable": ["distance"]}, "violations": {"contact": []}}
    (tmp_path / OUTCOMES).write_text("\n".join([first, *map(json.dumps, (outcome, harmed, harmed, bare))]), "utf-8")
    run("card", folder, "--outcomes", tmp_path / OUTCOMES)
    failures = section(card_of(folder), "Known failures")
    assert "Hostile episodes: 4" in failures
    assert "| road | full_throttle | contact | none | 2 |" in failures
    assert "| road | full_throttle | lane | remembered lane | 2 |" in failures
    assert "| road | full_throttle, without distance | contact | none | 1 |" in failures


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (EVALUATION, {"bundle_sha256": "0" * 64}, "is of the bundle 000000000000…; this one is"),
        (EVALUATION, {"bundle_sha256": None}, "does not say which bundle it is of"),
        (EVALUATION, {"driver": "expert"}, "'expert' drove; a card tells of drives by the network"),
        (EVALUATION, {"runs": [{"seed": 5}]}, "is neither an evaluation.json"),
        (OUTCOMES, {"bundle": "0" * 64}, "is of the bundle 000000000000…; this one is"),
        (OUTCOMES, None, "cannot be read"),
    ],
)
def test_results_of_something_else_are_refused_and_nothing_is_written(
    folder: Path, results: Path, tmp_path: Path, file: str, change: dict[str, Any] | None, said: str
) -> None:
    option = "--evaluation" if file == EVALUATION else "--outcomes"
    if change is not None:
        first, *rest = (
            [(results / file).read_text("utf-8")]
            if file == EVALUATION
            else ((results / file).read_text("utf-8").splitlines())
        )
        (tmp_path / file).write_text("\n".join([json.dumps(json.loads(first) | change), *rest]), "utf-8")
    with pytest.raises(BundleError, match=f"{file}: {re.escape(said)}"):
        run("card", folder, option, tmp_path / file)
    assert not (folder / CARD).exists()


def test_results_that_an_expert_drove_name_no_bundle(results: Path, tmp_path: Path) -> None:
    task = Task(str(CONFIG), "nowhere", "road", 1000, driver="expert", longest_s=0.1)
    write_evaluation(tmp_path, task, *run_campaign([task], 1))
    assert "bundle_sha256" not in json.loads((tmp_path / EVALUATION).read_text("utf-8"))
