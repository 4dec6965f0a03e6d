# SPDX-License-Identifier: Apache-2.0
"""Closed loops in which the policy and the lane estimate are hostile: what the safety filter must survive."""
