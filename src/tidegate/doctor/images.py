# SPDX-License-Identifier: Apache-2.0
"""Room for camera images on their way from process to process: Fast DDS's shared memory, Cyclone DDS's sockets.

The memory is the publisher's. What the camera's driver has, its segment in ``/dev/shm`` says while it runs; before
that, the environment that it would be started from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tidegate.doctor.facts import MachineFacts, TopicFacts
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.messages import SUFFIX
from tidegate.middleware import CYCLONE_DDS, FAST_DDS, FILES, VARIABLES
from tidegate.security.parse import LARGEST_XML, parse_xml, read_bounded
from tidegate.settings.sensors import CameraSettings
from tidegate.share import share_path

IN_FOLDER = ("DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml")
SEGMENT = 512 * 1024
"""Shared memory segment of Fast DDS as it comes [B]."""
FRAMES = 4
"""Images that there should be room for: one being written, and one for each that still reads."""
SEGMENTS = 6
"""Processes of the graph, each with a segment of its own."""


def check_images(
    machine: MachineFacts,
    camera: CameraSettings,
    rmw: str = FAST_DDS,
    segments: Mapping[str, int] | None = None,
    heard: TopicFacts | None = None,
) -> Iterator[Finding]:
    """Whether images fit; of what does not, Fast DDS sends fragments over UDP, and most are lost.

    ``segments``: shared memory [B] of the nodes that publish the camera's images, as far as it is known; ``heard``:
    what came of these.
    """
    frame = _frame(camera, heard)
    if not frame:
        yield ok("images", "compressed; whether there is room for them is known once they come")
        return
    if rmw == CYCLONE_DDS:
        yield _buffer(machine, camera, frame)
        return
    name, path = _profile(machine)
    try:
        chosen = segment_size(path) if path else SEGMENT
    except (OSError, ValueError) as error:
        yield fail("images", f"the profile of Fast DDS, {name}, cannot be used ({error})", _remedy(frame, path))
        return
    if segments:
        for node, size in segments.items():
            yield _fits(f"{node} has a segment of", size, "as it runs", camera, frame, _remedy(frame, path))
    elif path:
        yield _fits("a segment of", chosen, name, camera, frame, _remedy(frame, path))
    else:
        said = "nodes of tidegate have config/fastdds.xml by themselves; a camera's driver from this shell has"
        yield _fits(said, SEGMENT, "Fast DDS as it comes", camera, frame, _remedy(frame, path), starts=False)
    own = chosen if path else segment_size(share_path(FILES[FAST_DDS]))
    memory = machine.shared_memory
    if memory is not None and memory < SEGMENTS * own:
        remedy = f"make it larger (docker run --shm-size={SEGMENTS * own // 2**20 + 64}m)"
        yield warn("shared memory", f"/dev/shm has {_mib(memory)}, the graph may want {_mib(SEGMENTS * own)}", remedy)


def _fits(
    who: str, segment: int, where: str, camera: CameraSettings, frame: int, remedy: str, *, starts: bool = True
) -> Finding:
    """Whether ``segment`` [B] holds enough images of ``frame`` [B]; ``starts`` = it is what images go through now."""
    said = f"{who} {_mib(segment)}, which holds {segment // frame} images of {camera.width} × {camera.height} px"
    if segment >= FRAMES * frame:
        return ok("images", f"{said} ({where})")
    judge = fail if starts and segment <= frame else warn
    return judge("images", f"{said} ({where}); at least {FRAMES} are needed", remedy)


def _remedy(frame: int, path: Path | None) -> str:
    variable, shipped = VARIABLES[FAST_DDS][0], share_path(FILES[FAST_DDS])
    if path == shipped or segment_size(shipped) < FRAMES * frame:
        size = FRAMES * frame
        return f"write a profile with a segment_size of at least {size} and let {variable} name it, for every node"
    return f"export {variable}={shipped} for every node, the camera's driver included, and start it again"


def _buffer(machine: MachineFacts, camera: CameraSettings, frame: int) -> Finding:
    """Over UDP what has not been read waits in the socket; the kernel bounds that."""
    needed, most = FRAMES * frame, machine.receive_buffer
    if most is None:
        return ok("images", "the kernel does not tell how much a socket may hold")
    said = f"a socket holds at most {_mib(most)}, {most // frame} images of {camera.width} × {camera.height} px"
    if most >= needed:
        return ok("images", said)
    remedy = f"sudo sysctl -w net.core.rmem_max={max(needed, 2**23)} (and into /etc/sysctl.d, to stay)"
    return warn("images", f"{said}; at least {FRAMES} are needed", remedy)


def _profile(machine: MachineFacts) -> tuple[str, Path | None]:
    """The profile that whoever is started from this shell has, in words and as a file; None = none."""
    for variable in VARIABLES[FAST_DDS]:
        if value := machine.environment.get(variable):
            return f"{variable}={value}", machine.here / value
    for file in IN_FOLDER:
        if (machine.here / file).exists():
            return str(machine.here / file), machine.here / file
    return "", None


def segment_size(path: Path) -> int:
    """Shared memory segment [B] that a profile of Fast DDS gives to every participant; ``SEGMENT`` if it does not.

    Raises:
        OSError: no such file; ValueError: no XML, or a size that is no number.
    """
    try:
        root = parse_xml(read_bounded(path, LARGEST_XML))
    except ValueError as error:
        raise ValueError(f"is no XML: {error}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    sizes = {}
    for descriptor in root.iter("transport_descriptor"):
        if descriptor.findtext("type", "").strip() == "SHM":
            size = descriptor.findtext("segment_size", str(SEGMENT)).strip()
            if not size.isdecimal():
                raise ValueError(f"segment_size is '{size}'")
            sizes[descriptor.findtext("transport_id", "").strip()] = int(size)
    for participant in root.iter("participant"):
        if participant.get("is_default_profile") == "true":
            for used in participant.iter("transport_id"):
                if (used.text or "").strip() in sizes:
                    return sizes[(used.text or "").strip()]
    return SEGMENT


def _frame(camera: CameraSettings, heard: TopicFacts | None) -> int:
    """Bytes of an image; of compressed ones, of the largest that came. 0 = none did."""
    name = camera.topic if heard is None else heard.name
    if not name.endswith(SUFFIX):
        return 3 * camera.width * camera.height
    return 0 if heard is None else heard.largest


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
