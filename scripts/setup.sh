#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build .venv: `setup.sh live` for driving and the report (no torch), `setup.sh all` for training and tests too.
# Python 3.11 is what the ROS 2 wheels are made for; a sourced ROS 2 is used instead of the wheels.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }

if [ -n "${ROS_DISTRO:-}" ] && python3 -c 'import rclpy' 2>/dev/null; then
  python=python3 venv_options=--system-site-packages ros=
  say "using the installed ROS 2 $ROS_DISTRO with $(python3 --version)"
else
  python= venv_options= ros=ros,
  # the system's first: what pyenv builds is not optimised by profile, and runs Python itself at half the speed
  for candidate in /usr/bin/python3.11 python3.11 python3 python; do
    if "$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then python=$candidate; break; fi
  done
  [ -n "$python" ] || fail "needs Python 3.11 (the ROS 2 wheels are made for it) with venv, or a sourced ROS 2; found $(python3 --version 2>&1); Debian: apt-get install python3.11-venv"
fi

if [ "$(uname -s)" = Linux ] && ! "$python" -c 'import ctypes; ctypes.CDLL("libEGL.so.1"); ctypes.CDLL("libGL.so.1")' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing libegl1 libgl1 (headless rendering)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libegl1 libgl1; } >/dev/null \
      || fail "could not install the GL library; type: apt-get install libegl1 libgl1"
  else
    fail "the GL library for headless rendering is missing; type: sudo apt-get install libegl1 libgl1"
  fi
fi

stamp=.venv/.$what-$(cat setup.py scripts/setup.sh src/tidegate/liquid/c/* | cksum | tr ' ' -)
if [ -e "$stamp" ]; then exit 0; fi
[ -x .venv/bin/python ] || "$python" -m venv $venv_options .venv || fail "could not make .venv; Debian and Ubuntu need: apt-get install python3-venv"
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
case $what in
  live) extras=${ros}sim,insight ;;
  all)
    extras=${ros}sim,arm,attack,insight,learn,calibrate,data,export,sign,dev
    if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
      say "installing torch"
      pip install -q "torch==2.13.0" || fail "could not install torch"
    fi ;;
  *) fail "unknown kind of set-up '$what'; it is live or all" ;;
esac
say "installing tidegate[$extras] into .venv (some minutes the first time)"
pip install -q -e ".[$extras]" || fail "the installation failed; the lines above say why"
.venv/bin/python -c 'import tidegate.liquid.native' 2>/dev/null \
  || say "no C compiler or no Python headers: NumPy steps the liquid network (apt-get install gcc python3-dev, then .venv/bin/pip install -e .)"
rm -f .venv/."$what"-*
touch "$stamp"
