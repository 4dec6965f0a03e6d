# SPDX-License-Identifier: Apache-2.0
"""The zoo: series in true time that no test leaks out of, models that learn, and a page made from the figures."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from examples.liquid import run
from examples.liquid.irregular import GAPS, JITTER, NOISE, Irregular, thinned
from examples.liquid.models import Gated, Kind, build, parameters
from examples.liquid.sine import Sine
from examples.liquid.task import Data, Series, Task
from examples.liquid.training import Job, error
from examples.liquid.training import run as train
from examples.liquid.walker import FASTEST, LEFT_OUT, SAMPLES, Walker, sequence

SMALL: dict[str, Task] = {
    "sine": Sine(steps=60),
    "irregular": Irregular(steps=40, batch=16, train=64, test=32),
    "walker": Walker(steps=40, batch=8, train=16, test=4),
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Data]:
    return {name: task.draw() for name, task in SMALL.items()}


def same(one: Series, other: Series) -> bool:
    return all(torch.equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Series))


@pytest.mark.parametrize("name", SMALL)
def test_the_data_are_the_same_whoever_draws_them(name: str, drawn: dict[str, Data]) -> None:
    again, first = SMALL[name].draw(), drawn[name]
    assert same(again.train, first.train)
    assert all(same(again.tests[test], series) for test, series in first.tests.items())


@pytest.mark.parametrize("name", SMALL)
def test_shapes_belong_together_and_time_passes(name: str, drawn: dict[str, Data]) -> None:
    task = SMALL[name]
    for series in (drawn[name].train, *drawn[name].tests.values()):
        shape = series.dt.shape
        assert series.inputs.shape == (*shape, task.inputs)
        assert series.targets.shape == series.repeated.shape == (*shape, task.outputs)
        assert (series.dt > 0).all()


@pytest.mark.parametrize("name", ["irregular", "walker"])
def test_nothing_of_the_test_is_in_training(name: str, drawn: dict[str, Data]) -> None:
    data = drawn[name]
    parts = (data.train, data.tests["test"])
    starts = torch.cat([part.inputs[:, :4].flatten(1) for part in parts])
    assert len(starts.unique(dim=0)) == len(starts)
    fewer: Any = replace(SMALL[name], test=1)  # type: ignore[call-arg]
    assert same(fewer.draw().train, data.train)  # normalisation too is the training's own


@pytest.mark.parametrize("name", ["irregular", "walker"])
def test_times_are_irregular_and_who_is_not_told_sees_the_same_samples(name: str, drawn: dict[str, Data]) -> None:
    task, series = SMALL[name], drawn[name].tests["test"]
    assert series.dt.std() > 0.2 * task.period
    untold = series.untold(task.period)
    assert untold.dt.unique().tolist() == [pytest.approx(task.period)]
    assert same(replace(untold, dt=series.dt), series)


def test_the_sine_is_that_of_the_double_angle_at_every_rate() -> None:
    task = Sine()
    for rate in (0.5, 1.0, 2.0):
        series = task.at(rate)
        torch.testing.assert_close(series.targets, 2 * series.inputs.prod(dim=2, keepdim=True), atol=1e-5, rtol=0)
    torch.testing.assert_close(task.at(2.0).inputs[:, ::2], task.at(1.0).inputs, atol=1e-5, rtol=0)
    assert task.at(2.0).dt.sum() == pytest.approx(float(task.at(1.0).dt.sum()), rel=0.03)


def test_irregular_samples_are_the_signal_that_is_asked_for() -> None:
    task = Irregular()
    series = task.some(400, 7)
    spare = series.dt - task.period
    assert (spare > -JITTER * task.period).all()
    assert (spare > JITTER * task.period).float().mean() == pytest.approx(GAPS, abs=0.01)
    # wherever a later sample falls within 1 ms of what was asked, it must say the same, but for its noise
    time = series.dt.cumsum(dim=1)
    lag = time[:, None, :] - time[:, :, None] - task.ahead
    which, asked, later = (lag.abs() < 1e-3).nonzero(as_tuple=True)
    assert len(which) > 100
    off = series.inputs[which, later] - series.targets[which, asked]
    assert off.std() == pytest.approx(NOISE, rel=0.2)
    assert abs(off.mean()) < NOISE / 3
    thin = thinned(series)
    torch.testing.assert_close(thin.dt.cumsum(dim=1), time[:, 1::2])
    assert torch.equal(thin.inputs, series.inputs[:, 1::2])
    assert torch.equal(thin.targets, series.targets[:, 1::2])


def test_a_walker_moves_as_its_velocities_say_and_frames_are_left_out() -> None:
    longer = []
    for seed in range(6):
        states, dt, changes = sequence(9, seed)
        assert states.shape == changes.shape == (SAMPLES, 17)
        frames = dt / Walker.period
        assert abs(frames - frames.round()).max() < 1e-9
        longer.append((frames > 1.5).mean())
        following = frames[1:].round() == 1
        assert abs(states[:-1] + changes[:-1] - states[1:])[following].max() < 1e-9
        speed = states[:, 8:] + changes[:, 8:] / 2  # observed: all but the way forward, then all velocities
        slow = abs(states[:, 9:]) < 0.9 * FASTEST
        assert abs(changes[:, :8] - speed[:, 1:] * Walker.period)[slow].mean() < 5e-4
    assert sum(longer) / len(longer) == pytest.approx(LEFT_OUT, abs=0.04)


@pytest.mark.parametrize("name", SMALL)
def test_models_have_nearly_as_many_parameters(name: str) -> None:
    task = SMALL[name]
    counts = {}
    for kind in Kind:
        model = build(kind, task.wiring(0), task.outputs, task.period, task.tau, 0)
        counts[kind] = parameters(model)
        assert isinstance(model, Gated) == (kind in (Kind.LSTM, Kind.GRU))
    for kind in (Kind.LSTM, Kind.GRU):
        assert counts[kind] == pytest.approx(counts[Kind.LTC], rel=0.1)
    assert counts[Kind.CFC] == pytest.approx(counts[Kind.LTC], rel=0.35)  # each neuron hears itself too


@pytest.mark.parametrize("kind", Kind)
def test_an_answer_depends_on_dt_and_on_nothing_later(kind: Kind, drawn: dict[str, Data]) -> None:
    task, series = SMALL["irregular"], drawn["irregular"].tests["test"]
    model = build(kind, task.wiring(0), task.outputs, task.period, task.tau, 0)
    with torch.no_grad():
        answers = model(series.inputs, series.dt)[0]
        untold = model(series.inputs, series.untold(task.period).dt)[0]
        part = model(series.inputs[:, :20], series.dt[:, :20])[0]
    assert (answers - untold).abs().max() > 1e-3
    torch.testing.assert_close(part, answers[:, :20])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", Kind)
def test_a_few_steps_teach_every_model_something(kind: Kind, name: str, drawn: dict[str, Data]) -> None:
    task, data = SMALL[name], drawn[name]
    data = replace(data, tests={"trained": data.train})
    before, after = (train((Job(replace(task, steps=steps), kind, True, 0), data)) for steps in (1, task.steps))
    assert after.errors["trained"] < 0.95 * before.errors["trained"]
    assert before.parameters == after.parameters
    assert train((Job(replace(task, steps=1), kind, True, 0), data)).errors == before.errors


def test_the_error_is_the_share_of_the_variance_that_is_left() -> None:
    targets = torch.randn(50, 20, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.1])
    assert error(targets, targets) == 0
    assert error(targets.mean(dim=(0, 1)).expand_as(targets), targets) == pytest.approx(1, abs=1e-5)


def test_the_page_says_what_the_figures_say(tmp_path: Path) -> None:
    models = {
        name: {
            "parameters": [1200, 1201],
            "seconds": [2.0, 4.0],
            "errors": {"test": [level, 3 * level]},
            "trace": [0.0, 1.0],
        }
        for name, level in {"LTC": 0.01, "CfC": 0.02, "LSTM": 0.005, "GRU": 0.03}.items()
    }
    record = {
        "date": "2001-02-03",
        "seconds": 123.4,
        "processes": 2,
        "machine": {
            "processor": "an abacus",
            "cores": 2,
            "load_1min": 9.87,
            "python": "3.11",
            "packages": {"torch": "1", "numpy": "2", "mujoco": "3"},
        },
        "series": {"training": 7, "test": 5},
        "steps": 11,
        "batch": 13,
        "rate": 0.5,
        "repeated": {"test": 0.456},
        "shown": {"time": [0.0, 0.1], "target": [0.0, 1.0]},
        "models": models,
    }
    out, page = tmp_path / "out", tmp_path / "docs/zoo.md"
    out.mkdir()
    page.parent.mkdir()
    (out / "irregular.json").write_text(json.dumps(record), encoding="utf-8")
    run.main("", 2, out, page)
    text = page.read_text("utf-8")
    assert "| LSTM | 1200–1201 | 1 ± 0.71 | 3.0 |" in text
    assert "| repeat |  | 45.6 |  |" in text
    assert "Least error: LSTM; next LTC, 2.00 times that." in text
    assert "an abacus, 2 cores, load 9.87" in text
    assert "11 steps of 13 at 0.5; 2 seeds. 123 s in 2 processes, 24 s of processor time for training" in text
    assert Sine.title not in text
    assert (page.parent / "zoo/irregular.png").stat().st_size > 0


@pytest.mark.slow
def test_one_command_trains_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "TASKS", SMALL)
    page = tmp_path / "docs/zoo.md"
    page.parent.mkdir()
    run.main("irregular", 2, tmp_path / "out", page)
    figures = json.loads((tmp_path / "out/irregular.json").read_text("utf-8"))
    assert len(figures["models"]) == 2 * len(Kind)
    told, untold = (figures["models"][name]["errors"]["test"] for name in ("GRU", "GRU, not told"))
    assert sorted(told) != sorted(untold)
    assert Irregular.title in page.read_text("utf-8")
    assert (page.parent / "zoo/irregular.png").stat().st_size > 0
