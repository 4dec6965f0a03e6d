# SPDX-License-Identifier: Apache-2.0
"""Barriers of a package outside tidegate."""
