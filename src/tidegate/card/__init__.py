# SPDX-License-Identifier: Apache-2.0
"""The model card: what a bundle was made from, what it can do, where it failed, and where it may be used.

Every figure comes from the bundle's own record or from a file that is named; none is written by hand (after Mitchell et
al. 2019, "Model Cards for Model Reporting").
"""

from tidegate.card.evidence import Attacked, Driven, Tasks, read_attacked, read_driven, read_tasks
from tidegate.card.page import card_page
from tidegate.card.write import card_of, write_card

__all__ = [
    "Attacked",
    "Driven",
    "Tasks",
    "card_of",
    "card_page",
    "read_attacked",
    "read_driven",
    "read_tasks",
    "write_card",
]
