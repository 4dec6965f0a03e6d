#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make the keys, certificates and signed permissions of every process of the graph: keystore.sh FOLDER [--simulation]
# Needs `ros2 security` (apt-get install ros-$ROS_DISTRO-sros2); ROS_DOMAIN_ID is the domain that they are valid in.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 FOLDER [--simulation] [--namespace NAME]" >&2; exit 2; }
store=$1; shift
umask 077  # whoever reads FOLDER/private can make keys of his own
policy=$(mktemp); trap 'rm -f "$policy"' EXIT
tidegate security "$@" > "$policy"
[ -d "$store" ] || ros2 security create_keystore "$store"
for enclave in $(sed -n 's/.*<enclave path="\([^"]*\)".*/\1/p' "$policy"); do
  ros2 security create_enclave "$store" "$enclave"
  ros2 security create_permission "$store" "$enclave" "$policy"
done
cat <<END
Keys are in $store. Take $store/private off the robot; then, for every process:
  export ROS_SECURITY_KEYSTORE=$(realpath "$store") ROS_SECURITY_ENABLE=true ROS_SECURITY_STRATEGY=Enforce ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-0}
END
