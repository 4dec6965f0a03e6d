# SPDX-License-Identifier: Apache-2.0
"""What the machine really does with a command, and whether the settings that count on it are on the safe side."""
