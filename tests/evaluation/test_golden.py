# SPDX-License-Identifier: Apache-2.0
"""The golden bags: what the code makes of two recorded drives is what it made when their references were written.

A change that is meant to be seen here: ``make references``. A new ``models/car-ltc19``: ``make golden``.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from tidegate.bundle import bundle_identity
from tidegate.cli.app import app
from tidegate.evaluation.reference import BUNDLE, read_reference, write_reference
from tidegate.liquid import compiled
from tidegate.perception import Perception
from tidegate.records import Level
from tidegate.share import share_path

GOLDEN = Path(__file__).parents[1] / "golden"
BAGS = {"road": 40, "traffic": 0}
"""Name → frames at least."""
LARGEST_BYTES = 3_000_000
TOLERANCE = ("--tolerance", "1e-4")
"""Above what rounding makes of other processors and of the liquid step in NumPy, see the test of it."""


def replayed(bag: str, *options: object) -> tuple[int, str]:
    arguments = ["replay", str(GOLDEN / bag), "--against", "reference", *TOLERANCE, *map(str, options)]
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("bag", BAGS)
def test_the_bag_is_replayed_as_its_reference_says(bag: str) -> None:
    _, facts = read_reference(GOLDEN / bag)
    _, shipped = bundle_identity(share_path("models/car-ltc19"))
    assert facts.get(BUNDLE, shipped) == shipped, (
        f"models/car-ltc19 ({shipped[:12]}) is another bundle than the reference of tests/golden/{bag} was made with "
        f"({facts[BUNDLE][:12]}): if that is meant, run 'make golden' and commit what it writes"
    )
    code, said = replayed(bag)
    assert code == 0, f"{said}\nif this change is meant, run 'make references' and commit what it writes"
    assert "alone" not in said
    assert "not in the bag" not in said


def test_a_quantity_that_vanished_is_caught() -> None:
    """With ``--asked`` the policy is not run."""
    code, said = replayed("road", "--asked")
    assert code == 1
    assert {"nominal.present", "gains.present"} <= set(said.split())
    assert "nominal: 0 records here alone" in said


@pytest.mark.slow
def test_what_is_ignored_is_no_difference(tmp_path: Path) -> None:
    """Of the reference health and the bounds of the lane are changed, and nothing else."""
    bag, page = shutil.copytree(GOLDEN / "road", tmp_path / "road"), tmp_path / "page.html"
    made, facts = read_reference(bag)
    changed = {
        **made,
        "lane": {stamp: replace(lane, bound=lane.bound + 1.0) for stamp, lane in made["lane"].items()},
        "health": {stamp: replace(health, level=Level.WARN) for stamp, health in made["health"].items()},
    }
    write_reference(bag, changed, facts)
    code, said = replayed(str(bag), "--html", page)
    assert code == 1
    beyond = set(re.findall(r"<h2>([^<]+)</h2>", page.read_text()))
    assert "lane.bound.offset" in beyond
    assert "health.level" in said
    assert all(name.startswith("lane.bound.") for name in beyond if "." in name), beyond
    code, said = replayed(str(bag), "--html", page, "--tolerance", "command=1e-3", "--ignore", "health,lane.bound")
    assert code == 0, said
    assert "lane.bound" not in page.read_text()


def test_a_bundle_against_itself_is_equal() -> None:
    shipped = share_path("models/car-ltc19")
    result = CliRunner().invoke(app, ["replay", str(GOLDEN / "road"), "--against", str(shipped)])
    assert result.exit_code == 0, result.output
    assert "bit-equal" in result.output


@pytest.mark.parametrize("bag", BAGS)
def test_the_bags_are_small_and_the_filter_acts_in_traffic(bag: str) -> None:
    made, _ = read_reference(GOLDEN / bag)
    size = sum(file.stat().st_size for file in (GOLDEN / bag).rglob("*") if file.is_file())
    assert size <= LARGEST_BYTES
    assert len(made.get("lane", ())) >= BAGS[bag]
    states = made["safety_node/barriers"].values()
    assert len(states) > 400
    if bag == "traffic":
        assert {state.intervened for state in states} >= {"", "distance", "curve"}


def test_rounding_stays_below_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The liquid step in NumPy, and features as another processor's convolutions may round them."""
    random = np.random.default_rng(0)
    process = Perception.process

    def rounded(self, frame):  # type: ignore[no-untyped-def]
        percept = process(self, frame)
        percept.features.values[:] *= 1 + 1e-6 * random.standard_normal(len(percept.features.values))
        return percept

    monkeypatch.setattr(compiled, "native", None)
    monkeypatch.setattr(Perception, "process", rounded)
    code, said = replayed("road")
    assert code == 0, said


@pytest.mark.parametrize(
    ("bag", "change", "shown", "acts"),
    [
        ("road", {"lane": {"inner_gain": 1.6}}, "filter.lane.margin", 0.5),
        pytest.param(
            "traffic",
            {"filter": {"gain_default": 2.2}},
            "command.rear_left_wheel_joint",
            2.5,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_another_gain_of_a_barrier_is_caught_and_shown(
    bag: str, change: dict[str, dict[str, float]], shown: str, acts: float, tmp_path: Path
) -> None:
    """``acts``: no row with this gain matters before [s]."""
    settings = yaml.safe_load(share_path("config/car.yaml").read_text())
    parameters = settings["/**"]["ros__parameters"]
    parameters["vehicle"]["urdf"] = str(share_path("urdf/car.urdf.xacro"))
    parameters["safety"] = change
    config, page = tmp_path / "car.yaml", tmp_path / "page.html"
    config.write_text(yaml.safe_dump(settings))
    code, said = replayed(bag, "--config", config, "--html", page)
    assert code == 1, said
    where = re.search(rf"<h2>{shown}</h2>\n<p>Beyond its tolerance of 0.0001 from ([\d.]+) s on", page.read_text())
    assert where is not None
    assert float(where[1]) > acts
