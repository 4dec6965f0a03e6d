# SPDX-License-Identifier: Apache-2.0
"""Which windows of which bags are worth learning from, and why."""
