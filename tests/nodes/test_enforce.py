# SPDX-License-Identifier: Apache-2.0
"""Where security is asked for and cannot be had, no node starts; nor with a bundle of somebody else."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from plant import CAR_YAML
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.nodes.children import enclave_flags
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.policy_node import PolicyNode
from tidegate.security.access import access_policy
from tidegate.share import share_path


def started(keystore: Path) -> subprocess.CompletedProcess[str]:
    asked = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": str(keystore)}
    words = [sys.executable, "-m", "tidegate.nodes.main", "safety_node", *enclave_flags("safety_node")]
    return subprocess.run(
        [*words, "--params-file", str(CAR_YAML)], env={**os.environ, **asked}, capture_output=True, text=True
    )


def test_without_keys_no_node_starts(tmp_path: Path) -> None:
    ended = started(tmp_path)
    assert ended.returncode == 2
    assert "SECURITY ERROR" in ended.stderr
    assert "/tidegate/safety_node" in ended.stderr


@pytest.mark.slow
def test_with_keys_a_middleware_without_security_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are those that the tools of ROS make of the policy."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.environ.get("AMENT_PREFIX_PATH") or sys.prefix)
    generate = pytest.importorskip("sros2.api._artifact_generation").generate_artifacts
    libraries = [path for path in Path(sys.prefix).rglob("libfastrtps.so") if path.is_file()]
    if not libraries or b"DDS:Auth:PKI-DH" in libraries[0].read_bytes():
        pytest.skip("this Fast DDS has security")
    policy = tmp_path / "policy.xml"
    policy.write_text(access_policy(), encoding="utf-8")
    with warnings.catch_warnings(action="ignore"):  # of the tools, about the cryptography they use
        generate(tmp_path / "keys", [], [policy])
    ended = started(tmp_path / "keys")
    assert ended.returncode == 2
    assert "security" in ended.stderr.lower()


@pytest.mark.parametrize("kind", [PerceptionNode, PolicyNode])
def test_a_node_takes_only_what_its_signers_have_signed(ros: EventsExecutor, tmp_path: Path, kind: type) -> None:
    signature = pytest.importorskip("tidegate.security.signature")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    unsigned = share_path("models/car-ltc19")
    signed, public = {}, {}
    for name in ("ours", "theirs"):
        key = signature.Ed25519PrivateKey.generate()
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(key.private_bytes(*form))
        signed[name] = Path(shutil.copytree(unsigned, tmp_path / name))
        public[name] = signature.sign(signed[name], tmp_path / f"{name}.pem")

    def configured(bundle: Path) -> TransitionCallbackReturn:
        given = ["-p", f"bundle:={bundle}", "-p", f"trust.signers:={public['ours']}"]
        node = kind(["--ros-args", "--params-file", str(CAR_YAML), *given])
        outcome = node.trigger_configure()
        node.close()
        node.destroy_node()
        return outcome

    assert configured(signed["ours"]) is TransitionCallbackReturn.SUCCESS
    assert configured(signed["theirs"]) is TransitionCallbackReturn.FAILURE
    assert configured(unsigned) is TransitionCallbackReturn.FAILURE
