# SPDX-License-Identifier: Apache-2.0
"""Loads files that may be hostile, in a process that may neither hang nor grow; one line of JSON per case.

python fuzz_child.py LIMIT_S EXTRA_BYTES KIND PATH [KIND PATH …]
"""

from __future__ import annotations

import faulthandler
import json
import resource
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


def main() -> None:
    """Each case within its time; the process's memory grows by so much at most."""
    limit_s, extra = float(sys.argv[1]), int(sys.argv[2])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra,) * 2)
    cases = sys.argv[3:]
    for kind, name in zip(cases[::2], cases[1::2], strict=True):
        print(json.dumps({"begins": name}), flush=True)
        faulthandler.dump_traceback_later(limit_s, exit=True)
        print(json.dumps({"kind": kind, "case": name, "outcome": outcome(kind, Path(name))}), flush=True)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
