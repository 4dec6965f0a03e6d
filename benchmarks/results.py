# SPDX-License-Identifier: Apache-2.0
"""Write docs/results.md from the figures that the benchmarks kept in out/bench; a benchmark not run has no table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common import FIGURES

PAGE = Path("docs/results.md")
HEAD = """# Results

Made by `make bench`; each table names the script, the day and the machine. Figures depend on the machine and on what
else it does: run them on yours.
"""


def main() -> None:
    """Write the page."""
    parts = [HEAD]
    for name, tell in TABLES.items():
        path = FIGURES / f"{name}.json"
        if path.exists():
            figures = json.loads(path.read_text("utf-8"))
            parts.append(f"{tell(figures)}\n\n{source(figures)}\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    print(PAGE)


def source(figures: dict[str, Any]) -> str:
    """Where figures come from."""
    machine = figures["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"*`benchmarks/{figures['name']}.py`, {figures['date']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, load {machine['load_1min']} at the end; Python {machine['python']}, {packages}*"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ratio(figures: dict[str, Any], digits: int = 0) -> str:
    """How many times ours, with its spread."""
    middle, low, high = (f"{figures[name]:.{digits}f}" for name in ("ratio", "ratio_low", "ratio_high"))
    return f"{middle} ({low}–{high})"


def closed_loop(figures: dict[str, Any]) -> str:
    """Closed loops by scene."""
    rows = [
        (
            row["scene"],
            row["off"],
            f"{row['completed']}/{row['total']}",
            row["collisions"],
            row["limit_violations"],
            row["runs_with_a_wheel_off_the_road"],
            f"{row['max_abs_lane_error_m']:.2f}",
            "–" if row["min_gap_m"] is None else f"{row['min_gap_m']:.1f}",
            f"{row['real_time_factor']:.1f}",
        )
        for row in figures["rows"]
    ]
    head = (
        "scene",
        "switched off",
        "completed",
        "collisions",
        "limits violated",
        "runs with a wheel off the road",
        "largest lane error [m]",
        "smallest gap [m]",
        "× real time per process",
    )
    return (
        f"## Closed loops\n\nSeeds {figures['seeds']} (the end excluded), roads that no training run saw, "
        f"{figures['processes']} processes.\n\n{table(head, rows)}"
    )


def latency(figures: dict[str, Any]) -> str:
    """Latency and memory of the live graph."""
    found = figures["latency_ms"]
    rows = [(f"{found['median']:.1f}", f"{found['p90']:.1f}", f"{found['p99']:.1f}", f"{found['max']:.1f}")]
    memory = [(name, f"{size:.0f}") for name, size in figures["pss_mb"].items()]
    memory.append(("the stack (perception, policy, safety)", f"{figures['pss_stack_mb']:.0f}"))
    return (
        f"## Live graph\n\nReal nodes over DDS in real time, the simulator on the same machine; "
        f"{figures['frames']} frames in {figures['seconds']:.0f} s of scene `{figures['scene']}`. "
        f"From the moment a frame was rendered to the publication of the first command computed from it.\n\n"
        f"{table(('median [ms]', '90 % [ms]', '99 % [ms]', 'largest [ms]'), rows)}\n\n"
        f"{table(('node', 'PSS [MB]'), memory)}"
    )


def liquid_step(figures: dict[str, Any]) -> str:
    """The liquid step against ncps."""
    rows = [
        ("tidegate, NumPy (live)", f"{figures['ours_us']:.0f}", "1"),
        (
            "`ncps` LTCCell, torch, one thread",
            f"{figures['ncps_us']:.0f}",
            ratio(figures, 1),
        ),
    ]
    return (
        f"## Liquid step\n\n{figures['neurons']} neurons, {figures['inputs']} inputs, {figures['substeps']} sub-steps, "
        f"batch 1; {figures['rounds']} rounds of {figures['repeats']} steps, in turns within one process. The ratio's "
        f"spread is that of the rounds.\n\n{table(('implementation', 'step [µs], median', 'times ours'), rows)}"
    )


def filter_step(figures: dict[str, Any]) -> str:
    """The filter step against CVXPY."""
    rows = [
        ("tidegate, rows to report", f"{figures['median_us']:.0f}", f"{figures['p99_us']:.0f}", "1"),
        (
            "CVXPY, parametrised, Clarabel",
            f"{figures['cvxpy_median_us']:.0f}",
            f"{figures['cvxpy_p99_us']:.0f}",
            ratio(figures),
        ),
    ]
    return (
        f"## Filter step\n\nOne step of the car's filter: barrier rows, programme, check, report; {figures['states']} "
        f"random states, {figures['rounds']} rounds in turns within one process. On the {figures['compared']} states "
        f"where no row gives way the commands differ by {figures['largest_difference']:.0e} of full scale at most.\n\n"
        f"{table(('implementation', 'median [µs]', '99 % [µs]', 'times ours'), rows)}"
    )


def qp_layer(figures: dict[str, Any]) -> str:
    """The differentiable programme against its peers."""
    rows = [
        (
            row["batch"],
            "tidegate `qp_layer`" if row["layer"] == "ours" else f"{row['layer']} {figures['peers'][row['layer']]}",
            f"{row['median_ms']:.2f}",
            "1" if row["layer"] == "ours" else ratio(row),
            "" if row["layer"] == "ours" else f"{row['solution_difference']:.0e}",
            "" if row["layer"] == "ours" else f"{row['gradient_difference']:.0e}",
        )
        for row in figures["table"]
    ]
    head = ("batch", "layer", "forward and backward [ms], median", "times ours", "solution differs", "gradients differ")
    return (
        f"## Differentiable programme\n\n{figures['size']} variables, {figures['rows']} rows, the same problems for "
        f"all, tolerance {figures['tolerance']:.0e} where it can be set; each layer at its better number of threads, "
        f"{figures['rounds']} rounds in turns. Differences are from ours, of gradients relative.\n\n{table(head, rows)}"
    )


def coverage(figures: dict[str, Any]) -> str:
    """Coverage of the lane's error bounds."""
    whole = [
        (
            row["driver"],
            name,
            f"{found['kept']}/{found['drives']}",
            f"{found['low']:.2f}–{found['high']:.2f}",
            f"{100 * found['frames']:.2f}",
            f"{found['width']:.3g}",
        )
        for row in figures["rows"]
        if row["scene"] == "all"
        for name, found in row["of"].items()
    ]
    scenes = [
        (row["driver"], row["scene"], row["frames"], row["refused"], *_covered(row["of"], figures["names"][:3]))
        for row in figures["rows"]
        if row["scene"] != "all"
    ]
    head = ("driver", "quantity", "drives covered", "95 % interval", "frames within [%]", "bound, median")
    parts = (f"{name}: drives, frames [%], bound" for name in figures["names"][:3])
    share, nominal = 100 * figures["frame_share"], 100 * figures["nominal"]
    return (
        f"## Coverage of the lane's error bounds\n\nSeeds {figures['seeds']} (the end excluded), neither trained nor "
        f"calibrated with, dealt out to the scenes, {figures['seconds']:g} s a drive; each is driven by the expert, "
        f"with the network looking on, and by the network. A drive is covered where {share:g} % of its frames are "
        f"within the bound; of the drives at least {nominal:g} % should be, for each quantity. Interval: "
        f"Clopper-Pearson over drives, for frames of one drive are not exchangeable. Refused: image health says that "
        f"the frame must not be used. Offsets in m, headings in rad, curvatures in 1/m.\n\n{table(head, whole)}\n\n"
        f"{table(('driver', 'scene', 'frames', 'refused', *parts), scenes)}"
    )


def _covered(found: dict[str, Any], names: list[str]) -> list[str]:
    chosen = [found[name] for name in names]
    return [f"{one['kept']}/{one['drives']}, {100 * one['frames']:.2f}, {one['width']:.3g}" for one in chosen]


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "closed_loop": closed_loop,
    "coverage": coverage,
    "latency": latency,
    "liquid_step": liquid_step,
    "filter_step": filter_step,
    "qp_layer": qp_layer,
}


if __name__ == "__main__":
    main()
