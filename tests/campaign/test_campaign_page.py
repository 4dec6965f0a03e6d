# SPDX-License-Identifier: Apache-2.0
"""The table and the page of a campaign, of results that were made up."""

from __future__ import annotations

import math
import random
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from pyarrow import parquet
from scipy import stats

from tidegate.attack.outcome import Outcome
from tidegate.campaign.journal import DRIVEN, FAILED, POISONED, Entry, opened
from tidegate.campaign.page import campaign_page, sign_test
from tidegate.campaign.results import SCHEMA, rows, write
from tidegate.campaign.work import Job
from tidegate.evaluation.comfort import Comfort
from tidegate.evaluation.metrics import Run
from tidegate.evaluation.rollout import Task

FACTS = {"plan": "{}", "code": "a"}
FELT = Comfort(0.9, 0.1, 0.2, 3.0, 4.0, 2.5)
DONE = {"one": {1, 2, 3, 4, 5, 6}, "two": {1, 2}}
"""Which of the roads 1 to 8 each bundle completed."""


def evaluated(bundle: str, seed: int) -> tuple[Job, Entry]:
    key, done = f"evaluate {bundle} road {seed}", seed in DONE[bundle]
    run = Run(
        seed, "road", done, "goal", 700.0, 90.0, 8.0, 8.5, 0.4, 0.1, 0.0, 0.5 * (not done), 0, 5.0 + seed, 0, "",
        2, 0.3, {"lane": 2}, FELT, "hash", 30.0,
    )  # fmt: skip
    columns = {"key": key, "what": "evaluate", "bundle": bundle, "scene": "road", "seed": seed}
    figures = {name: value for name, value in asdict(run).items() if name != "wall_s"}
    worker = f"host {4 + seed % 2}"
    return Job(key, Task("", "", "road", seed), {}, columns), Entry(key, DRIVEN, figures, worker=worker, wall_s=360.0)


def attacked(seed: int, violations: dict[str, list[str]]) -> tuple[Job, Entry]:
    key = f"attack road {seed} noise"
    outcome = Outcome(
        {}, "", "time limit", 40.0, 100.0, 9.0, 0, 0, "", 0.0, 0.0, None, 0.9, 0.1 * seed, violations, [],
        {"lane": math.inf, "edge": 0.2}, {"sight": 3},
    )  # fmt: skip
    columns = {"key": key, "what": "attack", "scene": "road", "seed": seed, "adversary": "noise"}
    figures = {name: value for name, value in asdict(outcome).items() if name != "episode"}
    return Job(key, Task("", "", "road", seed), {}, columns), Entry(key, DRIVEN, figures, worker="other 9", wall_s=36.0)


def without(status: str, error: str, attempts: int) -> tuple[Job, Entry]:
    key = f"attack road 9 <{status}>"
    job = Job(key, Task("", "", "road", 9), {}, {"key": key, "what": "attack", "scene": "road", "seed": 9})
    return job, Entry(key, status, {}, error, attempts)


MADE = [
    *(evaluated(bundle, seed) for bundle in DONE for seed in range(1, 9)),
    attacked(1, {}),
    attacked(2, {"lane": ["lane bound"]}),
    attacked(3, {"lane": ["lane bound"], "contact": []}),
    without(FAILED, "SceneError: no road", 1),
    without(POISONED, "3 workers died of it", 3),
]
JOBS = [job for job, _ in MADE]
ENTRIES = {entry.key: entry for _, entry in MADE}


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    return rows(JOBS, ENTRIES)


def test_a_row_has_what_applies_and_null_for_the_rest(told: list[dict[str, Any]], tmp_path: Path) -> None:
    write(tmp_path / "results.parquet", told, FACTS)
    table = parquet.read_table(tmp_path / "results.parquet")
    assert table.column_names == list(SCHEMA)
    assert table.to_pylist() == told
    first, attack, poisoned = told[0], told[16], told[-1]
    assert (first["interventions_by_row"], first["comfort.hardest_braking"]) == ('{"lane": 2}', 2.5)
    assert attack["lowest"] == '{"edge": 0.2, "lane": Infinity}'
    assert first["margin"] is attack["min_gap_m"] is attack["completed"] is None
    assert {name for name, value in poisoned.items() if value is not None} == {
        "key", "what", "scene", "seed", "status", "error",
    }  # fmt: skip
    assert "wall_s" not in SCHEMA
    assert {name.decode(): value.decode() for name, value in table.schema.metadata.items()} == FACTS
    assert [path.name for path in tmp_path.iterdir()] == ["results.parquet"]


def test_the_order_in_which_results_came_and_who_made_them_are_not_in_the_table(
    told: list[dict[str, Any]], tmp_path: Path
) -> None:
    shuffled = random.Random(1).sample(list(ENTRIES.values()), len(ENTRIES))
    others = [Entry(**asdict(one) | {"worker": "another 1", "wall_s": 1.0}) for one in shuffled]
    with opened(tmp_path / "journal.jsonl", FACTS) as journal:
        journal.append(others[:5])
        journal.append(others[5:])
    with opened(tmp_path / "journal.jsonl", FACTS) as journal:
        write(tmp_path / "again.parquet", rows(JOBS, journal.entries), FACTS)
    write(tmp_path / "first.parquet", told, FACTS)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "first.parquet").read_bytes()


def test_the_page_counts_compares_and_names(told: list[dict[str, Any]]) -> None:
    page = campaign_page(told, list(ENTRIES.values()))
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert ["one, road", "8", "6", "0", "0", "2", "0.40", "6.0"] in cells
    assert ["two", "2", "4", "0", "2", "0.12"] in cells
    assert ["noise, road", "3", "1", "1", "0.10"] in cells
    assert ["attack road 9 &lt;failed&gt;", "failed", "SceneError: no road"] in cells
    assert ["attack road 9 &lt;poisoned&gt;", "poisoned", "3 workers died of it"] in cells
    assert ["host", "2", "16", "1.60"] in cells
    assert ["other", "1", "3", "0.03"] in cells
    assert "<b>8/16</b><span>evaluations completed" in page
    assert "<b>1/3</b><span>attacks broke a promise" in page
    assert "2 times an episode went to another worker" in page


def test_a_campaign_without_harm_and_of_one_bundle_has_no_sections_for_them() -> None:
    made = [evaluated("one", 1)]
    page = campaign_page(rows([job for job, _ in made], ENTRIES), [entry for _, entry in made])
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Evaluations", "Workers"]


@pytest.mark.parametrize(("one", "other"), [(0, 0), (4, 0), (0, 4), (7, 3), (50, 70), (600, 700)])
def test_the_sign_test_is_the_exact_binomial_test(one: int, other: int) -> None:
    expected = stats.binomtest(one, one + other).pvalue if one + other else 1.0
    assert math.isclose(sign_test(one, other), expected, rel_tol=1e-9)
