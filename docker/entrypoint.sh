#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Source ROS and the stack, then run the command in this process, so that it gets the signals.
set -e
# shellcheck source=/dev/null
. "/opt/ros/$ROS_DISTRO/setup.bash"
# shellcheck source=/dev/null
. /opt/tidegate/install/local_setup.bash
export PYTHONPATH="/opt/tidegate/python:$PYTHONPATH"
exec "$@"
