# SPDX-License-Identifier: Apache-2.0
"""Whose bundles may drive the robot."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Read by the nodes that load a bundle and by the doctor; offline tools load any that is whole."""

    signers: str = setting(
        "",
        "",
        "Ed25519 public keys, by comma (the line that a PEM file has between BEGIN and END): one of them must have "
        "signed the bundle; empty = none need have",
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys one by one."""
        return tuple(key.strip() for key in self.signers.split(",") if key.strip())
