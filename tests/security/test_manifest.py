# SPDX-License-Identifier: Apache-2.0
"""A bundle that is not what its manifest says, or not signed as asked, is refused with the file's name."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tidegate.bundle import Bundle
from tidegate.cli.app import app
from tidegate.errors import BundleError, SettingsError
from tidegate.security.manifest import CARD, MANIFEST, SIGNATURE, read_sealed, write_manifest
from tidegate.settings import load_settings
from tidegate.settings.trust import TrustSettings
from tidegate.share import share_path

SHIPPED = share_path("models/car-ltc19")
FILES = ["backbone.onnx", "bundle.json", "weights.safetensors"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped bundle, saved by this version, without a signature."""
    Bundle.load(SHIPPED).save(tmp_path / "bundle")
    return tmp_path / "bundle"


def refused(folder: Path, said: str, **options: Any) -> None:
    with pytest.raises(BundleError, match=said):
        Bundle.load(folder, **options)


def test_the_shipped_bundle_is_whole_and_small() -> None:
    assert sorted(read_sealed(SHIPPED).files) == [CARD, *FILES]
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 1_000_000


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs GNU coreutils")
def test_any_system_can_check_what_was_saved(folder: Path) -> None:
    told = subprocess.run(["sha256sum", "-c", "--strict", MANIFEST], cwd=folder, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [f"{name}: OK" for name in FILES]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_and_an_altered_file_are_named(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(folder, rf"{name}: is corrupt: its SHA-256 is [0-9a-f]{{64}}; {MANIFEST} expects [0-9a-f]{{64}}")
    (folder / name).unlink()
    refused(folder, rf"{name}: is missing; {MANIFEST} expects it with SHA-256 [0-9a-f]{{64}}")


def test_a_file_too_many_is_named(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"")
    refused(folder, rf"weights.bin: does not belong here; {MANIFEST} expects backbone.onnx, bundle.json, weights")


def test_pipes_devices_and_folders_are_refused_and_a_link_counts_as_its_file(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.rename(folder.parent / "elsewhere")
    weights.symlink_to(folder.parent / "elsewhere")
    assert Bundle.load(folder).name
    for wrong in (lambda: weights.symlink_to("/dev/zero"), lambda: os.mkfifo(weights), weights.mkdir):
        weights.unlink()
        wrong()
        refused(folder, "weights.safetensors: is no file")


def test_what_is_too_large_is_not_read(folder: Path) -> None:
    os.truncate(folder / "backbone.onnx", 1 << 40)  # sparse
    refused(folder, "backbone.onnx: has more than 67,108,864 bytes")
    (folder / "backbone.onnx").unlink()
    for number in range(101):
        (folder / f"file{number}").touch()
    refused(folder, r"holds 10\d files; a bundle has 100 at most")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "0" * 64 + " bundle.json",
        "0" * 64 + "  ../bundle.json",
        "0" * 64 + "  /etc/passwd",
        "0" * 64 + "  sub/file",
        "0" * 64 + "  SHA256SUMS",
        "0" * 64 + "  .hidden",
        "0" * 63 + "  short",
    ],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, line: str) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(f"{text}{line}\n")
    refused(folder, rf"{MANIFEST}: line 4 is .*it must be a SHA-256")
    (folder / MANIFEST).write_text(text + text.splitlines()[0] + "\n")
    refused(folder, rf"{MANIFEST}: line 4 .* that no other line has")


def test_a_bundle_without_a_manifest_is_refused_and_can_be_given_one(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    refused(folder, rf"has no {MANIFEST}; .*tidegate inspect .* --write-manifest")
    run("inspect", str(folder), "--write-manifest")
    assert sorted(read_sealed(folder).files) == FILES
    with pytest.raises(BundleError, match=r"no such bundle|bundle.json"):
        run("inspect", str(folder.parent), "--write-manifest")
    assert not (folder.parent / MANIFEST).exists()


def test_a_format_from_before_the_manifest_is_read(folder: Path) -> None:
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace('"format": 2', '"format": 1, "sha256": {}'))
    write_manifest(folder)
    assert Bundle.load(folder).name == Bundle.load(SHIPPED).name


def run(*arguments: str) -> None:
    """The command line, whose errors are raised here."""
    app([*arguments], standalone_mode=False)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    """Two key pairs, made by another tool."""
    pytest.importorskip("cryptography")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    made = {}
    for name in ("ours", "theirs"):
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        made |= {name: private, f"{name}.pub": public}
    return made


def word(public: Path) -> str:
    """The key as the settings take it: the middle line of its file."""
    return public.read_text().splitlines()[1]


def test_a_signature_is_what_openssl_calls_one(folder: Path, keys: dict[str, Path]) -> None:
    run("sign", str(folder), "--key", str(keys["ours"]))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys["ours.pub"], "-rawin"]
    verify += ["-in", folder / MANIFEST, "-sigfile", folder / SIGNATURE]
    subprocess.run(verify, check=True, capture_output=True)
    run("verify", str(folder), "--key", str(keys["theirs.pub"]), "--key", str(keys["ours.pub"]))


def test_where_a_signature_is_required_only_a_trusted_one_is_taken(folder: Path, keys: dict[str, Path]) -> None:
    ours, theirs = word(keys["ours.pub"]), word(keys["theirs.pub"])
    refused(folder, rf"is not signed \(it has no {SIGNATURE}\); one of the 1 trusted keys", signers=[ours])
    run("sign", str(folder), "--key", str(keys["theirs"]))
    refused(folder, rf"{SIGNATURE}: is no signature .* by a trusted key", signers=[ours])
    assert Bundle.load(folder, signers=[ours, theirs]).name
    assert Bundle.load(folder).name  # who requires none takes it
    with pytest.raises(BundleError, match="is no signature"):
        run("verify", str(folder), "--key", str(keys["ours.pub"]))


def test_a_card_is_signed_with_the_bundle_and_costs_no_signature_unasked(folder: Path, keys: dict[str, Path]) -> None:
    ours = word(keys["ours.pub"])
    run("sign", str(folder), "--key", str(keys["ours"]))
    signed = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(BundleError, match=rf"is signed, .*remove {SIGNATURE}, write the card, and sign again"):
        run("card", str(folder))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == signed
    (folder / SIGNATURE).unlink()
    run("card", str(folder))
    run("sign", str(folder), "--key", str(keys["ours"]))
    assert sorted(read_sealed(folder).files) == [CARD, *FILES]
    assert Bundle.load(folder, signers=[ours]).name
    (folder / CARD).write_text("# Model card: drives anywhere", "utf-8")
    write = (folder / SIGNATURE).read_bytes()
    write_manifest(folder)
    (folder / SIGNATURE).write_bytes(write)
    refused(folder, "is no signature", signers=[ours])


def test_what_is_changed_after_signing_is_refused(folder: Path, keys: dict[str, Path]) -> None:
    """By somebody who makes a new manifest too."""
    ours = word(keys["ours.pub"])
    run("sign", str(folder), "--key", str(keys["ours"]))
    signature = (folder / SIGNATURE).read_bytes()
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace('"mass_kg": 1', '"mass_kg": 2'))
    refused(folder, "bundle.json: is corrupt", signers=[ours])
    write_manifest(folder)
    assert not (folder / SIGNATURE).exists()
    (folder / SIGNATURE).write_bytes(signature)
    refused(folder, "is no signature", signers=[ours])
    (folder / SIGNATURE).write_bytes(b"short")
    refused(folder, "is no signature", signers=[ours])
    Bundle.load(folder).save(folder)
    assert not (folder / SIGNATURE).exists()


def test_keys_that_are_none_are_named(folder: Path, keys: dict[str, Path], tmp_path: Path) -> None:
    rsa, locked = tmp_path / "rsa.pem", tmp_path / "locked.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", rsa], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "pkey", "-in", keys["ours"], "-aes256", "-passout", "pass:x", "-out", locked], check=True
    )
    for wrong in (rsa, locked, keys["ours.pub"], tmp_path / "nowhere", folder / "backbone.onnx"):
        with pytest.raises(SettingsError, match=wrong.name):
            run("sign", str(folder), "--key", str(wrong))
    for text in ("hello", "", "MCowBQYDK2VwAyEA", word(keys["ours"])):
        with pytest.raises(SettingsError, match=r"trust\.signers"):
            Bundle.load(folder, signers=[text])


def test_the_settings_hold_the_keys(keys: dict[str, Path], tmp_path: Path) -> None:
    signers = f"{word(keys['ours.pub'])}, {word(keys['theirs.pub'])}"
    text = share_path("config/car.yaml").read_text() + f"    trust:\n      signers: {signers}\n"
    path = tmp_path / "car.yaml"
    path.write_text(text)
    assert load_settings(path).trust.keys == (word(keys["ours.pub"]), word(keys["theirs.pub"]))
    assert replace(TrustSettings(), signers=" , ").keys == ()
