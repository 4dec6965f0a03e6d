# SPDX-License-Identifier: Apache-2.0
"""ROS as it is set up on this machine: rclpy, middleware, domain, discovery, and room for camera images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tidegate.doctor.facts import MachineFacts, RosFacts
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.security.parse import LARGEST_XML, parse_xml, read_bounded
from tidegate.settings.sensors import CameraSettings
from tidegate.share import PROFILES, share_path

RMW = "rmw_fastrtps_cpp"
DOMAIN_MAX = 232
"""Highest domain whose ports exist."""
EPHEMERAL = range(102, 215)
"""Domains whose ports Linux also gives to other programs."""
RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", PROFILES)
FILES = ("DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml")
SEGMENT = 512 * 1024
"""Shared memory segment of Fast DDS as it comes [B]."""
FRAMES = 4
"""Images that a segment should hold: one being written, and one for each that still reads."""
SEGMENTS = 6
"""Processes of the graph, each with a segment of its own."""


def domain_of(environment: Mapping[str, str]) -> str:
    """The domain as ROS reads it."""
    return environment.get("ROS_DOMAIN_ID") or "0"


def check_ros(ros: RosFacts) -> Iterator[Finding]:
    """rclpy and the middleware."""
    if ros.absent:
        remedy = "source ROS 2 (source /opt/ros/jazzy/setup.bash), or without one: pip install 'tidegate[ros]'"
        yield fail("ros", f"rclpy cannot be imported ({ros.absent})", remedy)
        return
    yield ok("ros", f"rclpy {ros.rclpy}")
    if ros.rmw == RMW:
        yield ok("middleware", ros.rmw)
    else:
        said = f"{ros.rmw}: tidegate is tried with {RMW}, and its profile for camera images is for that one"
        yield warn("middleware", said, f"export RMW_IMPLEMENTATION={RMW} for every node")


def check_domain(machine: MachineFacts) -> Iterator[Finding]:
    """Domain and reach of the discovery."""
    domain = domain_of(machine.environment)
    if not domain.isdecimal() or int(domain) > DOMAIN_MAX:
        yield fail("domain", f"ROS_DOMAIN_ID is '{domain}'", f"export ROS_DOMAIN_ID=N with N from 0 to {DOMAIN_MAX}")
    elif int(domain) in EPHEMERAL:
        said = f"{domain}: Linux may give its ports to other programs"
        yield warn("domain", said, "export ROS_DOMAIN_ID=N with N from 0 to 101")
    else:
        yield ok("domain", domain)
    reach = machine.environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET"
    if machine.environment.get("ROS_LOCALHOST_ONLY") == "1":
        yield ok("discovery", "LOCALHOST (by ROS_LOCALHOST_ONLY, which is deprecated)")
    elif reach not in RANGES:
        remedy = f"export ROS_AUTOMATIC_DISCOVERY_RANGE={' or '.join(RANGES[:2])}"
        yield fail("discovery", f"ROS_AUTOMATIC_DISCOVERY_RANGE is '{reach}'; ROS knows {', '.join(RANGES)}", remedy)
    elif reach == "OFF":
        remedy = "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST (or SUBNET, where nodes run on other machines)"
        yield fail("discovery", "OFF: nodes do not find each other", remedy)
    else:
        yield ok("discovery", reach)


def check_images(machine: MachineFacts, camera: CameraSettings) -> Iterator[Finding]:
    """Whether images fit the shared memory of Fast DDS; what does not goes over UDP in fragments, mostly lost."""
    frame = 3 * camera.width * camera.height
    name, path = _profile(machine)
    remedy = f"export {PROFILES}={share_path('config/fastdds.xml')} for every node, the camera's driver included"
    try:
        segment = segment_size(path)
    except (OSError, ValueError) as error:
        yield fail("images", f"the profile of Fast DDS, {name}, cannot be used ({error})", remedy)
        return
    said = (
        f"a segment of {_size(segment)} holds {segment // frame} images of {camera.width} × {camera.height} px ({name})"
    )
    if segment >= FRAMES * frame:
        yield ok("images", said)
    else:
        if path == share_path("config/fastdds.xml"):
            remedy = f"write a profile with a segment_size of at least {FRAMES * frame} and let {PROFILES} name it"
        yield (warn if segment > frame else fail)("images", f"{said}; at least {FRAMES} are needed", remedy)
    size = machine.shared_memory
    if size is not None and size < SEGMENTS * segment:
        remedy = f"make it larger (docker run --shm-size={SEGMENTS * segment // 2**20 + 64}m)"
        yield warn(
            "shared memory", f"/dev/shm has {_size(size)}, the graph may want {_size(SEGMENTS * segment)}", remedy
        )


def _profile(machine: MachineFacts) -> tuple[str, Path]:
    """The profile in force, in words and as a file."""
    for variable in VARIABLES:
        if value := machine.environment.get(variable):
            return f"{variable}={value}", machine.here / value
    for file in FILES:
        if (machine.here / file).exists():
            return str(machine.here / file), machine.here / file
    return "config/fastdds.xml, as 'tidegate run' and the launch files set it", share_path("config/fastdds.xml")


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


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
