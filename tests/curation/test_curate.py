# SPDX-License-Identifier: Apache-2.0
"""What curation does to recorded drives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curated import Altered, See

from tidegate.bag import BagReader, bag_hash
from tidegate.curation.curate import curate
from tidegate.curation.plan import Plan, PlannedBag, verdict_of
from tidegate.curation.rules import Rules
from tidegate.errors import BagError
from tidegate.records import nanoseconds

PLENTY = 3600.0


def whole(see: See, rules: Rules, *bags: Path, budget: float = PLENTY, **more: Any) -> Plan:
    """The plan of ``bags``, none of them held out."""
    return curate(see(list(bags), **more), rules, budget, held_share=0.0)


def verdicts(bag: PlannedBag) -> list[str]:
    return [verdict_of(one) for one in bag.windows.values()]


def test_every_frame_is_in_one_window_and_every_window_has_one_verdict(
    bags: list[Path], see: See, rules: Rules
) -> None:
    (bag, other) = whole(see, rules, *bags).bags
    assert list(bag.windows) == [0, 12, 24, 36, 48, 60, 72]
    assert verdicts(bag) == ["kept"] * 6 + ["short"]
    assert bag.windows[72] == "short: 8 frames before the bag ends"
    assert verdicts(other) == verdicts(bag)


def test_a_bag_that_is_given_twice_is_kept_once(bags: list[Path], see: See, rules: Rules) -> None:
    (first, _, again) = whole(see, rules, *bags, bags[0]).bags
    assert verdicts(first)[:6] == ["kept"] * 6
    assert verdicts(again)[:6] == ["duplicate"] * 6
    assert again.windows[12] == "duplicate: of road-1000@0.6s, 0.0 apart"


def test_of_two_answers_to_one_view_neither_is_kept(bags: list[Path], altered: Altered, see: See, rules: Rules) -> None:
    wrong = altered("wrong", lambda topic, record, n: turned(topic, record, 24 <= n < 36))
    (right, other) = whole(see, rules, bags[0], wrong).bags
    assert [verdicts(one)[2] for one in (right, other)] == ["inconsistent", "inconsistent"]
    assert verdicts(right).count("inconsistent") == 1
    assert "same view as wrong@1.2s" in right.windows[24]
    assert "1/m and" in right.windows[24]


def test_of_three_answers_the_one_that_contradicts_is_dropped(
    bags: list[Path], altered: Altered, see: See, rules: Rules
) -> None:
    wrong = altered("wrong", lambda topic, record, n: turned(topic, record, 24 <= n < 36))
    (right, again, other) = whole(see, rules, bags[0], bags[0], wrong).bags
    assert [verdicts(one)[2] for one in (right, again, other)] == ["kept", "duplicate", "inconsistent"]


def turned(topic: str, record: Any, now: bool) -> Any:
    """Steering to the other side, by 0.05 1/m at least."""
    return replace(record, curvature=-record.curvature - 0.05) if now and topic == "expert/nominal" else record


@pytest.mark.parametrize(
    ("change", "verdict", "why"),
    [
        (lambda topic, record: replace(record, speed=0.1) if topic == "odom" else record, "stationary", "0.10 m/s"),
        (lambda topic, record: record if topic != "expert/nominal" else None, "unlabelled", "12 of 12 frames"),
        (
            lambda topic, record: replace(record, image=np.zeros_like(record.image)) if "image" in topic else record,
            "camera",
            "12 of 12 frames",
        ),
    ],
    ids=["a car that stands", "no command", "a black picture"],
)
def test_what_teaches_nothing_is_dropped_with_the_reason(
    change: Any, verdict: str, why: str, altered: Altered, see: See, rules: Rules
) -> None:
    made = altered("made", lambda topic, record, n: change(topic, record) if 24 <= n < 36 else record)
    (bag,) = whole(see, rules, made).bags
    assert verdicts(bag) == ["kept", "kept", verdict, "kept", "kept", "kept", "short"]
    assert why in bag.windows[24]


def test_a_picture_that_freezes_while_the_car_moves_is_a_broken_camera(
    bags: list[Path], altered: Altered, see: See, rules: Rules
) -> None:
    pictures = [record.image for _, _, record in BagReader(bags[0]).messages(["camera/image_raw"])]

    def frozen(topic: str, record: Any, n: int) -> Any:
        return replace(record, image=pictures[24]) if topic == "camera/image_raw" and 24 <= n < 36 else record

    (bag,) = whole(see, rules, altered("frozen", frozen)).bags
    assert verdicts(bag)[2] == "camera"


def test_windows_begin_anew_after_a_pause(altered: Altered, see: See, rules: Rules) -> None:
    def paused(topic: str, record: Any, n: int) -> Any:
        return replace(record, stamp=record.stamp + nanoseconds(1.0)) if n >= 30 else record

    (bag,) = whole(see, rules, altered("paused", paused)).bags
    assert {frame: verdict_of(one) for frame, one in bag.windows.items()} == {
        **dict.fromkeys((0, 12), "kept"),
        24: "gapped",
        **dict.fromkeys((30, 42, 54, 66), "kept"),
        78: "short",
    }


def test_the_budget_is_kept_and_what_is_over_says_what_covers_it(bags: list[Path], see: See, rules: Rules) -> None:
    plan = whole(see, rules, *bags, budget=2.0)
    assert plan.counts() == {"kept": 3, "budget": 9, "short": 2}  # 0.6 s each
    over = next(one for one in plan.bags[0].windows.values() if verdict_of(one) == "budget")
    assert "from road-100" in over
    assert "which is kept" in over


def test_a_budget_below_one_window_keeps_nothing_and_says_so(bags: list[Path], see: See, rules: Rules) -> None:
    with pytest.raises(BagError, match=r"nothing can be kept of 2 bag\(s\) and 14 windows: 12 budget, 2 short"):
        whole(see, rules, *bags, budget=0.5)


def test_a_held_out_bag_is_learnt_from_nowhere(bags: list[Path], see: See, rules: Rules) -> None:
    plan = curate(see(bags), rules, PLENTY, seed=0, held_share=0.5)
    (held,) = [bag for bag in plan.bags if bag.held]
    assert set(verdicts(held)) == {"held"}
    assert held.kept() == []


def test_a_bag_that_is_there_twice_is_not_held_out(bags: list[Path], see: See, rules: Rules) -> None:
    for seed in range(4):
        plan = curate(see([bags[0], bags[1], bags[0]]), rules, PLENTY, seed=seed, held_share=0.3)
        assert [bag.held for bag in plan.bags] == [False, False, False]


def test_twice_the_same_plan_with_and_without_what_was_kept_of_the_bags(
    bags: list[Path], see: See, rules: Rules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    for name, more in (("one", {}), ("two", {"cache": cache})):
        whole(see, rules, *bags, budget=3.0, **more).save(tmp_path / f"{name}.yaml")
    assert {file.suffix for file in cache.iterdir()} == {".npz"}
    with monkeypatch.context() as patch:
        patch.setattr("tidegate.bag.files.align", None)  # no bag can be read
        whole(see, rules, *bags, budget=3.0, cache=cache).save(tmp_path / "three.yaml")
    for file, size in zip(sorted(cache.iterdir()), (0, 1000), strict=True):
        file.write_bytes(file.read_bytes()[:size])  # what was cut off is made anew
    whole(see, rules, *bags, budget=3.0, cache=cache).save(tmp_path / "four.yaml")
    assert len({(tmp_path / f"{name}.yaml").read_bytes() for name in ("one", "two", "three", "four")}) == 1


def test_bags_are_only_read(bags: list[Path], see: See, rules: Rules) -> None:
    def state() -> dict[str, tuple[str, int]]:
        return {str(file): (bag_hash(file), file.stat().st_mtime_ns) for bag in bags for file in sorted(bag.iterdir())}

    before = state()
    whole(see, rules, *bags, budget=2.0)
    assert state() == before


def test_a_bag_that_is_no_time_series_is_told_and_the_others_are_used(
    bags: list[Path], altered: Altered, see: See, rules: Rules
) -> None:
    still = altered("still", lambda topic, record, n: record if n < 1 else None)
    told: list[str] = []
    plan = whole(see, rules, still, bags[0], heard=lambda path, why: told.append(why))
    assert plan.counts()["kept"] == 6
    assert "has 1 camera frame(s)" in plan.refused[still]
    assert told == [plan.refused[still], ""]
    with pytest.raises(BagError, match=r"none of 1 bag\(s\) can be used; the first: .*1 camera frame"):
        see([still])
