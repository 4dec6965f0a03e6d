# SPDX-License-Identifier: Apache-2.0
"""What an arm did in a recorded drive, and why: the arm's part of ``tidegate explain``."""
