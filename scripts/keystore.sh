#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make the keys, certificates and signed permissions of every process of the graph; run again, it signs new permissions
# with the same keys. Needs `ros2 security` (apt-get install ros-$ROS_DISTRO-sros2); ROS_DOMAIN_ID is the domain that
# they are valid in.
set -euo pipefail
case ${1:--} in
-*) echo "usage: $0 FOLDER [--simulation | --sim-time] [--namespace NAME]" >&2; exit 2 ;;
esac
store=$1; shift
umask 077  # whoever reads FOLDER/private can make keys of his own
policy=$(mktemp); trap 'rm -f "$policy"' EXIT
tidegate security "$@" > "$policy"
ros2 security generate_artifacts -k "$store" -p "$policy"
cat <<END
Keys are in $store. Take $store/private off the robot; then, for every process:
  export ROS_SECURITY_KEYSTORE=$(realpath "$store") ROS_SECURITY_ENABLE=true ROS_SECURITY_STRATEGY=Enforce ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-0}
END
