# SPDX-License-Identifier: Apache-2.0
"""A 64-bit Arm Python with the wheels of the live path, unpacked and run by qemu-user: nothing is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

TAGS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64")
"""What runs on Raspberry Pi OS 12 (glibc 2.36) and Ubuntu 24.04 (2.39)."""

CPUINFO = """processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
"""One core of a Raspberry Pi 4. qemu-user shows the host's file, in which onnxruntime finds no Arm core and crashes."""


def requirements(extra: str = "") -> list[str]:
    """What the package needs to run, or what ``extra`` adds to that."""
    found = map(Requirement, requires("tidegate") or [])
    return [
        f"{one.name}{one.specifier}"
        for one in found
        if (not extra if one.marker is None else one.marker.evaluate({"extra": extra}) and bool(extra))
    ]


def pip(*arguments: str, python: str) -> subprocess.CompletedProcess[str]:
    """``pip install`` of wheels alone for 64-bit Arm and CPython ``python``, such as 3.11, into a folder of its own."""
    options = ["--disable-pip-version-check", "--quiet", "--only-binary=:all:", "--implementation=cp"]
    command = [sys.executable, "-m", "pip", "install", *options, f"--python-version={python}"]
    platforms = [f"--platform={tag}" for tag in TAGS]
    return subprocess.run([*command, *platforms, *arguments], capture_output=True, text=True, check=False)


def arm_python(folder: Path) -> list[str]:
    """The command that runs Debian's Python for 64-bit Arm as on a Cortex-A72; made in ``folder`` if it is not there.

    Raises:
        CalledProcessError: ``apt-get`` or ``pip`` cannot get what is needed.
    """
    folder = folder.resolve()
    root, site = folder / "root", folder / "site"
    if not (root / "usr/bin/python3").exists():
        unpack_debian(folder / "apt", root)
        (root / "proc").mkdir(exist_ok=True)
        (root / "proc/cpuinfo").write_text(CPUINFO, "utf-8")
    interpreter = (root / "usr/bin/python3").resolve()
    if not site.exists():
        version = interpreter.name.removeprefix("python")
        pip(*requirements(), f"--target={site}", python=version).check_returncode()
    emulator = ["qemu-aarch64", "-cpu", "cortex-a72", "-L", str(root)]
    return ["env", f"PYTHONPATH={site}{os.pathsep}src", *emulator, str(interpreter)]


def unpack_debian(apt: Path, root: Path) -> None:
    """Debian's Python and the C++ library below ``root``; ``apt`` holds lists and packages."""
    for part in ("lists/partial", "archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    config = apt / "apt.conf"
    places = {"Dir::State": apt, "Dir::State::status": apt / "status", "Dir::Cache": apt}
    lines = ['APT::Architecture "arm64";', 'APT::Architectures { "arm64"; };']
    config.write_text("\n".join([*lines, *(f'{name} "{path}";' for name, path in places.items()), ""]), "utf-8")
    environment = os.environ | {"APT_CONFIG": str(config)}
    subprocess.run(["apt-get", "-qq", "update"], env=environment, check=True)
    download = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "--download-only"]
    subprocess.run([*download, "python3", "libstdc++6"], env=environment, check=True)
    for package in sorted((apt / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
