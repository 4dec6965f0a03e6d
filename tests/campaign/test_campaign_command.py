# SPDX-License-Identifier: Apache-2.0
"""``tidegate campaign`` as it is typed: whatever is killed, the table is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("pyarrow")

from pyarrow import parquet
from user_package import ADVERSARY, CRASHING, EPISODES, PLAN, Campaign, environment

from tidegate.campaign.results import SCHEMA


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="module")
def calm(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Campaign, str]:
    """A campaign that nobody disturbed, and what it wrote."""
    campaign = Campaign(tmp_path_factory.mktemp("calm"), "out", variables, "--processes", "2")
    code, output, errors = campaign.ended()
    assert (code, errors) == (1, "")  # some have no result
    return campaign, output


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_poisoned_episode_is_named_and_the_others_have_results(calm: tuple[Campaign, str]) -> None:
    campaign, output = calm
    assert f"{EPISODES - len(CRASHING)} of {EPISODES} episodes have a result, {EPISODES} driven now" in output
    table = parquet.read_table(campaign.out / "results.parquet")
    told = {row["key"]: row for row in table.to_pylist()}
    assert table.column_names == list(SCHEMA)
    assert {key for key, row in told.items() if row["status"] == "poisoned"} == set(CRASHING)
    assert {row["status"] for row in told.values()} == {"poisoned", "driven"}
    page = (campaign.out / "campaign.html").read_text()
    for key in CRASHING:
        assert f"{key}: poisoned (3 workers died of it)" in output
        assert told[key]["error"] == "3 workers died of it"
        assert key in page
    evaluated, attacked = told["evaluate road 5001"], told["attack road 5001 noise"]
    assert (evaluated["driver"], evaluated["end"], evaluated["margin"]) == ("expert", "time limit", None)
    assert (attacked["sensors"], attacked["violations"], attacked["state_hash"]) == ("exact", "{}", None)
    assert evaluated["comfort.in_centre"] == 1.0
    assert {name.decode() for name in table.schema.metadata} == {"plan", "settings", "code", "bundle models/car-ltc19"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_after_kills_of_workers_and_of_the_campaign_itself_the_table_is_the_same(
    calm: tuple[Campaign, str], variables: dict[str, str], tmp_path: Path
) -> None:
    first = Campaign(tmp_path, "out", variables, "--processes", "2")
    first.wait_for(1)
    first.kill_a_worker()
    first.wait_for(6)
    first.kill()
    kept = len(first.entries())
    assert kept < EPISODES
    second = Campaign(tmp_path, "out", variables, "--processes", "2")
    second.wait_for(kept + 1)
    second.kill_a_worker()
    code, output, errors = second.ended()
    assert (code, errors) == (1, "")
    assert f"{EPISODES - kept} driven now" in output
    assert (second.out / "results.parquet").read_bytes() == (calm[0].out / "results.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_same_plan_again_drives_nothing_and_another_is_refused(
    calm: tuple[Campaign, str], variables: dict[str, str]
) -> None:
    campaign, _ = calm
    before = {path.name: path.read_bytes() for path in campaign.out.iterdir()}
    code, output, _ = Campaign(campaign.out.parent, "out", variables).ended()
    assert (code, "0 driven now" in output) == (1, True)
    assert {path.name: path.read_bytes() for path in campaign.out.iterdir()} == before
    other = Campaign(campaign.out.parent, "out", variables)
    (campaign.out.parent / "plan.yaml").write_text(PLAN.replace("seconds: 1", "seconds: 2"), encoding="utf-8")
    code, _, errors = other.ended()
    assert code == 2
    assert errors.startswith("error: ")
    assert "journal.jsonl: holds results of other plan than now" in errors
    assert {path.name: path.read_bytes() for path in campaign.out.iterdir()} == before


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_had_no_result_is_driven_again_when_asked_for(
    calm: tuple[Campaign, str], variables: dict[str, str], tmp_path: Path
) -> None:
    """The user has mended the adversary meanwhile."""
    shutil.copytree(calm[0].out, tmp_path / "out")
    mended = environment(tmp_path / "user", ADVERSARY.replace("os.abort()", "return asked"))
    code, output, errors = Campaign(tmp_path, "out", mended, "--processes", "2", "--retry").ended()
    assert (code, errors) == (0, "")
    assert f"{EPISODES} of {EPISODES} episodes have a result, {len(CRASHING)} driven now" in output
    told = parquet.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    before = parquet.read_table(calm[0].out / "results.parquet").to_pylist()
    assert [row["key"] for row in told] == [row["key"] for row in before]
    assert [row for row in told if row["key"] not in CRASHING] == [row for row in before if row["key"] not in CRASHING]
