# SPDX-License-Identifier: Apache-2.0
"""Whatever a file holds, it loads or is refused by an error of ours: nothing else is raised, nothing hangs or grows."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from bombs import at_once, chunk, compressed_one_by_one, mcap, mcap_bombs, sqlite_bombs, zstd_of_zeros
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from mutation import mutate
from rosbags.rosbag2 import StoragePlugin, Writer

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
GROWN_MB = 700
"""By which the process may grow in a case: chunks of 128 MiB are allowed, of which two may be open."""
KILLED_MB = 3000
"""A child that holds so much is killed before the machine has none left."""
CAR = share_path("config/car.yaml").read_bytes()
MODEL = share_path("models/car-ltc19")

Case = tuple[str, Path]


def outcomes(
    cases: list[Case],
    child: Sequence[str] = (str(CHILD),),
    limit_s: float = LIMIT_S,
    grown_mb: float = GROWN_MB,
    killed_mb: int = KILLED_MB,
) -> dict[str, str]:
    """Load each in a child that may use a minute per case and grow by ``grown_mb``; what came of it, by kind and path.

    Its memory is looked at, not limited: what a reader is denied it may take for damage, and refuse the file.
    """
    words = [word for kind, path in cases for word in (kind, str(path))]
    with tempfile.TemporaryFile("w+") as told, tempfile.TemporaryFile("w+") as wrong:
        process = subprocess.Popen([sys.executable, *child, str(limit_s), *words], stdout=told, stderr=wrong)
        held, killed = Path(f"/proc/{process.pid}/statm"), False
        while process.poll() is None:
            pages = held.read_text().split()  # none of one that has just ended
            if pages and int(pages[1]) * 4096 > killed_mb << 20:
                process.kill()
                killed = True
            time.sleep(0.01)
        told.seek(0)
        wrong.seek(0)
        lines, error = [json.loads(line) for line in told if line.startswith("{")], wrong.read()
    if process.returncode:
        last = next((line["begins"] for line in reversed(lines) if "begins" in line), "its start")
        why = f"grew to more than {killed_mb} MB" if killed else f"ended with {process.returncode}"
        pytest.fail(f"the process {why} at {last}:\n{error[-3000:]}")
    found = {}
    for line in lines:
        if "case" in line:
            grown = line["grown_mb"]
            said = f"grew by {grown:.0f} MB" if grown > grown_mb else line["outcome"]
            found[f"{line['kind']} {line['case']}"] = said
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


@pytest.fixture(scope="module")
def sqlite_bag(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same drive, as rosbag2 wrote it before MCAP."""
    path, reader = tmp_path_factory.mktemp("older") / "drive", BagReader(bag)
    with Writer(path, version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections = {
            name: writer.add_connection(name, kind, typestore=typestore.STORE) for name, kind in reader.topics.items()
        }
        for name, _, received, data in reader.raw(reader.topics):
            writer.write(connections[name], received, data)
    return path


def folder_with(source: Path, target: Path, name: str, data: bytes) -> Path:
    """A copy of a folder with one file's content replaced."""
    shutil.copytree(source, target)
    (target / name).write_bytes(data)
    return target


def mutants(folder: Path, bags: Sequence[Path], count: int) -> Iterator[Case]:
    """``count`` of each kind of file; of ``bags``, MCAP and SQLite, by turns."""
    urdf = expanded()
    xacro = share_path("urdf/car.urdf.xacro").read_bytes()
    files = [next(bag.glob("drive*.*")) for bag in bags]
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
        bag, file = bags[seed % 2], files[seed % 2]
        path = folder / f"bag{seed}{file.suffix}"
        path.write_bytes(mutate(file.read_bytes(), seed))
        yield "bag", path
        changed = bag / "metadata.yaml" if seed % 4 < 2 else file
        yield "bag", folder_with(bag, folder / f"bag{seed}", changed.name, mutate(changed.read_bytes(), seed + 1))


def beside_its_urdf(folder: Path) -> Path:
    """Where the car's settings find the robot that they name."""
    shutil.copytree(share_path("urdf"), folder / "urdf")
    (folder / "config").mkdir()
    return folder / "config"


def expanded() -> bytes:
    """The car's URDF, whose numbers a mutation can reach."""
    import xacro

    return bytes(xacro.process_file(str(share_path("urdf/car.urdf.xacro"))).toxml().encode())


def test_a_few_dozen_mutated_files_load_or_are_refused(tmp_path: Path, bag: Path, sqlite_bag: Path) -> None:
    found = check(list(mutants(tmp_path, (bag, sqlite_bag), 8)))
    assert {"loaded", "refused"} == set(found.values())


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_mutated_files_load_or_are_refused(tmp_path: Path, bag: Path, sqlite_bag: Path) -> None:
    cases = list(mutants(tmp_path, (bag, sqlite_bag), 95))
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
def test_what_grows_without_bound_is_refused_or_left_out(tmp_path: Path) -> None:
    """Chunks and tables that are small on the disk."""
    bombs = [*mcap_bombs(tmp_path), *sqlite_bombs(tmp_path)]
    assert max(path.stat().st_size for path in bombs) < 20_000_000
    check([("bag", path) for path in bombs])


@pytest.mark.slow
def test_what_is_just_small_enough_stays_within_the_bounds(tmp_path: Path) -> None:
    """Chunks of 100 MB that would all be open at once, and messages that are compressed one by one."""
    check([("bag", at_once(tmp_path)), ("bag", compressed_one_by_one(tmp_path / "one by one"))])


UNBOUND = f"""
import sys; sys.path.insert(0, {str(CHILD.parent)!r})
import fuzz_child
from tidegate.bag import expand
"""
"""Begins a child that is not as it should be."""


@pytest.mark.slow
def test_the_child_tells_of_other_errors_and_hangs(tmp_path: Path) -> None:
    """So that the tests above can fail."""
    planted = """
fuzz_child.READERS |= {"other": lambda path: {}["x"], "hangs": lambda path: [1 for _ in iter(int, 1)]}
fuzz_child.main()
"""
    child = ("-c", UNBOUND + planted)
    assert "KeyError: 'x'" in outcomes([("other", tmp_path)], child)[f"other {tmp_path}"]
    with pytest.raises(pytest.fail.Exception, match=r"ended with 1 at (.|\n)*Timeout"):
        outcomes([("hangs", tmp_path)], child, limit_s=0.5)


@pytest.mark.slow
def test_a_reader_without_bounds_is_found_out(tmp_path: Path) -> None:
    """``BagReader`` itself, with the bounds taken away: it takes the chunk for damaged and goes on."""
    child = ("-c", f"{UNBOUND}expand.LARGEST = expand.FREE = 1 << 60\nfuzz_child.main()")
    name = str(mcap(tmp_path / "bomb.mcap", [chunk(zstd_of_zeros(150 << 20), "zstd", 150 << 20)], indexed=False))
    (said,) = outcomes([("bag", Path(name))], child, grown_mb=100).values()
    assert re.fullmatch(r"grew by (1[4-9]|[2-9]\d)\d MB", said)
    mcap(Path(name), [chunk(zstd_of_zeros(2 << 30), "zstd", 2 << 30)], indexed=False)
    with pytest.raises(pytest.fail.Exception, match="grew to more than 700 MB"):
        outcomes([("bag", Path(name))], child, killed_mb=700)


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


def test_the_unchanged_files_load(tmp_path: Path, bag: Path, sqlite_bag: Path) -> None:
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
        ("bag", sqlite_bag),
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
