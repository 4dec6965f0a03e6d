# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of a running graph: what was heard, as a terminal view, and as shapes in space. No ROS here."""
