# SPDX-License-Identifier: Apache-2.0
"""Style and script of the page about a moment: two sets of sliders over what was computed beforehand."""

STYLE = """
h3 { font-size: .95rem; margin: 1rem 0 .2rem; }
section p { color: #4d5d66; }
.words { padding-left: 1.4rem; } .words li { margin-bottom: .45rem; max-width: 88ch; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: .8rem; align-items: start; }
.pair img { border-radius: 6px; }
label { display: block; margin-top: .6rem; font-size: .92rem; }
output { font-variant-numeric: tabular-nums; font-weight: 600; }
input[type=range] { width: 100%; height: 1.8rem; accent-color: var(--sea); }
.sliders { display: grid; grid-template-columns: minmax(9rem, auto) 1fr; gap: .1rem .9rem; align-items: center; }
.sliders label { margin: 0; } button { font: inherit; padding: .45rem .9rem; justify-self: start; }
:focus-visible { outline: 3px solid var(--sea); outline-offset: 2px; }
summary { cursor: pointer; padding: .3rem 0; }
@media (max-width: 640px) {
  .chart { min-width: 620px; } section { padding: 1rem .9rem; }
  .sliders { grid-template-columns: 1fr; }
}
"""

SCRIPT = """
(() => {
  const place = document.getElementById('data');
  if (!place) return;
  const data = JSON.parse(place.textContent), find = (id) => document.getElementById(id);
  const shown = (value, digits, unit) => value === null ? '–'
    : (+value.toFixed(digits) || 0)
      .toLocaleString('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits})
      .replace('-', '−') + (unit ? ' ' + unit : '');
  const frame = find('frame');
  frame.addEventListener('input', () => {
    const one = data.frames[+frame.value], pictures = data.pictures[+frame.value];
    pictures.forEach((source, place) => { find('frame-' + place).src = source; });
    find('frame-time').textContent = one.time;
    find('frame-text').textContent = one.text;
    frame.setAttribute('aria-valuetext', one.time);
  });
  const asked = data.what_if;
  if (!asked) return;
  const names = Object.keys(asked.axes), slider = (name) => find('if-' + name);
  const tell = () => {
    let index = 0;
    for (const name of names) {
      const values = asked.axes[name], step = +slider(name).value;
      index = index * values.length + step;
      find('if-' + name + '-value').textContent = values[step];
      slider(name).setAttribute('aria-valuetext', values[step] + ' ' + asked.units[name]);
    }
    const cell = asked.cells[index];
    find('if-picture').src = data.altered[index];
    find('if-force').textContent = shown(cell.force_n, 0, 'N');
    find('if-curvature').textContent = shown(cell.curvature_1_m, 4, '1/m');
    find('if-offset').textContent = shown(cell.offset_m, 2, '') + ' ± ' + shown(cell.offset_bound_m, 2, 'm');
    find('if-health').textContent = cell.health.level;
    find('if-unlike').textContent = cell.unlike_training ? 'yes' : 'no';
    find('if-reasons').textContent = cell.health.reasons.join('; ');
  };
  for (const name of names) slider(name).addEventListener('input', tell);
  find('if-reset').addEventListener('click', () => {
    for (const name of names) slider(name).value = asked.axes[name].indexOf(asked.recorded[name]);
    tell();
  });
})();
"""
