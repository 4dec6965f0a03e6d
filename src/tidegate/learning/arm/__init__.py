# SPDX-License-Identifier: Apache-2.0
"""How an arm's policy learns: from what the teacher would ask for, in the teacher's states and in its own."""
