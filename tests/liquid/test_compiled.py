# SPDX-License-Identifier: Apache-2.0
"""The steps in C are those of NumPy on any wiring; without a compiler the package builds all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import on_examples, over_networks
from small_cells import PAIRS, Pair, cfc_pair, wiring_of

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy, compiled
from tidegate.liquid.compiled import CompiledLtcStep, cfc_step, ltc_step
from tidegate.liquid.live import CfcStep, LtcStep, closed_form_reads
from tidegate.liquid.wiring import Wiring
from tidegate.settings import load_settings
from tidegate.share import share_path

ROOT = Path(__file__).parents[2]
SHIPPED = Bundle.load(share_path("models/car-ltc19"))

built = pytest.mark.skipif(compiled.native is None, reason="the C step is not built here")
cells = pytest.mark.parametrize("cell", PAIRS)
anywhere = given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(0, 6),
    layers=st.tuples(*[st.integers(0, 5)] * 3),
    share=st.sampled_from([0.0, 0.2, 0.7, 1.0]),
)


def shipped_pair(cell: str) -> Pair:
    wiring, random = Wiring.from_dict(SHIPPED.wiring), np.random.default_rng(0)
    if cell == "cfc":
        return cfc_pair(wiring, random)
    given = SHIPPED.part("liquid.cell"), SHIPPED.policy.substeps, cell.removeprefix("ltc ")
    return LtcStep(wiring, *given), CompiledLtcStep(wiring, *given)


def drawn(
    cell: str, seed: int, inputs: int, layers: tuple[int, int, int], share: float
) -> tuple[np.random.Generator, Wiring, Pair]:
    """A source of random numbers, a wiring from it, and that wiring's steps in NumPy and in C."""
    random = np.random.default_rng(seed)
    wiring = wiring_of(random, inputs, layers, share)
    return random, wiring, PAIRS[cell](wiring, random)


@built
@cells
@over_networks
def test_on_any_wiring_both_say_the_same(cell: str, count: int) -> None:
    @on_examples(count)
    @anywhere
    def holds(seed: int, inputs: int, layers: tuple[int, int, int], share: float) -> None:
        random, wiring, (ours, theirs) = drawn(cell, seed, inputs, layers, share)
        for scale in (1.0, 30.0, 1e4):  # the last: every synapse fully open or closed
            held, state = scale * random.normal(size=inputs), random.normal(size=wiring.neurons)
            kept, dt = state.copy(), float(10 ** random.uniform(-4, 1))
            np.testing.assert_allclose(theirs(held, state, dt), ours(held, state, dt), rtol=1e-11, atol=1e-12)
            np.testing.assert_array_equal(state, kept)


@built
@cells
@over_networks
def test_what_is_not_finite_reaches_the_same_neurons(cell: str, count: int) -> None:
    @on_examples(count)
    @anywhere
    def holds(seed: int, inputs: int, layers: tuple[int, int, int], share: float) -> None:
        random, wiring, (ours, theirs) = drawn(cell, seed, inputs, layers, share)
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
@pytest.mark.parametrize("cell", [name for name in PAIRS if name != "cfc"])
def test_time_constants_and_a_step_of_no_time_are_those_of_numpy(cell: str) -> None:
    ours, theirs = shipped_pair(cell)
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


def one_synapse(source: int, *end: int) -> bytes:
    """As ``native.ltc`` takes it: by neuron where its synapses end, the source, and four parameters."""
    return np.array([*end, source]).tobytes() + np.ones(4).tobytes()


@built
@pytest.mark.parametrize(
    ("source", "end"), [(-1, (1, 1, 1)), (2, (1, 1, 1)), (0, (0, 0, 0)), (0, (0, 0, 2)), (0, (2, 1, 1))]
)
def test_a_synapse_outside_the_network_is_refused(source: int, end: tuple[int, int, int]) -> None:
    membranes, none = np.ones((3, 3)).tobytes(), np.zeros(3, np.int64).tobytes()
    compiled.native.ltc(2, 1, False, membranes, one_synapse(0, 0, 1, 1), none)
    with pytest.raises(ValueError, match="outside the network"):
        compiled.native.ltc(2, 1, False, membranes, one_synapse(source, *end), none)
    for cut in (membranes[:-1], membranes[:-24]):
        with pytest.raises(ValueError, match="outside the network"):
            compiled.native.ltc(2, 1, False, cut, none, none)


@built
@pytest.mark.parametrize("wrong", [(-1, 0), (2, 0), (0, -1), (0, 3)])
def test_a_reading_outside_the_network_is_refused(wrong: tuple[int, int]) -> None:
    reading = np.array([(wrong[0] + (wrong[0] == 2) * 3, wrong[1], [0.0] * 4)], compiled.READING).tobytes()
    bias, layers = np.ones((3, 4)).tobytes(), np.array([3, 1]).tobytes()
    with pytest.raises(ValueError, match="outside the network"):
        compiled.native.cfc(2, bias, reading, layers)
    with pytest.raises(ValueError, match="outside the network"):
        compiled.native.cfc(2, bias, b"", np.array([4, 0]).tobytes())


LEFT_OVER = """
import sys, types
sys.modules["tidegate.liquid.native"] = types.ModuleType("native")
from tidegate.liquid import compiled
print(compiled.RUNS_IN)
"""


def test_an_extension_left_over_from_another_layout_is_not_used() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_OVER], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "NumPy"


STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic"]
C = ROOT / "src/tidegate/liquid/c"
with_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@with_compiler
@pytest.mark.parametrize("source", ["cells.c", "native.c"])
@pytest.mark.parametrize("optimised", ["-O0", "-O3"])
def test_the_c_has_no_warnings(source: str, optimised: str, tmp_path: Path) -> None:
    python = ["-isystem", sysconfig.get_path("include")]
    command = ["cc", *STRICT, optimised, *python, "-fPIC", "-c", C / source, "-o", tmp_path / "made.o"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Python.h: No such file" in done.stderr:
        pytest.skip("no Python.h")
    assert done.returncode == 0, done.stderr


UNDER_SANITIZERS = """
import importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("tidegate.liquid.native", sys.argv[1])
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
from tidegate.liquid import compiled
assert compiled.native.__file__ == sys.argv[1]
sys.path.insert(0, sys.argv[2])
from small_cells import PAIRS, wiring_of
random = np.random.default_rng(0)
for _ in range(100):
    wiring = wiring_of(random, int(random.integers(7)), tuple(random.integers(6, size=3).tolist()), random.random())
    for made in PAIRS.values():
        numpy, native = made(wiring, random)
        state = expected = random.normal(size=wiring.neurons)
        for scale in (1.0, 30.0, 1e4, 1e300):
            held, dt = scale * random.normal(size=wiring.inputs), float(10 ** random.uniform(-4, 1))
            with np.errstate(all="ignore"):
                expected, state = numpy(held, expected, dt), native(held, state, dt)
            if scale < 1e300:
                np.testing.assert_allclose(state, expected, rtol=1e-9, atol=1e-9)
        native(np.full(wiring.inputs, np.nan), state, 0.05)
        for wrong in (np.zeros(wiring.inputs + 1), np.zeros(wiring.inputs, np.int64)):
            try:
                native(wrong, state, 0.05)
            except ValueError:
                continue
            assert not wiring.inputs and wrong.size == 0, "accepted"
none = np.zeros(3, np.int64).tobytes()
synapse = np.array([1, 1, 1, 2]).tobytes() + np.ones(4).tobytes()
try:
    compiled.native.ltc(2, 1, False, np.ones((3, 3)).tobytes(), synapse, none)
except ValueError:
    print("clean")
"""


@with_compiler
@pytest.mark.skipif(compiled.native is None, reason="no Python.h, perhaps")
def test_the_c_is_clean_under_the_sanitizers(tmp_path: Path) -> None:
    """The extension itself, in an interpreter that has the address sanitizer beneath it."""
    path = tmp_path / "native.so"
    sanitized = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ffp-contract=off"]
    include = ["-I", sysconfig.get_path("include")]
    build = [
        "cc",
        "-std=c99",
        *sanitized,
        *include,
        "-fPIC",
        "-shared",
        C / "native.c",
        C / "cells.c",
        "-o",
        path,
        "-lm",
    ]
    subprocess.run(build, check=True)
    asked = ["cc", "-print-file-name=libasan.so"]
    beneath = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    command = [sys.executable, "-c", UNDER_SANITIZERS, path, Path(__file__).parent]
    environment = os.environ | {"LD_PRELOAD": beneath, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "clean\n"), done.stderr


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
