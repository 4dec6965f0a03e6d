# SPDX-License-Identifier: Apache-2.0
"""Loads files that may be hostile, in a process that may not hang; one line of JSON per case, with the growth of its
memory.

python fuzz_child.py LIMIT_S KIND PATH [KIND PATH …]
"""

from __future__ import annotations

import faulthandler
import json
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tidegate.bag import BagReader, summarise
from tidegate.bundle import Bundle
from tidegate.errors import TidegateError
from tidegate.liquid import LiquidPolicy
from tidegate.liquid.wiring import load_wiring
from tidegate.messages import TOPICS
from tidegate.perception import Perception
from tidegate.robot import Car, load_description
from tidegate.security.manifest import write_manifest
from tidegate.settings import load_settings
from tidegate.settings.trust import TrustSettings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))


def read_bundle(path: Path) -> None:
    """As perception and policy do; the manifest is made anew, so that what it protects is reached."""
    write_manifest(path)
    bundle = Bundle.load(path, SETTINGS.vehicle.name)
    Perception(bundle, SETTINGS)
    LiquidPolicy(bundle, SETTINGS)


def read_settings(path: Path) -> None:
    """As a node does, the robot included."""
    settings = load_settings(path)
    assert isinstance(settings.trust, TrustSettings)
    Car.from_settings(settings)


def read_urdf(path: Path) -> None:
    """The car whose description the file is."""
    from dataclasses import replace

    load_description(path).mounts()
    Car.from_settings(replace(SETTINGS, vehicle=replace(SETTINGS.vehicle, urdf=str(path))))


def read_bag(path: Path) -> None:
    """All that ``tidegate info`` looks at, and every record."""
    reader = BagReader(path)
    summarise(reader, {})
    known = []
    for topic in TOPICS.values():
        if topic.record is not None:
            try:
                reader.find(topic.name)
            except TidegateError:
                continue
            known.append(topic.name)
    for topic in known:  # one that is corrupt shall not hide the others
        try:
            for _ in reader.messages([topic]):
                pass
        except TidegateError:
            continue


READERS: dict[str, Callable[[Path], object]] = {
    "bundle": Bundle.load,
    "bundle-anew": read_bundle,
    "settings": read_settings,
    "wiring": load_wiring,
    "urdf": read_urdf,
    "bag": read_bag,
}


def outcome(kind: str, path: Path) -> str:
    """``loaded``, ``refused``, or the traceback of what should not have been raised."""
    try:
        READERS[kind](path)
    except TidegateError:
        return "refused"
    except BaseException:  # whatever it is, it is the finding
        return traceback.format_exc()[-3000:]
    return "loaded"


def resident_mb(name: str) -> float:
    """``VmRSS`` or ``VmHWM``, which is the most since ``forget_peak``."""
    (found,) = re.findall(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found) / 1024


def forget_peak() -> float:
    """What the process holds now."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident_mb("VmRSS")


def main() -> None:
    """Each case within its time."""
    limit_s, cases = float(sys.argv[1]), sys.argv[2:]
    for kind, name in zip(cases[::2], cases[1::2], strict=True):
        print(json.dumps({"begins": name}), flush=True)
        faulthandler.dump_traceback_later(limit_s, exit=True)
        before = forget_peak()
        said = outcome(kind, Path(name))
        grown = resident_mb("VmHWM") - before
        print(json.dumps({"kind": kind, "case": name, "outcome": said, "grown_mb": grown}), flush=True)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
