# SPDX-License-Identifier: Apache-2.0
"""Open a page in a real browser: what it says to the console, what it draws, what its sliders do."""

from __future__ import annotations

import json
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


def look(page: Path, folder: Path, width: int = 1100) -> dict[str, Any]:
    """Load ``page`` in a window ``width`` [px] wide, move every slider through all its steps, and tell.

    ``failed``: errors and warnings of the console; ``images``: those that are not there; ``drawn``: the area of each
    figure [px²]; ``moved``: by slider its steps, how many different states of the page they made, whether it went back
    to the first, and how many labels it has; ``wide``: by how much the page is wider than the window [px].
    """
    assert BROWSER is not None
    text = page.read_text("utf-8").replace("<head>", f"<head>{WATCH}").replace("</body>", f"{LOOK}</body>")
    seen = folder / "seen.html"
    seen.write_text(text, "utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={width},900", "--enable-logging=stderr", "--dump-dom", seen.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    (result,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    found: dict[str, Any] = json.loads(unescape(result))
    found["failed"] += [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return found
