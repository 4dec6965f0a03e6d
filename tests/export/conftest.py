# SPDX-License-Identifier: Apache-2.0
"""Networks of both cells, and the frames of a drive with what the live path makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from export_drive import CELLS, CONFIG, Drive, bundle_of, drive_of

from tidegate.bundle import Bundle
from tidegate.export.c_library import export_c
from tidegate.export.network import Network
from tidegate.export.parity import Parity
from tidegate.records import Floats
from tidegate.settings import Settings, load_settings

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def car_settings() -> Settings:
    return load_settings(CONFIG)


@pytest.fixture(scope="session")
def bundles(car_settings: Settings) -> dict[str, Bundle]:
    return {cell: bundle_of(cell, car_settings) for cell in CELLS}


@pytest.fixture(scope="session")
def networks(bundles: dict[str, Bundle], car_settings: Settings) -> dict[str, Network]:
    return {cell: Network.of(bundle, car_settings) for cell, bundle in bundles.items()}


@pytest.fixture(scope="session")
def parities(bundles: dict[str, Bundle], car_settings: Settings) -> dict[str, Parity]:
    return {cell: Parity.of(bundle, car_settings) for cell, bundle in bundles.items()}


@pytest.fixture(scope="session")
def c_folders(
    tmp_path_factory: pytest.TempPathFactory, networks: dict[str, Network], parities: dict[str, Parity]
) -> dict[str, Path]:
    folders = {}
    for cell in CELLS:
        folders[cell] = tmp_path_factory.mktemp(f"c-{cell}")
        for name, text in export_c(networks[cell], parities[cell]).items():
            (folders[cell] / name).write_text(text, encoding="utf-8")
    return folders


@pytest.fixture(scope="session")
def short_drive(car_settings: Settings) -> Drive:
    drive = drive_of(car_settings, 12.5)
    assert len(drive.images) >= 200
    return drive


@pytest.fixture(scope="session")
def lived(short_drive: Drive, bundles: dict[str, Bundle], car_settings: Settings) -> dict[str, Floats]:
    """What the live path makes of ``short_drive``."""
    return {cell: short_drive.live(bundle, car_settings) for cell, bundle in bundles.items()}


@pytest.fixture(scope="session")
def whole_drive(car_settings: Settings) -> Drive:
    drive = drive_of(car_settings, np.inf)
    assert len(drive.images) >= 1000
    return drive
