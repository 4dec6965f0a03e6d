# SPDX-License-Identifier: Apache-2.0
"""Known faults of the packages in this environment, by pip-audit, in a .venv of its own below ``out/``.

It asks the advisory service of the package index; where that does not answer, or does not know even the plainest of our
dependencies, this fails with one line rather than to call everything sound.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

OWN = Path(__file__).resolve().parents[1] / "out" / "audit-venv"
WANTED = "pip-audit>=2.7,<3"
KNOWN = "numpy"
"""Every index of Python packages has it."""


def judge(report: dict[str, Any]) -> tuple[int, list[str]]:
    """Exit code and lines of what pip-audit reports as JSON: 0 = nothing known, 1 = faults, 2 = it was not told."""
    packages = report["dependencies"]
    skipped = sorted(one["name"] for one in packages if "skip_reason" in one)
    if KNOWN in skipped or not any(one["name"] == KNOWN for one in packages):
        return 2, [f"the advisory service answered for {len(packages) - len(skipped)} of {len(packages)} packages, not "
                   f"for {KNOWN}: nothing is known"]  # fmt: skip
    lines = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for one in packages
        for fault in one.get("vulns", ())
    ]
    checked = f"{len(packages) - len(skipped)} packages checked, {len(lines)} known faults"
    return int(bool(lines)), [*lines, f"{checked}; not in the index: {', '.join(skipped) or 'none'}"]


def main() -> int:
    """Install, ask, judge."""
    tool = OWN / "bin" / "pip-audit"
    if not tool.exists():
        venv.create(OWN, with_pip=True)
        install = [OWN / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q", WANTED]
        if subprocess.run(install, capture_output=True).returncode:
            print(
                f"audit: {WANTED} cannot be installed: the package index does not answer, or lacks it", file=sys.stderr
            )
            return 2
    ask = [tool, "--path", sysconfig.get_path("purelib"), "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(ask, capture_output=True, text=True)
    try:
        code, lines = judge(json.loads(done.stdout))
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        code, lines = 2, [f"the advisory service cannot be asked: {last}"]
    print("\n".join(f"audit: {line}" for line in lines), file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
