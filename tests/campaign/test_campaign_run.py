# SPDX-License-Identifier: Apache-2.0
"""Who gives out episodes: each is done once, whatever becomes of workers, and kept before it is told of."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mortal import job, mortal

from tidegate.campaign.fleet import Ended, Fleet, processes
from tidegate.campaign.journal import DRIVEN, FAILED, LOST, POISONED, Entry, Journal, opened
from tidegate.campaign.run import run
from tidegate.campaign.work import Driven, Job
from tidegate.errors import ClusterError


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with opened(tmp_path / "journal.jsonl", {"code": "of the test"}) as made:
        yield made


def begun(folder: Path, name: str) -> int:
    """How many workers had the job of that name."""
    return len(list(folder.glob(f"{name} *")))


def test_a_worker_that_dies_costs_its_own_episode_an_attempt_and_no_other(journal: Journal, tmp_path: Path) -> None:
    names = ["1 dies always", "2", "3 dies once", "4 raises", "5", "6"]
    heard: list[str] = []

    def told(entry: Entry) -> None:
        assert f'"{entry.key}"' in (tmp_path / "journal.jsonl").read_text()
        heard.append(entry.key)

    with processes(mortal, 2) as fleet:
        run([job(name, tmp_path) for name in names], fleet, journal, 3, told)
    assert sorted(heard) == names
    found = {key: (one.status, one.attempts) for key, one in journal.entries.items()}
    assert found == {
        "1 dies always": (POISONED, 3),
        "2": (DRIVEN, 1),
        "3 dies once": (DRIVEN, 2),
        "4 raises": (FAILED, 1),
        "5": (DRIVEN, 1),
        "6": (DRIVEN, 1),
    }
    assert [begun(tmp_path, name) for name in names] == [3, 1, 2, 1, 1, 1]
    assert journal.entries["1 dies always"].error == "3 workers died of it"
    assert journal.entries["4 raises"].error == "SceneError: no such road"
    assert journal.entries["5"].figures == {"length": 1}


def test_deaths_are_counted_on_when_a_campaign_goes_on(journal: Journal, tmp_path: Path) -> None:
    journal.append([Entry("dies always", LOST, attempts=2), Entry("like any other", LOST, attempts=1)])
    with processes(mortal, 1) as fleet:
        run([job(name, tmp_path) for name in ("dies always", "like any other")], fleet, journal, 3)
    found = {key: (one.status, one.attempts) for key, one in journal.entries.items()}
    assert found == {"dies always": (POISONED, 3), "like any other": (DRIVEN, 2)}
    assert begun(tmp_path, "dies always") == 1


def test_a_worker_that_dies_while_it_has_nothing_to_do_is_replaced(journal: Journal, tmp_path: Path) -> None:
    with processes(mortal, 1) as fleet:
        run([job("first", tmp_path)], fleet, journal)
        process = int(journal.entries["first"].worker.split()[-1])
        os.kill(process, signal.SIGKILL)
        end = time.monotonic() + 30
        while Path(f"/proc/{process}").exists() and time.monotonic() < end:
            time.sleep(0.05)
        run([job("second", tmp_path)], fleet, journal)
    assert journal.entries["second"].status == DRIVEN
    assert journal.entries["second"].worker != journal.entries["first"].worker


def test_a_worker_with_other_code_ends_the_campaign_by_name(journal: Journal, tmp_path: Path) -> None:
    jobs = [job("unfit", tmp_path), job("never begun", tmp_path)]
    said = r"worker '.+ \d+' has another code than this campaign"
    with pytest.raises(ClusterError, match=said), processes(mortal, 1) as fleet:
        run(jobs, fleet, journal)
    assert journal.entries == {}
    assert begun(tmp_path, "never begun") == 0


def test_no_more_is_begun_than_there_is_room_for(journal: Journal, tmp_path: Path) -> None:
    class Counted:
        """Counts what is under way in a real fleet."""

        def __init__(self, inner: Fleet[Job, Driven]) -> None:
            self.inner, self.under_way, self.most = inner, 0, 0

        @property
        def free(self) -> int:
            return self.inner.free

        def start(self, job: Job) -> None:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.inner.start(job)

        def ended(self) -> list[Ended[Job, Driven]]:
            found = self.inner.ended()
            self.under_way -= len(found)
            return found

    with processes(mortal, 2) as fleet:
        run([job(str(number), tmp_path) for number in range(7)], counted := Counted(fleet), journal)
    assert counted.most == 2
    assert len(journal.entries) == 7
