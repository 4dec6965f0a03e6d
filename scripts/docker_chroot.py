# SPDX-License-Identifier: Apache-2.0
"""Build and run docker/Dockerfile without Docker: every instruction of a target, in Debian chroots, as root.

The base images ``ros:jazzy-…`` are stood in for by a Debian of debootstrap with the ROS 2 wheels at /opt/ros/jazzy; a
package that Debian has not fails its RUN. The target then runs as its user, its root read-only, until the health check
passes, and is ended by its stop signal.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"  # its Python is the one that the ROS 2 wheels are for
ROS = "/opt/ros/jazzy"
WHEELS = "ros-jazzy-rclpy ros-jazzy-rmw-fastrtps-cpp ros-jazzy-common-interfaces"
SETUP = f"""export ROS_DISTRO=jazzy PATH={ROS}/bin:$PATH AMENT_PREFIX_PATH={ROS}
export PYTHONPATH={ROS}/lib/python3.11/site-packages${{PYTHONPATH:+:$PYTHONPATH}}
"""
PASSED = ("PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ROS_")
"""Beginnings of the environment's variables that go in."""
PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One ``FROM``: what it is built on, and the instructions that follow."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Image:
    """A stage that was built: its ``root``, and how it is run."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    stop: str = "SIGTERM"


def stages(text: str) -> dict[str, Stage]:
    """The stages of a Dockerfile by name."""
    made: dict[str, Stage] = {}
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            made[name] = stage = Stage(name, base)
        elif word:
            stage.steps.append((word, rest.strip()))
    return made


class Builder:
    """Builds stages below one folder."""

    def __init__(self, folder: Path, wheels: Path, binds: list[Path]) -> None:
        """``wheels``: those of ``launch`` and ``ros2``; ``binds``: folders of this machine that pip needs."""
        self._folder, self._wheels, self._binds = folder, wheels, binds
        self._stages = stages((ROOT / "docker/Dockerfile").read_text("utf-8"))
        self._built: dict[str, Image] = {}

    def image(self, name: str) -> Image:
        """A stage, or the stand-in for what is no stage here."""
        if name not in self._built:
            self._built[name] = self._build(self._stages[name]) if name in self._stages else self._stand_in()
        return self._built[name]

    def run(self, image: Image, command: tuple[str, ...], *, frozen: bool = False) -> subprocess.Popen[bytes]:
        """Start a command in an image; ``frozen``: its root is read-only, /tmp is empty memory."""
        root = shlex.quote(str(image.root))
        mounts = [f"mount --rbind {folder} {root}{folder}" for folder in ("/dev", "/sys")] + [
            f"mount -t proc proc {root}/proc"
        ]
        mounts += [f"mkdir -p {root}{path} && mount --bind {path} {root}{path}" for path in self._binds if not frozen]
        if frozen:
            mounts = [f"mount --bind -o ro {root} {root}", *mounts, f"mount -t tmpfs tmpfs {root}/tmp"]
        passed = {key: value for key, value in os.environ.items() if key.startswith(PASSED)}
        variables = [f"{key}={value}" for key, value in (passed | image.environment).items()]
        inside = ["env", "-i", *variables, "sh", "-c", f'cd {image.workdir} && exec "$@"', "sh", *command]
        outside = ["exec", "chroot", f"--userspec={image.user}", str(image.root)]
        script = " && ".join([*mounts, shlex.join([*outside, *inside])])
        return subprocess.Popen(["unshare", "--mount", "sh", "-c", script], start_new_session=True)

    def _do(self, image: Image, command: str) -> None:
        code = self.run(image, ("sh", "-c", command)).wait()
        if code:
            sys.exit(f"{image.root.name}: code {code} of: {command}")

    def _stand_in(self) -> Image:
        image = Image(self._folder / "ros")
        image.environment.update(ROS_DISTRO="jazzy", LANG="C.UTF-8")  # as in the image that it stands for
        done = image.root / "stands"
        if not done.exists():
            shutil.rmtree(image.root, ignore_errors=True)
            included = "--include=ca-certificates,python3,python3-venv"
            subprocess.run(["debootstrap", "--variant=minbase", included, SUITE, image.root, MIRROR], check=True)
            for file in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
                shutil.copy(file, f"{image.root}{file}")
            shutil.copytree(self._wheels, image.root / "wheels")
            pip = f"{ROS}/bin/pip install -q"
            self._do(
                image,
                f"python3 -m venv {ROS} && {pip} {WHEELS} && {pip} -r /wheels/requirements.txt"
                f" && {pip} --no-deps /wheels/*.whl",
            )
            for name in ("setup.sh", "setup.bash"):
                (image.root / ROS[1:] / name).write_text(SETUP, "utf-8")
            done.touch()
        return image

    def _build(self, stage: Stage) -> Image:
        base = self.image(stage.base)
        image = replace(base, root=self._folder / stage.name)
        shutil.rmtree(image.root, ignore_errors=True)
        subprocess.run(["cp", "-a", base.root, image.root], check=True)
        for word, rest in stage.steps:
            print(f"{stage.name}: {word} {rest}", flush=True)
            image = self._step(image, word, rest)
        return image

    def _step(self, image: Image, word: str, rest: str) -> Image:
        if word == "RUN":
            self._do(image, rest)
        elif word == "COPY":
            self._copy(image, *shlex.split(rest))
        elif word == "WORKDIR":
            (image.root / rest[1:]).mkdir(parents=True, exist_ok=True)
            return replace(image, workdir=rest)
        elif word == "ENV":
            return replace(
                image, environment=image.environment | dict(part.split("=", 1) for part in shlex.split(rest))
            )
        elif word == "USER":
            return replace(image, user=rest)
        elif word == "STOPSIGNAL":
            return replace(image, stop=rest)
        elif word == "HEALTHCHECK":
            return replace(image, health=tuple(json.loads(rest.partition("CMD")[2])))
        elif word in ("ENTRYPOINT", "CMD"):
            name = "entrypoint" if word == "ENTRYPOINT" else "command"
            return replace(image, **{name: tuple(json.loads(rest))})
        else:
            sys.exit(f"docker/Dockerfile: {word} is not known here")
        return image

    def _copy(self, image: Image, *words: str) -> None:
        *options, source, target = words
        place = Path(f"{image.root}{os.path.join(image.workdir, target)}")
        place.parent.mkdir(parents=True, exist_ok=True)
        if options:
            subprocess.run(
                ["cp", "-a", f"{self.image(options[0].removeprefix('--from=')).root}{source}", place], check=True
            )
        elif (ROOT / source).is_file():
            shutil.copy(ROOT / source, place)
        else:
            ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
            shutil.copytree(
                ROOT / source, place, ignore=shutil.ignore_patterns(*(name.removeprefix("**/") for name in ignored))
            )


def main() -> None:
    """Build a target and run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the chroots are made; some gigabytes")
    parser.add_argument("--target", default="simulation")
    parser.add_argument(
        "--wheels", type=Path, required=True, help="folder with wheels of launch, launch_ros and ros2cli"
    )
    parser.add_argument("--bind", type=Path, action="append", default=[], help="folder of this machine that pip needs")
    chosen = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    builder = Builder(chosen.folder.resolve(), chosen.wheels, chosen.bind)
    image = builder.image(chosen.target)
    running = builder.run(image, (*image.entrypoint, *image.command), frozen=True)
    end = time.monotonic() + PATIENCE_S
    healthy = False
    while not healthy and running.poll() is None and time.monotonic() < end:
        healthy = builder.run(image, image.health, frozen=True).wait() == 0
    if running.poll() is None:
        os.killpg(running.pid, getattr(signal, image.stop))
    code = running.wait()
    print(f"{chosen.target}: {'healthy' if healthy else 'never healthy'}, ended with code {code}")
    sys.exit(0 if healthy and code == 0 else 1)


if __name__ == "__main__":
    main()
