# SPDX-License-Identifier: Apache-2.0
"""The file that a campaign goes on from: whole lines, one writer, one state of everything."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tidegate.campaign.journal import DRIVEN, FAILED, Entry, opened
from tidegate.errors import SettingsError

FACTS = {"plan": "{}", "code": "a", "settings": "b"}
FIRST = Entry("road 1", DRIVEN, {"margin": math.inf, "lowest": {"lane": 0.1}}, worker="here 7", wall_s=1.5)
SECOND = Entry("road 2", FAILED, error="SceneError: no road", attempts=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of two entries."""
    made = tmp_path / "deeper" / "journal.jsonl"
    with opened(made, FACTS) as journal:
        journal.append([FIRST, SECOND])
    return made


def test_what_was_kept_is_there_when_it_is_opened_again(path: Path) -> None:
    with opened(path, FACTS) as journal:
        assert journal.entries == {"road 1": FIRST, "road 2": SECOND}
    assert path.read_text().count("\n") == 3


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_line_that_was_broken_off_anywhere_is_dropped_and_written_again(path: Path, lines: int) -> None:
    whole = path.read_bytes().splitlines(keepends=True)
    kept = b"".join(whole[: lines - 1])
    for length in range(len(whole[lines - 1])):
        path.write_bytes(kept + whole[lines - 1][:length])
        with opened(path, FACTS) as journal:
            assert list(journal.entries) == ["road 1", "road 2"][: max(lines - 2, 0)]
            journal.append([SECOND])
        with opened(path, FACTS) as journal:
            assert journal.entries["road 2"] == SECOND


def test_of_two_entries_with_one_key_the_later_counts(path: Path) -> None:
    again = Entry("road 2", DRIVEN, {"margin": 0.5})
    with opened(path, FACTS) as journal:
        journal.append([again])
        assert journal.entries["road 2"] == again
    with opened(path, FACTS) as journal:
        assert journal.entries == {"road 1": FIRST, "road 2": again}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (FACTS | {"code": "c"}, "other code than now"),
        (FACTS | {"plan": "[]", "settings": "c"}, "other plan and other settings than now"),
        (FACTS | {"bundle mine": "d"}, "other bundle mine than now"),
        ({"plan": "{}", "code": "a"}, "other settings than now"),
    ],
)
def test_results_of_another_state_are_refused_by_its_name(path: Path, facts: dict[str, str], said: str) -> None:
    before = path.read_bytes()
    with (
        pytest.raises(SettingsError, match=f"journal.jsonl: holds results of {said}; choose another folder"),
        opened(path, facts),
    ):
        pass
    assert path.read_bytes() == before


def test_a_second_writer_is_refused(path: Path) -> None:
    with opened(path, FACTS), pytest.raises(SettingsError, match="another run is writing it"), opened(path, FACTS):
        pass


@pytest.mark.parametrize("line", ["no JSON", "[1]", json.dumps({"key": "x", "colour": "red"})])
def test_a_line_that_is_none_is_named(path: Path, line: str) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]) + "\n")
    with (
        pytest.raises(SettingsError, match=r"journal\.jsonl, line 2: no entry .+; remove the line"),
        opened(path, FACTS),
    ):
        pass
