# SPDX-License-Identifier: Apache-2.0
"""The C library: strict, small, without a heap, calm about any input, and it notices when it is wrong."""

from __future__ import annotations

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_drive import CELLS

from tidegate.export.c_library import export_c
from tidegate.export.c_source import comment, literal
from tidegate.export.compiled import Compiled, compiler
from tidegate.export.network import Network
from tidegate.liquid import LiquidPolicy
from tidegate.records import Features, Odometry, nanoseconds

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler is installed")

ALLOWED = {"expf", "tanhf", "rintf", "fminf", "fmaxf", "memcpy"}
"""What the library may call: libm, and what a compiler makes of copying; no heap, no input or output."""


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(params=CELLS)
def copied(request, c_folders, tmp_path) -> Path:
    """A folder to build in."""
    return Path(shutil.copytree(c_folders[request.param], tmp_path / request.param))


def test_it_checks_itself_and_is_clean_under_the_sanitizers(copied):
    flags = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    done = make(copied, "check", f"CFLAGS={flags}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("right")


ARM = ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ar", "qemu-aarch64")


@pytest.mark.skipif(not all(map(shutil.which, ARM)), reason="the tools for Arm are not installed")
def test_it_checks_itself_on_another_processor(c_folders, tmp_path):
    folder = Path(shutil.copytree(c_folders["ltc"], tmp_path / "c"))
    tools = ("CC=aarch64-linux-gnu-gcc", "AR=aarch64-linux-gnu-ar", "RUN=qemu-aarch64")
    done = make(folder, "check", "LDFLAGS=-static", *tools)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("right")


def test_it_notices_a_changed_weight(copied):
    assert make(copied, "check").returncode == 0
    source = copied / "liquid_weights.c"
    text = source.read_text("utf-8")
    start = text.index("tidegate_gain_weight")
    first = text[text.index("{", text.index("{", start) + 1) + 1 :].split(",")[0]
    source.write_text(text[:start] + text[start:].replace(first, f"{float(first[:-1]) * 1.01:.6f}F", 1), "utf-8")
    done = make(copied, "check")
    assert done.returncode != 0
    assert "WRONG" in done.stdout


def test_it_needs_libm_alone(copied):
    assert make(copied, "all").returncode == 0
    listed = subprocess.run(["nm", copied / "libtidegate.a"], capture_output=True, text=True, check=True).stdout
    kinds: dict[str, set[str]] = {}
    for words in (line.split()[-2:] for line in listed.splitlines() if line and not line.endswith(":")):
        kinds.setdefault(words[0], set()).add(words[1])
    own = set().union(*(names for kind, names in kinds.items() if kind != "U"))
    assert kinds["U"] - own - {"_GLOBAL_OFFSET_TABLE_"} <= ALLOWED
    assert not kinds.keys() & {"B", "b", "C"}, "a variable of the library's own"


def test_the_liquid_part_is_small_and_stands_alone(copied):
    assert make(copied, "libtidegate_liquid.a").returncode == 0
    listed = subprocess.run(
        ["size", copied / "libtidegate_liquid.a"], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in listed.splitlines()[1:]]
    assert len(rows) == 3
    assert sum(int(text) + int(data) + int(bss) for text, data, bss, *_ in rows) <= 64 * 1024
    program = copied / "alone.c"
    program.write_text(
        '#include "tidegate.h"\nint main(void)\n{\n    float features[TIDEGATE_FEATURES] = {0.0F};\n'
        "    float neurons[TIDEGATE_NEURONS] = {0.0F};\n    tidegate_decision decision;\n"
        "    tidegate_decide(features, 5.0F, 0.0F, neurons, &decision);\n"
        "    return (decision.gains[0] >= TIDEGATE_GAIN_LOW) ? 0 : 1;\n}\n",
        "utf-8",
    )
    build = [str(compiler()), "-std=c99", "-o", "alone", "alone.c", "libtidegate_liquid.a", "-lm"]
    subprocess.run(build, cwd=copied, check=True)
    assert subprocess.run([copied / "alone"], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
@pytest.mark.slow
def test_cmake_builds_it_too(c_folders, tmp_path):
    for command in (
        ["cmake", "-S", c_folders["ltc"], "-B", tmp_path],
        ["cmake", "--build", tmp_path],
        ["ctest", "--test-dir", tmp_path],
    ):
        subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("cell", ["ltc", "midpoint"])
def test_theorem_2_holds_in_single_precision_in_c_too(cell, networks, parities):
    """No neuron leaves the span of the potentials that pull it (Hasani et al. 2021), whatever dt and input."""
    network = networks[cell]
    library = Compiled(network, export_c(network, parities[cell]))
    a, random = network.arrays, np.random.default_rng(0)
    low, high = (a["rest"] / a["leak"] for _ in range(2))
    for kind in ("sensory", "recurrent"):
        potential = a[f"{kind}_current"] / a[f"{kind}_weight"]
        np.minimum.at(low, a[f"{kind}_target"], potential)
        np.maximum.at(high, a[f"{kind}_target"], potential)
    room = 1e-6 * (1 + np.maximum(np.abs(low), np.abs(high)))
    for _ in range(300):
        neurons = random.uniform(low, high).astype(np.float32)
        for _ in range(5):
            features = (10.0 ** random.uniform(-2, 30) * random.normal(size=32)).astype(np.float32)
            dt = 10 ** random.uniform(-4, np.log10(network.facts["dt_max_s"]))
            library.decide(features, float(random.normal(0, 100)), dt, neurons)
            assert (neurons >= low - room).all()
            assert (neurons <= high + room).all()


@pytest.mark.parametrize("cell", CELLS)
def test_it_keeps_time_as_the_policy_does(cell, bundles, networks, parities, car_settings):
    """Late, lost, doubled and reversed frames, features and speeds that are none: the policy by stamps, C by dt. Of a
    frame that came after a later one C is not told."""
    policy, bundle = LiquidPolicy(bundles[cell], car_settings), bundles[cell]
    library = Compiled(networks[cell], export_c(networks[cell], parities[cell]))
    random = np.random.default_rng(0)
    neurons, stamp, decided = np.zeros(policy.wiring.neurons, np.float32), 10**18, None
    kinds = {"reset": 0, "not finite": 0, "too late": 0}
    full = np.array(networks[cell].facts["full_scale"])[:3]
    for _ in range(2000):
        stamp += nanoseconds(random.choice([0.02, 0.05, 0.1, 0.3, car_settings.policy.dt_max_s, 0.6, -0.2]))
        features = random.normal(0, 2, bundle.perception.features).astype(np.float32)
        speed = float(random.uniform(-1, 20))
        if random.random() < 0.1:
            speed = random.choice([math.nan, math.inf])
        elif random.random() < 0.1:
            features[random.integers(len(features))] = random.choice([math.nan, -math.inf])
        before = policy._last
        expected = policy.step(Features(stamp, features), Odometry(stamp, 0.0, 0.0, 0.0, speed, 0.0))
        passed = 0.0 if decided is None else (stamp - decided) / 1e9
        if expected is before or (decided is not None and -car_settings.policy.dt_max_s <= passed <= 0):
            assert expected is before or math.isnan(expected.nominal.force)  # told again, a frame has its answer again
            np.testing.assert_allclose(neurons, policy._network.neurons, atol=1e-5)
            kinds["too late"] += 1
            continue
        force, curvature, *gains = library.decide(features, speed, passed, neurons)
        if not 0 < passed <= car_settings.policy.dt_max_s:
            decided = None
            kinds["reset"] += 1
        np.testing.assert_allclose(neurons, expected.neurons, atol=1e-5)
        np.testing.assert_allclose(gains, list(expected.gains.values.values()), atol=1e-5 * full[2])
        if math.isnan(expected.nominal.force):
            assert math.isnan(force)
            assert math.isnan(curvature)
            kinds["not finite"] += 1
        else:
            decided = stamp
            off = np.array([force - expected.nominal.force, curvature - expected.nominal.curvature]) / full[:2]
            assert np.abs(off).max() <= 1e-5
    assert min(kinds.values()) > 100


@pytest.mark.parametrize("flags", ["-O0", "-O2 -ftree-vectorize", "-O1 -fsanitize=undefined -fno-sanitize-recover=all"])
@pytest.mark.parametrize("function", ["sigmoid", "relaxed"])
def test_its_exponentials_are_exact_to_single_precision_and_keep_nan(function, flags, c_folders, tmp_path):
    code = """
    #include "liquid.h"
    #include <stdio.h>
    int main(void)
    {
        static float x[1024];
        while (fread(x, sizeof(x), 1, stdin) == 1) {
            for (int i = 0; i < 1024; i++) {
                x[i] = tidegate_FUNCTION(x[i]);
            }
            (void)fwrite(x, sizeof(x), 1, stdout);
        }
    }
    """
    (tmp_path / "main.c").write_text(code.replace("FUNCTION", function), "utf-8")
    build = [str(compiler()), "-std=c99", *flags.split(), f"-I{c_folders['ltc']}", "-o", "main", "main.c", "-lm"]
    subprocess.run(build, cwd=tmp_path, check=True)
    random = np.random.default_rng(0)
    special = [0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 79.99999, 80, 80.00001, -80, -80.00001]
    given = np.concatenate(
        [special, np.linspace(-90, 90, 2**19 - len(special))[random.permutation(2**19 - len(special))]]
    )
    given = given.astype(np.float32)
    if function == "relaxed":  # of a time that has passed, often a short one
        given = np.abs(given)
        given[::2] *= np.float32(1e-4)
    done = subprocess.run([tmp_path / "main"], input=given.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.float32)
    with np.errstate(over="ignore"):
        power = np.exp(-given.astype(np.float64))
    exact = 1 / (1 + power) if function == "sigmoid" else -np.expm1(-given.astype(np.float64))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(given))
    inside = np.abs(given) <= 80
    most = 2.1e-7 if function == "sigmoid" else 2.8e-7
    np.testing.assert_allclose(found[inside], exact[inside], rtol=most, atol=0)
    outside = np.abs(given) > 80
    np.testing.assert_allclose(found[outside], exact[outside], rtol=1e-7, atol=2e-35)


@pytest.mark.parametrize("number", [0.1, -1e-30, 3.0, 1 / 3, 16777217.0, 7, np.int64(3), math.inf, -math.inf])
def test_literals_read_back_as_they_were(number, tmp_path):
    code = (
        f'#include <math.h>\n#include <stdio.h>\nint main(void)\n{{\n    printf("%a", (double){literal(number)});\n}}\n'
    )
    (tmp_path / "main.c").write_text(code, "utf-8")
    subprocess.run([str(compiler()), "-std=c99", "-o", "main", "main.c"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    assert float.fromhex(told) == np.float32(number)


def test_a_name_cannot_end_a_comment(networks: dict[str, Network], parities):
    facts = {**networks["ltc"].facts, "name": "evil */ int x; /* \n#error"}
    hostile = replace(networks["ltc"], facts=facts)
    Compiled(hostile, export_c(hostile, parities["ltc"]))
    assert comment("a */ b").count("*/") == 1
