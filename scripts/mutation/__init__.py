# SPDX-License-Identifier: Apache-2.0
"""Mutation testing of the safety room: small faults made one at a time, and whether a test notices."""
