# SPDX-License-Identifier: Apache-2.0
"""Whatever a file holds, it loads or is refused by an error of ours: nothing else is raised, nothing hangs or grows."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from mutation import mutate

from tidegate.bag import BagReader, BagWriter, typestore
from tidegate.errors import TidegateError
from tidegate.messages import TOPICS
from tidegate.records import Frame, Odometry, Values
from tidegate.security.parse import check_yaml, parse_xml
from tidegate.settings import entries, load_settings, settings_from
from tidegate.share import share_path

CHILD = Path(__file__).parent / "fuzz_child.py"
LIMIT_S = 60
"""Per case; not a measure of speed: a busy machine is allowed much."""
EXTRA_BYTES = 1 << 30
CAR = share_path("config/car.yaml").read_bytes()
MODEL = share_path("models/car-ltc19")

Case = tuple[str, Path]


def outcomes(cases: list[Case]) -> dict[str, str]:
    """Load each in a child that may use a GiB and a minute per case; what came of it, by kind and path."""
    words = [word for kind, path in cases for word in (kind, str(path))]
    child = subprocess.run(
        [sys.executable, str(CHILD), str(LIMIT_S), str(EXTRA_BYTES), *words], capture_output=True, text=True
    )
    lines = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
    found = {f"{line['kind']} {line['case']}": line["outcome"] for line in lines if "case" in line}
    if child.returncode:
        last = next((line["begins"] for line in reversed(lines) if "begins" in line), "its start")
        pytest.fail(f"the process ended with {child.returncode} at {last}:\n{child.stderr[-3000:]}")
    assert len(found) == len(cases)
    return found


def check(cases: list[Case]) -> dict[str, str]:
    """All load or are refused."""
    found = outcomes(cases)
    wrong = {name: said for name, said in found.items() if said not in ("loaded", "refused")}
    assert not wrong, "\n".join(f"{name}:\n{said}" for name, said in list(wrong.items())[:3])
    return found


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drive with a camera, numbers, and a text topic of somebody else."""
    path = tmp_path_factory.mktemp("real") / "drive"
    chance = np.random.default_rng(0)
    text = typestore.serialise(typestore.make("std_msgs/msg/String"))
    with BagWriter(path) as writer:
        for index in range(20):
            image = chance.integers(0, 256, (8, 16, 3), dtype=np.uint8)
            writer.write("camera/image_raw", Frame(1000 + index, image))
            writer.write("odom", Odometry(1000 + index, 0.0, 0.0, 0.0, 1.0, 0.0))
            writer.write("timing/rendered", Values(1000 + index, {"steady": 1.0}))
            writer.write_raw("/talk", "std_msgs/msg/String", text, 1000 + index)
    return path


def folder_with(source: Path, target: Path, name: str, data: bytes) -> Path:
    """A copy of a folder with one file's content replaced."""
    shutil.copytree(source, target)
    (target / name).write_bytes(data)
    return target


def mutants(folder: Path, bag: Path, count: int) -> Iterator[Case]:
    """``count`` of each kind of file."""
    urdf = expanded()
    xacro = share_path("urdf/car.urdf.xacro").read_bytes()
    mcap = (bag / "drive_0.mcap").read_bytes()
    metadata = (bag / "metadata.yaml").read_bytes()
    parts = {name: (MODEL / name).read_bytes() for name in ("bundle.json", "weights.safetensors", "backbone.onnx")}
    config = beside_its_urdf(folder)
    for seed in range(count):
        path = config / f"settings{seed}.yaml"
        path.write_bytes(mutate(CAR, seed))
        yield "settings", path
        path = folder / f"car{seed}.urdf"
        path.write_bytes(mutate(urdf, seed))
        yield "urdf", path
        if seed % 3 == 0:
            path = folder / f"car{seed}.xacro"
            path.write_bytes(mutate(xacro, seed))
            yield "urdf", path
        name = list(parts)[seed % len(parts)]
        yield "bundle-anew", folder_with(MODEL, folder / f"bundle{seed}", name, mutate(parts[name], seed))
        path = folder / f"bag{seed}.mcap"
        path.write_bytes(mutate(mcap, seed))
        yield "bag", path
        name, data = ("metadata.yaml", metadata) if seed % 2 else ("drive_0.mcap", mcap)
        yield "bag", folder_with(bag, folder / f"bag{seed}", name, mutate(data, seed))


def beside_its_urdf(folder: Path) -> Path:
    """Where the car's settings find the robot that they name."""
    shutil.copytree(share_path("urdf"), folder / "urdf")
    (folder / "config").mkdir()
    return folder / "config"


def expanded() -> bytes:
    """The car's URDF, whose numbers a mutation can reach."""
    import xacro

    return bytes(xacro.process_file(str(share_path("urdf/car.urdf.xacro"))).toxml().encode())


def test_a_few_dozen_mutated_files_load_or_are_refused(tmp_path: Path, bag: Path) -> None:
    found = check(list(mutants(tmp_path, bag, 8)))
    assert {"loaded", "refused"} == set(found.values())


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_mutated_files_load_or_are_refused(tmp_path: Path, bag: Path) -> None:
    cases = list(mutants(tmp_path, bag, 95))
    assert len(cases) >= 500
    found: dict[str, set[str]] = {}
    for start in range(0, len(cases), 100):
        for name, said in check(cases[start : start + 100]).items():
            found.setdefault(name.split()[0], set()).add(said)
    assert found == {kind: {"loaded", "refused"} for kind in ("settings", "urdf", "bundle-anew", "bag")}


def bomb_yaml() -> str:
    """Ten levels of ten references: ten thousand million values."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(levels)


BOMB_XML = (
    '<!DOCTYPE robot [<!ENTITY a0 "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><robot name='&a9;'/>"
)
OUTSIDE = '<!DOCTYPE robot [<!ENTITY x SYSTEM "file:///etc/passwd">]><robot name="r">&x;</robot>'


def hostile(folder: Path, bag: Path) -> Iterator[Case]:
    """What was made to do harm."""
    section = "/**:\n  ros__parameters:\n"
    texts = {
        "bomb": bomb_yaml(),
        "bomb inside": section + "".join(f"    {line}\n" for line in bomb_yaml().splitlines()),
        "merge": f"x: &x {{a: 1}}\n{section}    <<: *x\n",
        "deep": section + "    vehicle: " + "[" * 100_000,
        "deeper": section + "    vehicle: " + "{a: " * 5000,
        "long": section + "    vehicle: {name: 0x" + "f" * 5000 + "}",
        "huge": section + "    safety: {rate_hz: " + "9" * 400 + "}",
        "infinite": section + "    perception: {features: .inf}",
        "null": section + '    vehicle: {urdf: "\\0"}',
        "object": section + "    vehicle: !!python/object/apply:os.system [true]",
        "list": section + "    - vehicle",
        "number": section + "    5",
        "large": section + "    # " + "x" * 1_000_000,
        "device": "",
    }
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.write_text(text)
        yield "settings", path
        if name in ("bomb", "deep", "list", "number"):
            yield "wiring", path
    (folder / "device.yaml").unlink()
    (folder / "device.yaml").symlink_to("/dev/zero")
    for name, text in {"bomb": BOMB_XML, "outside": OUTSIDE, "deep": "<robot>" * 200_000}.items():
        for kind in ("urdf", "xacro"):
            path = folder / f"{name}.{kind}"
            path.write_text(text)
            yield "urdf", path
    metadata = (bag / "metadata.yaml").read_text()
    swollen = metadata.replace("storage_identifier: mcap", "storage_identifier: *a9")
    for name, text in {
        "bomb": f"{bomb_yaml()}\n{swollen}",
        "outside": metadata.replace("drive_0.mcap", "../../../../etc/passwd"),
        "deep": "[" * 100_000,
        "counts": metadata.replace("message_count: ", "message_count: 9999999999999999999999"),
    }.items():
        yield "bag", folder_with(bag, folder / f"bag {name}", "metadata.yaml", text.encode())
    huge = (1 << 40).to_bytes(8, "little")
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    description = (MODEL / "bundle.json").read_text()
    changed = {
        "header": ("weights.safetensors", huge + b"{}"),
        "shape": ("weights.safetensors", len(header).to_bytes(8, "little") + header),
        "deep": ("bundle.json", b"[" * 100_000),
        "wiring": ("bundle.json", description.replace('"inputs": ', '"inputs": 9999999999').encode()),
        "negative": ("bundle.json", description.replace('"inter": ', '"inter": -').encode()),
        "format": ("bundle.json", description.replace('"format": ', '"format": 1e999, "f": ').encode()),
        "mass": ("bundle.json", description.replace('"mass_kg": ', f'"mass_kg": {"9" * 400}, "m": ').encode()),
        "record": ("bundle.json", description.replace('"training": ', '"training": 5, "t": ').encode()),
        "onnx": ("backbone.onnx", b"\x08" + b"\xff" * 1000),
    }
    for name, (file, data) in changed.items():
        yield "bundle-anew", folder_with(MODEL, folder / f"bundle {name}", file, data)


def test_what_was_made_to_do_harm_is_refused(tmp_path: Path, bag: Path) -> None:
    """Alias and entity bombs, endless depth and length, files that stand for others, headers that lie."""
    found = check(list(hostile(tmp_path, bag)))
    loaded = {Path(name).name for name, said in found.items() if said == "loaded"}
    assert loaded <= {"bag bomb", "bag outside", "bag deep", "bag counts"}  # their messages are read without the table


@pytest.mark.slow
def test_the_child_tells_of_other_errors_hangs_and_growth(tmp_path: Path) -> None:
    """So that the tests above can fail."""
    program = (
        f"import sys; sys.path.insert(0, {str(CHILD.parent)!r})"
        + """
import fuzz_child
fuzz_child.READERS |= {
    "other": lambda path: {}["x"],
    "grows": lambda path: bytearray(1 << 33),
    "hangs": lambda path: [1 for _ in iter(int, 1)],
}
fuzz_child.main()
"""
    )

    def told(kind: str, limit: str = "60") -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", program, limit, str(EXTRA_BYTES), kind, str(tmp_path)]
        return subprocess.run(words, capture_output=True, text=True)

    assert "KeyError: 'x'" in told("other").stdout
    assert "MemoryError" in told("grows").stdout
    hung = told("hangs", "0.5")
    assert hung.returncode
    assert "Timeout" in hung.stderr


@given(st.binary(max_size=300).map(lambda data: data.decode("utf-8", "replace")))
def test_any_text_is_yaml_or_no_value(text: str) -> None:
    with contextlib.suppress(ValueError):
        check_yaml(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_xml_or_no_value(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_xml(data)


KEYS = sorted(entry.key for entry in entries(settings_from({}, "defaults", Path())))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = (
    SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), SCALARS, max_size=3)
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES | st.just(10**400), max_size=4))
@examples(suppress_health_check=[HealthCheck.too_slow])
def test_any_value_of_any_setting_is_taken_or_refused(given_values: dict[str, object]) -> None:
    nested: dict[str, object] = {}
    for key, value in given_values.items():
        place = nested
        *sections, last = key.split(".")
        for section in sections:
            below = place.setdefault(section, {})
            place = below if isinstance(below, dict) else place
        place[last] = value
    with contextlib.suppress(TidegateError):
        settings_from(nested, "fuzz", Path())


@given(st.sampled_from(sorted(topic.name for topic in TOPICS.values() if topic.record)), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(topic: str, data: bytes) -> None:
    """As they stand in a bag."""
    with tempfile.TemporaryDirectory() as place:
        with BagWriter(Path(place) / "bag") as writer:
            writer.write_raw(f"/{topic}", TOPICS[topic].type, b"\x00\x01\x00\x00" + data, 5)
        with contextlib.suppress(TidegateError):
            list(BagReader(Path(place) / "bag").messages([topic]))


def test_a_seed_gives_the_same_mutant() -> None:
    assert [mutate(CAR, seed) for seed in range(5)] == [mutate(CAR, seed) for seed in range(5)]
    assert len({mutate(CAR, seed) for seed in range(50)}) == 50


def test_the_unchanged_files_load(tmp_path: Path, bag: Path) -> None:
    """Else the fuzzing would try the refusal of anything."""
    assert load_settings(share_path("config/car.yaml"))
    shutil.copytree(MODEL, tmp_path / "bundle")
    (tmp_path / "car.urdf").write_bytes(expanded())
    cases = [
        ("settings", share_path("config/car.yaml")),
        ("urdf", share_path("urdf/car.urdf.xacro")),
        ("urdf", tmp_path / "car.urdf"),
        ("bundle", MODEL),
        ("bundle-anew", tmp_path / "bundle"),
        ("bag", bag),
        ("bag", bag / "drive_0.mcap"),
    ]
    assert set(outcomes(cases).values()) == {"loaded"}


def test_aliases_count_as_what_they_stand_for() -> None:
    text = "a: &a [1, 2]\nb: &b [*a, *a]\nc: *b\n"  # *a is 3 values, *b is 1 + 2 × 3
    check_yaml(text, 13)
    for refused in (0, 5, 12):
        with pytest.raises(ValueError, match="repeats too much"):
            check_yaml(text, refused)
    with pytest.raises(ValueError, match=r"line 1: the alias \*a"):
        check_yaml("a: &a [*a]", 10_000)
    with pytest.raises(ValueError, match="more than 50 levels"):
        check_yaml("[" * 51)
    check_yaml("[" * 50 + "]" * 50)
