# SPDX-License-Identifier: Apache-2.0
"""docs/settings.md is what the declarations say."""

from __future__ import annotations

from pathlib import Path

from tidegate.cli.settings import markdown_page


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == markdown_page(), "run `make docs`"
