# SPDX-License-Identifier: Apache-2.0
"""This machine: graphics, disk, processor."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tidegate.doctor.facts import MachineFacts
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.doctor.segments import MEMORY, left_over
from tidegate.settings import Settings

TICK_BYTES = 4000
"""What a tick of the safety filter adds to a bag, uncompressed [B]: its sensors, command, barriers and inputs."""
SHORT_MIN, LONG_MIN = 10, 60
"""Recording time [min] below which the disk is full, and from which it is empty enough."""


def machine_facts(environment: Mapping[str, str], folder: Path, priority: int, graphics: str | None) -> MachineFacts:
    """Look at this machine; ``folder`` is where bags would go, its nearest parent that exists counts."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return MachineFacts(
        environment=dict(environment),
        here=Path.cwd(),
        shared_memory=shutil.disk_usage(MEMORY).total if MEMORY.is_dir() else None,
        left_over=left_over(MEMORY),
        receive_buffer=_receive_buffer(),
        folder=folder,
        free=shutil.disk_usage(place).free,
        governors=_governors(),
        priority=priority,
        priority_refused=_priority_refused(priority),
        graphics=graphics,
    )


def _receive_buffer() -> int | None:
    try:
        return int(Path("/proc/sys/net/core/rmem_max").read_text("ascii"))
    except (OSError, ValueError):
        return None


def _governors() -> frozenset[str]:
    found = set()
    for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            found.add(path.read_text("utf-8").strip())
        except OSError:
            continue
    return frozenset(found)


def _priority_refused(priority: int) -> str:
    """Take the priority for a moment, in this thread alone."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        return error.strerror or str(error)
    os.sched_setscheduler(0, *before)
    return ""


def check_machine(machine: MachineFacts, simulated: bool) -> Iterator[Finding]:
    """Graphics and processor; in simulation (``simulated``) nothing can be late, so that priorities do not matter."""
    if machine.graphics is None:
        yield ok("graphics", "no simulator is installed here")
    elif machine.graphics:
        yield warn("graphics", "the simulator gets no picture", machine.graphics)
    else:
        yield ok("graphics", f"the simulator draws with {machine.environment.get('MUJOCO_GL', 'egl')}")
    slow = sorted(machine.governors - {"performance"})
    if not machine.governors:
        yield ok("processor", "the system does not tell its governor")
    elif not slow or simulated:
        yield ok("processor", f"governor {', '.join(sorted(machine.governors))}")
    else:
        said = f"governor {', '.join(slow)}: it wakes slowly, and commands are late"
        yield warn("processor", said, "sudo cpupower frequency-set -g performance")
    if not machine.priority_refused:
        yield ok("priority", f"real-time priority {machine.priority} is granted")
    elif simulated:
        yield ok("priority", "normal; in simulated time nothing can be late")
    else:
        said = f"real-time priority is refused ({machine.priority_refused}): other load can make commands late"
        remedy = f"add '@{_group()} - rtprio {machine.priority}' to /etc/security/limits.conf and log in again"
        yield warn("priority", said, remedy)


def _group() -> str:
    import grp

    try:
        return grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        return str(os.getgid())


def check_disk(machine: MachineFacts, settings: Settings) -> Iterator[Finding]:
    """How long a recording could be."""
    camera = settings.camera
    rate = 3 * camera.width * camera.height * camera.rate_hz + TICK_BYTES * settings.safety.rate_hz
    minutes = machine.free / rate / 60
    room = f"{min(minutes, 9999):.0f} min of recording ({machine.free / 1e9:.1f} GB)"
    said = f"{machine.folder.absolute()} has room for {room}"
    if minutes >= LONG_MIN:
        yield ok("disk", said)
    else:
        judge = warn if minutes >= SHORT_MIN else fail
        yield judge("disk", said, "delete old bags, or record elsewhere (--folder names the place)")
