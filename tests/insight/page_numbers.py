# SPDX-License-Identifier: Apache-2.0
"""The numbers that a page shows, and those that the JSON beside it knows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any


class Text(HTMLParser):
    """The visible text outside of figures."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = 0
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style", "svg", "title")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style", "svg", "title")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def numbers(value: Any) -> list[float]:
    """All numbers of a JSON value, those inside its words included."""
    if isinstance(value, dict):
        return [number for key, item in value.items() if key != "sentence" for number in numbers(key) + numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    if isinstance(value, str):
        found = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?", value)
        return [float(text.replace(",", "")) for text in found if text.strip(",")]
    return [abs(float(value))] if isinstance(value, (int, float)) else []


def shown(page: str) -> list[str]:
    """The numbers of a page, as it shows them; of shares with their percent sign."""
    parser = Text()
    parser.feed(page)
    found = re.findall(r"(?<![\w./\d])\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?%?(?![\w/])", " ".join(parser.parts))
    return [number.rstrip(",") for number in found]


def unknown(page: str, told: Any) -> list[str]:
    """The numbers of a page that are not in ``told``, rounded as the page rounds them."""
    known = numbers(told)

    def is_known(number: str) -> bool:
        if "e" in number:  # how far the replay is from the record, on a machine that is not the recording one
            return float(number) in known
        bare = number.removesuffix("%")
        digits, times = len(bare.partition(".")[2]), 1 if bare == number else 100
        return any(f"{times * value:,.{digits}f}" == bare or f"{value:,.{digits}f}" == bare for value in known)

    return [number for number in shown(page) if not is_known(number)]
