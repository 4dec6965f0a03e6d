# SPDX-License-Identifier: Apache-2.0
"""``tidegate attack`` and ``tidegate drill`` as they are typed: tables that fit, bags that replay, clear refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import typer
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

import tidegate.attack.episode as episode
import tidegate.cli.attack as attacking
import tidegate.cli.drill as drilling
from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.campaign import OUTCOMES, with_camera
from tidegate.attack.drill import DrillOutcome
from tidegate.attack.episode import FAULTS, SENSORS, Episode
from tidegate.attack.fault import faults
from tidegate.attack.outcome import Outcome
from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.cli.replay import replay
from tidegate.errors import SettingsError
from tidegate.evaluation.difference import Tolerances, against_record, agreement, compare, full_scales
from tidegate.evaluation.replay import replay as replayed
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import SCENES

WIDTH = 80


def typed(command: object, *words: str) -> str:
    """What a command writes when it succeeds."""
    app = typer.Typer()
    app.command()(command)  # type: ignore[type-var]
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": str(WIDTH)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two short episodes, one with a camera, and the worst of them as bags."""
    out = tmp_path_factory.mktemp("attack")
    words = [
        "--scenes",
        "road",
        "--adversaries",
        "outward",
        "--seeds",
        "5000",
        "--sensors",
        "wrong",
        "--seconds",
        "1.5",
    ]
    words += ["--from-speed", "0", "--camera", "1", "--worst", "2", "--processes", "1", "--out", str(out)]
    return out, typed(attacking.attack, *words)


def test_episodes_with_a_camera_have_all_adversaries_scenes_and_sensors() -> None:
    """Every tenth of 2,016 had seven of the fourteen adversaries."""
    scenes = attacking.SCENES.split(",")
    every = [
        Episode("", "", scene, seed, adversary, SENSORS[seed % len(SENSORS)])
        for seed, scene, adversary in product(range(5000, 5018), scenes, ADVERSARIES)
    ]
    chosen = with_camera(every, 200)
    assert len({replace(one, camera=False) for one in chosen} & set(every)) == 200
    assert all(one.camera for one in chosen)
    assert {one.adversary for one in chosen} == set(ADVERSARIES)
    assert {one.scene for one in chosen} == set(scenes)
    assert {one.sensors for one in chosen} == set(SENSORS)
    assert with_camera(every, 200) == chosen
    assert with_camera(every[:3], 5) == [replace(one, camera=True) for one in every[:3]]


@pytest.mark.slow
def test_an_attack_counts_camera_episodes_in_a_row_of_their_own(attacked: tuple[Path, str]) -> None:
    out, written = attacked
    rows = [line.split() for line in written.splitlines()]
    assert ["outward", "1", "0", "0", "0", "0", "0", "0"] in [row[:8] for row in rows]
    assert ["outward,", "camera", "1", "0", "0", "0", "0", "0", "0"] in [row[:9] for row in rows]
    assert ["road", "2"] in [row[:2] for row in rows]
    assert "0 of 2 episodes broke what is promised" in written
    assert (out / OUTCOMES).read_text().count("\n") == 3


@pytest.mark.slow
def test_the_worst_episodes_are_bags_that_replay_bit_for_bit(attacked: tuple[Path, str]) -> None:
    out, _ = attacked
    for bag in sorted((out / "bags").iterdir()):
        camera = "camera" in bag.name
        assert ("/camera/image_raw" in BagReader(bag).topics) == camera
        written = typed(replay, str(bag), *["--asked"] * camera, "--tolerance", "0")
        assert written.strip().endswith("bit-equal")
        assert "300 ticks" in written
        assert ("features" in written) == camera


def test_a_drill_of_one_fault_says_that_it_ended_as_it_must(tmp_path: Path) -> None:
    words = ["--only", "emergency stop", "--seeds", "5003", "--processes", "1", "--out", str(tmp_path)]
    written = typed(drilling.drill, *words)
    assert ["emergency", "stop", "STOPPING", "1", "1"] in [line.split()[:5] for line in written.splitlines()]
    assert "1 of 1 faults ended in their rung" in " ".join(written.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--adversaries", "nobody"), "no adversary 'nobody'; known: bang_bang"),
        (("--sensors", "good"), "no kind of sensors 'good'; known: exact, wrong, failing"),
        (("--from-speed", "fast"), "--from-speed is 'fast'"),
        (("--disable", "nothing", "--scenes", "road"), "cannot disable 'nothing'"),
    ],
)
def test_an_attack_refuses_what_it_does_not_know(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        typed(attacking.attack, *words, "--out", str(tmp_path))
    with pytest.raises(SettingsError, match="no fault 'nothing'"):
        typed(drilling.drill, "--only", "nothing", "--out", str(tmp_path))


def widest(table: Table) -> int:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return max(len(line.rstrip()) for line in capture.get().splitlines())


def test_the_tables_fit_with_the_longest_names(attacked: tuple[Path, str]) -> None:
    out, _ = attacked
    first = Outcome(**json.loads((out / OUTCOMES).read_text().splitlines()[1]))
    longest = {"adversary": max(ADVERSARIES, key=len), "camera": True, "scene": max(SCENES, key=len)}
    wide = [replace(first, episode=first.episode | longest, min_gap_m=100.0)] * 999
    assert WIDTH - 20 < widest(attacking._table(wide, "adversary", lambda one: one.who)) <= WIDTH
    assert widest(attacking._table(wide, "scene", lambda one: str(one.episode["scene"]))) <= WIDTH


def test_the_table_of_drills_fits_with_the_longest_names() -> None:
    name = max(faults(load_settings(share_path("config/car.yaml"))), key=len)
    one = DrillOutcome(
        "road", 1, name, 6.0, 5.0, "STOPPING", "STOPPING", 1.0, 1.0, "", True, True, 100, 100, "", 1.0, False
    )
    assert WIDTH - 20 < widest(drilling._table([one] * 999)) <= WIDTH


def test_a_violation_counts_apart_only_where_every_one_of_an_episode_has_an_assumption_behind_it(
    attacked: tuple[Path, str],
) -> None:
    first = Outcome(**json.loads((attacked[0] / OUTCOMES).read_text().splitlines()[1]))
    apart = replace(first, violations={"lane": ["lane bound"]})
    assert (first.excused, apart.excused) == (False, True)
    assert not replace(first, violations={"lane": ["lane bound"], "contact": []}).excused
    console = Console(width=WIDTH)
    with console.capture() as capture:
        attacking._sum_up(console, [first, apart, replace(first, violations={"contact": []})])
    said = " ".join(capture.get().split())
    assert "1 of 3 episodes broke what is promised" in said
    assert "1 more broke it after a stated assumption had been broken" in said


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_an_episode_with_any_fault_replays_bit_for_bit(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episode, "FAULTS", (fault,))
    monkeypatch.setattr(episode, "ONSET_S", (1.0, 1.5))
    settings, bundle = share_path("config/car.yaml"), share_path("models/car-ltc19")
    one = episode.Episode(str(settings), str(bundle), "road", 5002, "slalom", "failing", 3.0, 1.0)
    assert episode.run_episode(one, tmp_path / "bag").fault == fault
    model, loaded = Bundle.load(bundle), load_settings(settings)
    found = replayed(BagReader(tmp_path / "bag"), model, loaded)
    assert found.ticks > 500
    differences = compare(*against_record(found), full_scales(model, loaded), found.start, Tolerances())
    assert agreement(list(differences)) == "bit-equal"
