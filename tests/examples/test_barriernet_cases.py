# SPDX-License-Identifier: Apache-2.0
"""The published cases: rows against finite differences, the textbook's dips, and ours that keeps b ≥ 0."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import run
import torch
from common import Case, programme, verified
from dips import DIPS, dip
from judge import interval
from learn import Method, Network, command, demonstrations, train
from scipy.stats import beta
from torch import Tensor

CASES = list(run.CASES.values())
LIMITED = [case for case in CASES if case.degree == 1 and math.isfinite(case.low[0])]


def some(case: Case, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random states along the way, not only starts, and commands inside ± one unit."""
    generator = torch.Generator().manual_seed(seed)
    state = case.starts(generator, count)
    for _ in range(5):
        u = torch.tensor(case.scale) * (2 * torch.rand(count, len(case.scale), generator=generator) - 1).double()
        state = case.hold(state, u)[-1]
    return state, u


def moved(case: Case, state: Tensor, u: Tensor, step: float, worst: bool) -> Tensor:
    """The state ``step`` [s] later: Runge–Kutta of order 4, small steps, either way in time."""
    f, h = (case.predicted if worst else case.derivative), step / 4
    for _ in range(4):
        k1 = f(state, u)
        k2 = f(state + h / 2 * k1, u)
        k3 = f(state + h / 2 * k2, u)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(state + h * k3, u))
    return state


@pytest.mark.parametrize("reserve", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_are_the_derivatives_of_the_barrier(case: Case, reserve: bool) -> None:
    state, u = some(case, 200, 3)
    h = 1e-3
    before, now, after = (case.row(moved(case, state, u, step, reserve), reserve)[0] for step in (-h, 0.0, h))
    _, slope, drift, G = case.row(state, reserve)
    highest = drift + (G @ u[..., None])[..., 0]
    first, second = (after - before) / (2 * h), (after - 2 * now + before) / h**2
    if case.degree == 2:
        torch.testing.assert_close(slope, first, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(highest, second, rtol=1e-4, atol=1e-3)
    else:
        torch.testing.assert_close(highest, first, rtol=1e-3, atol=1e-3)


def test_the_textbook_barrier_dips_between_ticks_and_beyond_the_brake() -> None:
    between, beyond = (float(dip(case, gain, ours=False).min()) for case, gain in DIPS.values())
    assert between == pytest.approx(-0.0067, abs=2e-4)
    assert beyond == pytest.approx(-0.826, abs=1e-3)


@pytest.mark.parametrize("name", DIPS)
def test_ours_does_not_dip(name: str) -> None:
    b = dip(*DIPS[name], ours=True)
    assert float(b.min()) >= 0.0
    assert float(b.min()) < 0.01  # and not because it stays away


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ours_keeps_the_barrier_whatever_the_network_wants(case: Case) -> None:
    generator = torch.Generator().manual_seed(4)
    state = case.starts(generator, 12)
    assert (case.kept(state) >= 0).all()
    for _ in range(case.steps // 2):
        wish = 3 * torch.tensor(case.scale) * torch.randn(12, len(case.scale), generator=generator).double()
        gains = 4 * torch.rand(12, case.degree, case.barriers, generator=generator).double()
        gains[:, :-1] = case.inner
        u, fine = verified(case, state, wish.abs() if case.degree == 1 else wish, gains)
        assert fine.all() or case.name == "lane"  # there two rows may contradict: nothing is reserved for that
        for after in case.hold(state, u):
            assert (case.barrier(after) >= 0).all()
        state = after


@pytest.mark.parametrize("case", LIMITED, ids=lambda case: case.name)
def test_full_braking_satisfies_every_row_with_reserve(case: Case) -> None:
    state, _ = some(case, 500, 5)
    b, _, drift, G = case.row(state, reserve=True)
    kept = b[:, 0] >= 0
    assert kept.sum() > 100
    assert ((drift + G[..., 0] * case.low[0])[kept] >= -1e-12).all()


def test_a_sample_without_a_solution_brakes() -> None:
    case = run.CASES["acc"]
    state = case.starts(torch.Generator().manual_seed(6), 2)
    state[0, 0] = state[0, 2] + 1.0  # a metre ahead
    u, solved = programme(case, state, torch.ones(2, 1).double(), torch.ones(2, 1, 1).double(), reserve=True)
    assert solved.tolist() == [False, True]
    assert u[0, 0] == case.low[0]


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    low, high = interval(3, 1000)
    assert low == pytest.approx(beta.ppf(0.025, 3, 998), rel=1e-6)
    assert high == pytest.approx(beta.ppf(0.975, 4, 997), rel=1e-6)
    assert interval(0, 1000)[0] == 0.0


@pytest.mark.parametrize("method", [Method.PUBLISHED, Method.OURS])
def test_training_goes_through_the_programme(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learn.RUNS", 2)
    monkeypatch.setattr("learn.EPOCHS", 3)
    case = run.CASES["lane"]
    states, commands = data = demonstrations(case, 0)
    made = train(case, method, data, 0)
    torch.manual_seed(0)
    before = Network(case, case.features(states))
    with torch.no_grad():
        far, near = (
            float((command(case, method, network, states[:100])[0] - commands[:100]).abs().mean())
            for network in (before, made.network)
        )
    assert near < far


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_one_command_trains_drives_and_writes_the_page(tmp_path: Path) -> None:
    page = tmp_path / "docs/barriernet.md"
    page.parent.mkdir()
    run.main("robot", 20, tmp_path / "out", page)
    assert "2-D robot" in page.read_text("utf-8")
    assert (page.parent / "barriernet/robot.png").stat().st_size > 0
