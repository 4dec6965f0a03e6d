# SPDX-License-Identifier: Apache-2.0
"""``scripts/keystore.sh`` with the real ``ros2 security``: which files it makes, for whom, and who may read them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

if find_spec("sros2") is None or find_spec("ros2cli") is None:
    pytest.skip("ros2 security (sros2) is absent", allow_module_level=True)

from granted import dds_names, rights
from tidegate.security.access import Time, access_policy

SCRIPT = Path(__file__).parents[2] / "scripts" / "keystore.sh"
OWN = {"cert.pem", "key.pem", "permissions.p7s", "permissions.xml"}
SHARED = {"governance.p7s", "identity_ca.cert.pem", "permissions_ca.cert.pem"}
"""Links in each enclave's folder to the one of all."""
DOMAIN = "7"
DISCOVERY = "ros_discovery_info"
"""Every node of ROS tells and hears of the others there."""


def keystore(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the script as a shell would whose environment of ROS is sourced."""
    environment = {
        **os.environ,
        "AMENT_PREFIX_PATH": os.environ.get("AMENT_PREFIX_PATH") or sys.prefix,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "ROS_DOMAIN_ID": DOMAIN,
    }
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True)


def signed_by(authority: Path, file: Path) -> str:
    """What a signed file says, by OpenSSL and no library of the tools that signed it."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl is absent"
    words = [openssl, "smime", "-verify", "-text", "-in", file, "-CAfile", authority, "-purpose", "any"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.replace("\r\n", "\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "space", "clock"),
    [
        ((), "/", "system"),
        (("--simulation",), "/", "simulator"),
        (("--sim-time", "--namespace", "replay"), "/replay", "shared"),
    ],
)
def test_every_process_gets_a_key_and_signed_permissions_of_its_own(
    tmp_path: Path, flags: tuple[str, ...], space: str, clock: Time
) -> None:
    store = tmp_path / "keys"
    made = keystore(store, *flags)
    assert made.returncode == 0, made.stderr
    assert f"ROS_SECURITY_KEYSTORE={store} " in made.stdout
    assert f"ROS_DOMAIN_ID={DOMAIN}\n" in made.stdout
    authority = store / "public" / "ca.cert.pem"
    policy = rights(access_policy(space, clock))
    places = {path.parent for path in (store / "enclaves").rglob("key.pem")}
    assert {f"/{path.relative_to(store / 'enclaves')}".replace("/.", "/") for path in places} == set(policy)
    for name, allowed in policy.items():
        place = store / "enclaves" / name.lstrip("/")
        assert {path.name for path in place.iterdir() if path.is_file()} - {"governance.xml"} == OWN | SHARED
        subprocess.run(["openssl", "verify", "-CAfile", authority, place / "cert.pem"], check=True, capture_output=True)
        subject = ["openssl", "x509", "-in", place / "cert.pem", "-noout", "-subject", "-nameopt", "multiline"]
        told = subprocess.run(subject, capture_output=True, text=True, check=True).stdout
        assert told.split("commonName")[1].split("=")[1].strip() == name
        says = signed_by(authority, place / "permissions.p7s")
        assert says.split() == (place / "permissions.xml").read_text().split()
        (grant,) = ElementTree.fromstring(says).iter("grant")
        assert grant.findtext("subject_name") == f"CN={name}"
        assert {item.text for item in grant.iter("id")} == {DOMAIN}
        assert grant.findtext("default") == "DENY"
        assert grant.find("deny_rule") is None
        found = tuple(
            {item.text for item in grant.findall(f"allow_rule/{right}/topics/topic")} - {DISCOVERY}
            for right in ("publish", "subscribe")
        )
        assert found == dds_names(allowed), name
        assert "enable_join_access_control>true" in signed_by(authority, place / "governance.p7s")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (store, *store.rglob("*")) if not path.is_symlink()}
    assert {path for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == set()
    assert {path.name for path in (store / "private").iterdir() if not path.is_symlink()} == {"ca.key.pem"}


@pytest.mark.slow
def test_run_again_it_keeps_the_keys_and_signs_other_permissions(tmp_path: Path) -> None:
    store = tmp_path / "keys"
    place = store / "enclaves" / "tidegate" / "safety_node"
    assert keystore(store).returncode == 0
    key, permissions = (place / "key.pem").read_bytes(), (place / "permissions.xml").read_text()
    again = keystore(store, "--namespace", "/car")
    assert again.returncode == 0, again.stderr
    assert (place / "key.pem").read_bytes() == key
    assert "rt/command<" in permissions
    assert "rt/car/command<" in (place / "permissions.xml").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "usage: "),
        (("--simulation",), "usage: "),
        (("keys", "--simulation", "--sim-time"), "give it or --sim-time, not both"),
        (("keys", "--namespace", "car-1"), "namespace is 'car-1'"),
    ],
)
def test_a_wrong_call_makes_nothing(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    placed = [str(tmp_path / word) if word == "keys" else word for word in arguments]
    made = keystore(*placed)
    assert made.returncode == 2
    assert told in " ".join(made.stderr.split())
    assert list(tmp_path.iterdir()) == []
