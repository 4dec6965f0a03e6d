# SPDX-License-Identifier: Apache-2.0
"""Open a page in a real browser: what it says to the console, what it draws, what its sliders do, whom it shuts out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

BROWSER = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
WATCH = """<script>
const failed = [];
addEventListener('error', (event) => failed.push(event.message || 'not loaded: ' + event.target.outerHTML), true);
for (const name of ['error', 'warn']) console[name] = (...words) => failed.push(words.join(' '));
</script>"""
LOOK = """<script>
addEventListener('load', () => {
  const all = (what) => [...document.querySelectorAll(what)], moved = {};
  const images = all('img').filter((one) => !(one.complete && one.naturalWidth > 0)).map((one) => one.id);
  const drawn = all('svg').map((one) => one.getBoundingClientRect()).map((box) => box.width * box.height);
  const state = () => all('output, td[id], p[aria-live]').map((one) => one.textContent).concat(
    all('img').map((one) => one.src)).join('|');
  const first = state();
  for (const one of all('input[type=range]')) {
    const before = state(), value = one.value, seen = [];
    for (let step = +one.min; step <= +one.max; step++) {
      one.value = step;
      one.dispatchEvent(new Event('input', {bubbles: true}));
      seen.push(state());
    }
    moved[one.id] = {steps: seen.length, states: new Set(seen).size, named: one.labels.length};
    one.value = value;
    one.dispatchEvent(new Event('input', {bubbles: true}));
    moved[one.id].back = state() === before;
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  const found = {failed, images, drawn, moved, wide, width: innerWidth, same: state() === first};
  document.body.innerHTML = '<pre id="found"></pre>';
  document.getElementById('found').textContent = JSON.stringify(found);
});
</script>"""


LARGEST_BYTES = 10_000_000
"""No page may be larger."""
LOADED = re.compile(r"""(?:\b(?:src|href)=["']?|\burl\(\s*["']?|@import\s+["'])([^"')>\s]+)""")
AXE = os.environ.get("AXE_CORE", "")
"""axe.min.js of the npm package axe-core, which is no part of this repository: CONTRIBUTING.md."""
NO_AUDIT = "" if BROWSER and AXE else "no Chromium" if AXE else "AXE_CORE does not say where axe.min.js is"
"""Why no page can be audited; '' = it can."""
AUDIT = """<script src="{axe}"></script><script>
axe.run(document).then((told) => {{
  const faults = told.violations.map((one) => ({{
    rule: one.id, impact: one.impact, help: one.help, where: one.nodes.map((node) => node.html.slice(0, 200)),
  }}));
  document.body.innerHTML = '<pre id="found"></pre>';
  document.getElementById('found').textContent = JSON.stringify({{faults, passed: told.passes.length}});
}});
</script>"""


def outside(text: str) -> list[str]:
    """What a page would load from elsewhere."""
    return [source for source in LOADED.findall(text) if not source.startswith(("data:", "#"))]


def audit(page: Path, folder: Path, width: int = 1100) -> dict[str, Any]:
    """What axe-core finds in a window ``width`` [px] wide: ``faults`` with ``rule``, ``impact``, ``help`` and the
    elements (``where``); how many rules were ``passed``."""
    code = AUDIT.format(axe=Path(AXE).resolve().as_uri())
    return _opened(page.read_text("utf-8").replace("</body>", f"{code}</body>"), folder, width)[0]


def serious(faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that keep somebody from using the page."""
    return [one for one in faults if one["impact"] in ("serious", "critical")]


def look(page: Path, folder: Path, width: int = 1100) -> dict[str, Any]:
    """Load ``page`` in a window ``width`` [px] wide, move every slider through all its steps, and tell.

    ``failed``: errors and warnings of the console; ``images``: those that are not there; ``drawn``: the area of each
    figure [px²]; ``moved``: by slider its steps, how many different states of the page they made, whether it went back
    to the first, and how many labels it has; ``wide``: by how much the page is wider than the window [px].
    """
    text = page.read_text("utf-8").replace("<head>", f"<head>{WATCH}").replace("</body>", f"{LOOK}</body>")
    found, said = _opened(text, folder, width)
    found["failed"] += [line for line in said.splitlines() if "CONSOLE" in line]
    return found


def _opened(text: str, folder: Path, width: int) -> tuple[dict[str, Any], str]:
    """What a page leaves in its element ``found``, and what the browser logs."""
    assert BROWSER is not None
    seen = folder / "seen.html"
    seen.write_text(text, "utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={width},900", "--enable-logging=stderr", "--virtual-time-budget=60000"]
    done = subprocess.run(
        [*command, "--dump-dom", seen.as_uri()], capture_output=True, text=True, check=True, timeout=300
    )
    (result,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    found: dict[str, Any] = json.loads(unescape(result))
    return found, done.stderr
