# SPDX-License-Identifier: Apache-2.0
"""The steps in C are those of NumPy on any wiring; without a compiler the package builds all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy, compiled
from tidegate.liquid.compiled import CompiledCfcStep, CompiledLtcStep, cfc_step, ltc_step
from tidegate.liquid.live import CfcStep, LtcStep, Step, closed_form_reads, dense_time_reads
from tidegate.liquid.wiring import Wiring
from tidegate.settings import load_settings
from tidegate.share import share_path

ROOT = Path(__file__).parents[2]
SHIPPED = Bundle.load(share_path("models/car-ltc19"))
Pair = tuple[Step, Step]
"""NumPy's and C's."""

built = pytest.mark.skipif(compiled.native is None, reason="the C step is not built here")
cells = pytest.mark.parametrize("cell", ["ltc", "cfc"])
anywhere = given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(0, 6),
    layers=st.tuples(*[st.integers(0, 5)] * 3),
    share=st.sampled_from([0.0, 0.2, 0.7, 1.0]),
)


def wiring_of(random: np.random.Generator, inputs: int, layers: tuple[int, int, int], share: float) -> Wiring:
    """Any graph, self-connections and neurons that nobody hears included."""
    neurons = sum(layers)

    def drawn(sources: int) -> np.ndarray:
        there = random.random((sources, neurons)) < share
        return (there * random.choice([-1, 1], (sources, neurons))).astype(np.int8)

    return Wiring(*layers, drawn(inputs), drawn(neurons), bool(random.integers(2)))


def ltc_pair(wiring: Wiring, random: np.random.Generator) -> Pair:
    def normal(size: int) -> np.ndarray:
        return random.normal(size=size).astype(np.float32)

    names = ("raw_slope", "midpoint", "raw_weight", "raw_reversal")
    ends = {"sensory": np.count_nonzero(wiring.sensory), "recurrent": np.count_nonzero(wiring.recurrent)}
    arrays = {f"{end}.{name}": normal(count) for end, count in ends.items() for name in names}
    arrays |= {name: normal(wiring.neurons) for name in ("raw_leak", "rest", "raw_capacitance")}
    substeps = int(random.integers(1, 7))
    return LtcStep(wiring, arrays, substeps), CompiledLtcStep(wiring, arrays, substeps)


def cfc_pair(wiring: Wiring, random: np.random.Generator) -> Pair:
    shapes = {"weight": (4, len(closed_form_reads(wiring)[0])), "bias": (4, wiring.neurons)}
    shapes["dense_time_weight"] = (2, len(dense_time_reads(wiring)[0]))
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return CfcStep(wiring, arrays), CompiledCfcStep(wiring, arrays)


PAIRS: dict[str, Callable[[Wiring, np.random.Generator], Pair]] = {"ltc": ltc_pair, "cfc": cfc_pair}


def shipped_pair(cell: str) -> Pair:
    wiring, random = Wiring.from_dict(SHIPPED.wiring), np.random.default_rng(0)
    if cell == "cfc":
        return cfc_pair(wiring, random)
    arrays = SHIPPED.part("liquid.cell")
    return LtcStep(wiring, arrays, SHIPPED.policy.substeps), CompiledLtcStep(wiring, arrays, SHIPPED.policy.substeps)


@built
@cells
@anywhere
def test_on_any_wiring_both_say_the_same(
    cell: str, seed: int, inputs: int, layers: tuple[int, int, int], share: float
) -> None:
    random = np.random.default_rng(seed)
    wiring = wiring_of(random, inputs, layers, share)
    ours, theirs = PAIRS[cell](wiring, random)
    for scale in (1.0, 30.0, 1e4):  # the last: every synapse fully open or closed
        held, state = scale * random.normal(size=inputs), random.normal(size=wiring.neurons)
        kept, dt = state.copy(), float(10 ** random.uniform(-4, 1))
        np.testing.assert_allclose(theirs(held, state, dt), ours(held, state, dt), rtol=1e-11, atol=1e-12)
        np.testing.assert_array_equal(state, kept)


@built
@cells
@anywhere
def test_what_is_not_finite_reaches_the_same_neurons(
    cell: str, seed: int, inputs: int, layers: tuple[int, int, int], share: float
) -> None:
    random = np.random.default_rng(seed)
    wiring = wiring_of(random, inputs, layers, share)
    ours, theirs = PAIRS[cell](wiring, random)
    for bad in (np.nan, np.inf, -np.inf):
        held, state, dt = random.normal(size=inputs), random.normal(size=wiring.neurons), 0.05
        spoilt = int(random.integers(inputs + wiring.neurons + 1))
        if spoilt < inputs:
            held[spoilt] = bad
        elif spoilt < inputs + wiring.neurons:
            state[spoilt - inputs] = bad
        else:
            dt = abs(bad)
        with np.errstate(all="ignore"):
            expected = ours(held, state, dt)
        if cell == "cfc" and np.isinf([*held, *state]).any():  # NumPy's infinity times zero: not where all is wired
            expected = np.full(wiring.neurons, np.nan)
        np.testing.assert_allclose(theirs(held, state, dt), expected, rtol=1e-11, atol=1e-12)


@built
@cells
def test_over_a_thousand_steps_of_unsteady_time_they_stay_together(cell: str) -> None:
    ours, theirs = shipped_pair(cell)
    random = np.random.default_rng(1)
    expected = found = np.zeros(19)
    for _ in range(1000):
        held, dt = random.normal(size=33), float(random.uniform(0.01, 0.3))
        expected, found = ours(held, expected, dt), theirs(held, found, dt)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    assert np.ptp(expected) > 0.1


@built
def test_time_constants_and_a_step_of_no_time_are_those_of_numpy() -> None:
    ours, theirs = shipped_pair("ltc")
    np.testing.assert_array_equal(theirs.time_constants(), ours.time_constants())  # type: ignore[attr-defined]
    for step in (ours, theirs):
        with pytest.raises(ZeroDivisionError):
            step(np.zeros(33), np.zeros(19), 0.0)


@built
@cells
@pytest.mark.parametrize(
    ("held", "state"),
    [
        (np.zeros(32), np.zeros(19)),
        (np.zeros(33), np.zeros(20)),
        (np.zeros(33, np.float32), np.zeros(19)),
        (np.zeros(66, np.float32), np.zeros(19)),
        (np.zeros(33), np.zeros(38)[::2]),
    ],
)
def test_other_shapes_and_types_are_refused(cell: str, held: np.ndarray, state: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"the network has|contiguous"):
        shipped_pair(cell)[1](held, state, 0.05)


@built
@pytest.mark.parametrize("wrong", [(-1, 0), (2, 0), (0, -1), (0, 3)])
def test_a_synapse_outside_the_network_is_refused(wrong: tuple[int, int]) -> None:
    synapse = np.array([(*wrong, 1.0, 0.0, 1.0, 1.0)], compiled.SYNAPSE).tobytes()
    reading = np.array([(wrong[0] + (wrong[0] == 2) * 3, wrong[1], [0.0] * 4)], compiled.READING).tobytes()
    membranes, bias, layers = np.ones((3, 3)).tobytes(), np.ones((3, 4)).tobytes(), np.array([3, 1]).tobytes()
    with pytest.raises(ValueError, match="outside the network"):
        compiled.native.ltc(2, 1, membranes, synapse, b"")
    with pytest.raises(ValueError, match="outside the network"):
        compiled.native.cfc(2, bias, reading, layers)
    with pytest.raises(ValueError, match="outside the network"):
        compiled.native.cfc(2, bias, b"", np.array([4, 0]).tobytes())
    with pytest.raises(ValueError, match="outside the network"):
        compiled.native.ltc(2, 1, membranes[:-1], b"", b"")


def test_the_policy_says_what_it_runs_in_and_numpy_steps_where_c_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(share_path("config/car.yaml"))
    assert LiquidPolicy(SHIPPED, settings).runs_in == ("NumPy" if compiled.native is None else "C")
    monkeypatch.setattr(compiled, "native", None)
    assert LiquidPolicy(SHIPPED, settings).runs_in == "NumPy"
    wiring, arrays = Wiring.from_dict(SHIPPED.wiring), SHIPPED.part("liquid.cell")
    assert type(ltc_step(wiring, arrays, 3)) is LtcStep
    closed: dict[str, Any] = {"weight": np.zeros((4, len(closed_form_reads(wiring)[0]))), "bias": np.zeros((4, 19))}
    assert type(cfc_step(wiring, closed)) is CfcStep


@pytest.mark.parametrize("compiler", ["cc", "/bin/false", "/no/such/compiler"])
def test_it_builds_with_a_compiler_and_is_left_out_without(compiler: str, tmp_path: Path) -> None:
    if compiler == "cc" and shutil.which("cc") is None:
        pytest.skip("no C compiler")
    build = [sys.executable, "setup.py", "build_ext", "--build-lib", str(tmp_path), "--build-temp", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, env=os.environ | {"CC": compiler}, check=True, capture_output=True)
    assert len(list(tmp_path.rglob("native*.so"))) == (compiler == "cc")
