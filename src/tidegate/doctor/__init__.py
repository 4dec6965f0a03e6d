# SPDX-License-Identifier: Apache-2.0
"""Is a robot fit to be driven: plain checks that take facts and give findings, each with what to do about it."""
