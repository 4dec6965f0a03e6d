# SPDX-License-Identifier: Apache-2.0
"""The same for an arm: hostile torques, with the filter and without it. Only who imports it imports Pinocchio."""
