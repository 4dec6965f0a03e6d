# SPDX-License-Identifier: Apache-2.0
"""Write docs/results.md anew from the figures that benchmarks kept in out/bench; what has none there stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import breakdown
import bring_up
import cliffs
import compiled_drive
import counterfactual
import emulated
import exported
import gains
import liquid_epoch
import liquid_memory
import liquid_step
import liquid_training
import qp_cores
import start
import substeps
import viewers
from common import FIGURES, ratio, table

PAGE = Path("docs/results.md")
HEAD = """# Results

Made by `make bench`; each table names the script, the day and the machine. Figures depend on the machine and on what
else it does: run them on yours.
"""


def main() -> None:
    """Write the page."""
    parts, kept = [HEAD], sections(PAGE.read_text("utf-8"))
    for name, tell in TABLES.items():
        path = FIGURES / f"{name}.json"
        if path.exists():
            figures = json.loads(path.read_text("utf-8"))
            parts.append(f"{tell(figures)}\n\n{source(figures)}\n")
        elif name in kept:
            parts.append(kept[name])
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    print(PAGE)


def sections(page: str) -> dict[str, str]:
    """The sections of ``page`` by the script that each names as its source."""
    found = {}
    for text in page.split("\n## ")[1:]:
        if script := re.search(r"^\*`benchmarks/(\w+)\.py`", text, re.MULTILINE):
            found[script[1]] = f"## {text.rstrip()}\n"
    return found


def source(figures: dict[str, Any]) -> str:
    """Where figures come from."""
    machine = figures["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    scheduling = machine.get("scheduling", "normal")
    priority = "" if scheduling == "normal" else f", run under {scheduling}"
    return (
        f"*`benchmarks/{figures['name']}.py`, {figures['date']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, load {machine['load_1min']} at the end{priority}; "
        f"Python {machine['python']}, {packages}*"
    )


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
        f"{figures['processes']} processes.\n\n{table(head, rows)}\n\n"
        f'Comfort, the median drive ([learning.md](learning.md), "What a passenger feels"):\n\n{comfort(figures)}'
    )


def comfort(figures: dict[str, Any]) -> str:
    """What a passenger feels, by scene."""
    names = {
        "lateral_jerk_rms": "lateral jerk, rms [m/s³]",
        "lateral_jerk_peak": "peak [m/s³]",
        "steering_reversals": "steering reversals [1/min]",
        "pedal_reversals": "pedal reversals [1/min]",
        "hardest_braking": "hardest braking [m/s²]",
    }
    rows = [
        (
            row["scene"],
            row["off"],
            f"{row['comfort']['in_centre']:.0%}",
            *(f"{row['comfort'][name]:.{0 if 'reversals' in name else 1}f}" for name in names),
        )
        for row in figures["rows"]
        if "comfort" in row
    ]
    return table(("scene", "switched off", "in the lane's centre", *names.values()), rows)


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


def large_frames(figures: dict[str, Any]) -> str:
    """Large frames through the live graph."""
    hops = figures["hops"]
    said = {"lane": "lane heard by a listener", "nominal": "nominal command heard", "command": "command published"}
    quantiles = ("median", "p90", "p99", "max")
    rows = [
        (said[name], f"{part['frames'] / figures['published']:.1%}", *(f"{part[key]:.1f}" for key in quantiles))
        for name, part in hops.items()
    ]
    memory = ", ".join(f"{name} {size:.0f} MB" for name, size in figures["pss_mb"].items())
    width, height = figures["size"]
    return (
        f"## Large frames\n\nReal nodes over DDS in real time; {figures['published']} frames of {width} × {height} px "
        f"at {figures['rate_hz']:.0f} Hz and the other sensors of a recorded drive from another process. From just "
        f"before a frame was published until what is named. The ladder was NORMAL in {figures['normal']:.1%} of the "
        f"ticks. Memory (PSS): {memory}.\n\n"
        f"{table(('until', 'of the frames', 'median [ms]', '90 % [ms]', '99 % [ms]', 'largest [ms]'), rows)}"
    )


def closed_form(figures: dict[str, Any]) -> str:
    """The closed form against solvers."""
    names = {
        "closed": "closed form, eq. 2",
        "fused 1": "fused Euler step, 1 per piece",
        "fused 3": "fused Euler step, 3",
        "fused 6": "fused Euler step, 6",
        "rk45": "SciPy RK45, default tolerances",
    }
    rows = [
        (
            words,
            f"{figures['errors'][name]['median']:.2g}",
            f"{figures['errors'][name]['p99']:.2g}",
            f"{figures['times'][name]['median_us'] / 1000:.1f}",
            "1" if name == "closed" else ratio(figures["times"][name], ".1f"),
        )
        for name, words in names.items()
    ]
    head = ("method", "error, median", "99 %", "time [ms], median", "times the closed form's")
    return (
        f"## Closed form and solvers\n\nThe equation of the closed-form paper, {figures['neurons']} neurons, "
        f"{figures['pieces']} pieces of constant input of 10 ms to 0.3 s, {figures['problems']} problems, "
        f"{figures['rounds']} rounds in turns, all in NumPy. Errors against the exact solution, as a share of "
        f"|x₀ − A|.\n\n{table(head, rows)}"
    )


def race(times: dict[str, dict[str, float]], names: dict[str, str]) -> str:
    """The table of calls that were timed in turns, with ``names`` in words."""
    rows = [
        (
            names.get(name, name),
            *(f"{figures[f'{kind}_us']:.0f}" for kind in ("mean", "median", "p99", "max")),
            "1" if name == "ours" else ratio(figures, ".1f"),
        )
        for name, figures in times.items()
    ]
    return table(
        ("implementation", "mean [µs]", "median [µs]", "99 % [µs]", "largest [µs]", "times ours, of medians"), rows
    )


def peers(figures: dict[str, Any]) -> str:
    """What was compared against, with versions."""
    return ", ".join(f"{name} {number}" for name, number in figures["peers"].items())


def filter_step(figures: dict[str, Any]) -> str:
    """The filter step against CVXPY."""
    names = {"ours": "tidegate, rows to report", "cvxpy": "CVXPY, parametrised, Clarabel"}
    return (
        f"## Filter step\n\nOne step of the car's filter: barrier rows, programme, check, report; {figures['states']} "
        f"random states, {figures['rounds']} rounds in turns within one process. On the {figures['compared']} states "
        f"where no row gives way the commands differ by {figures['largest_difference']:.0e} of full scale at most. "
        f"{peers(figures)}.\n\n{race(figures['times'], names)}"
    )


def qp_solve(figures: dict[str, Any]) -> str:
    """Larger programmes against CVXPY."""
    names = {"ours": "tidegate `solve_qp`", "cvxpy": "CVXPY, parametrised, Clarabel"}
    joints, many = figures["joints"], figures["many_rows"]
    return (
        f"## Larger programmes\n\n{figures['rounds']} rounds in turns within one process. {peers(figures)}.\n\n"
        f"Eight joints with limits of position and torque, 32 rows, of which {joints['pushing']:.1f} push on average: "
        f"rows from the state, solve, check; {joints['samples']} states. Torques of up to 20 N·m differ by "
        f"{joints['largest_difference']:.0e} at most.\n\n{race(joints['times'], names)}\n\n"
        f"7 variables, 400 rows, of which {many['pushing']:.1f} push: solve and check; {many['samples']} random "
        f"programmes. Solutions differ by {many['largest_difference']:.0e} at most.\n\n{race(many['times'], names)}"
    )


def point_robot(figures: dict[str, Any]) -> str:
    """The point robot against cbfpy."""
    far = ", ".join(f"{name} {value:.0e}" for name, value in figures["largest_difference"].items())
    names = {"ours": "tidegate, rows and `solve_qp`"}
    return (
        f"## Point robot\n\nThe point robot of cbfpy's demo in its cube: rows from the state, solve; ours checks the "
        f"result too. {figures['samples']} states, in {figures['intervened']} of which the filter acts; "
        f"{figures['rounds']} rounds in turns within one process. {peers(figures)}. Largest difference of the force "
        f"[N] from ours: {far}.\n\n{race(figures['times'], names)}"
    )


def qp_layer(figures: dict[str, Any]) -> str:
    """The differentiable programme against its peers."""

    def called(name: str) -> str:
        return "tidegate `qp_layer`" if name == "ours" else name

    rows = [
        (
            row["batch"],
            called(row["layer"]),
            row["threads"],
            f"{row['median_ms']:.2f}",
            "1" if row["layer"] == "ours" else ratio(row, ".1f"),
            f"{row['solution_error']:.0e}",
            f"{row['gradient_error']:.0e}",
        )
        for row in figures["table"]
    ]
    tried = [
        (
            called(row["layer"]),
            f"{row['wrong']}/{row['clear']}",
            f"{row['largest_error']:.0e}",
            f"{row['told']}/{row['infeasible']}",
            f"{row['neighbours_harmed']}/{row['infeasible']}",
        )
        for row in figures["trials"]
    ]
    head = (
        "batch",
        "layer",
        "threads",
        "forward and backward [ms], median",
        "times ours",
        "error of x",
        "of gradients",
    )
    says = ("layer", "gradients wrong", "largest error", "infeasible ones told", "neighbours harmed")
    return (
        f"## Differentiable programme\n\n{figures['size']} variables, {figures['rows']} rows, the same problems for "
        f"all, tolerance {figures['tolerance']:.0e} where it can be set; each layer at its better number of threads, "
        f"{figures['rounds']} rounds in turns. Errors are from exact solutions and gradients, where these are defined: "
        f"absolute, of gradients relative above 1. {peers(figures)}.\n\n{table(head, rows)}\n\n"
        f"{figures['problems']} problems, a tenth of them without a solution. A gradient is wrong from "
        f"{figures['wrong_from']:.0e} on. An infeasible one is told if NaN or an exception comes out, and harms its "
        f"neighbour if the other programme of a batch of two gets another answer than otherwise, or none.\n\n"
        f"{table(says, tried)}"
    )


def jitter(figures: dict[str, Any]) -> str:
    """How evenly the safety node ticks."""
    names = ("median", "p99", "p99.9", "max")
    rows = [
        (words, *(f"{figures[kind][name]:.1f}" for name in names), figures[kind]["over_limit"], figures[kind]["count"])
        for kind, words in (("ticks", "ticks, by their stamps"), ("arrivals", "arrivals of commands"))
    ]
    head = (
        "gaps between",
        "median [ms]",
        "99 % [ms]",
        "99.9 % [ms]",
        "largest [ms]",
        f"over {figures['limit_ms']:g} ms",
        "of",
    )
    policies = ", ".join(f"{name} {kind}" for name, kind in figures["policies"].items())
    return (
        f"## Jitter of the safety node\n\nThe real node as a process at {figures['rate_hz']:g} Hz in real time, its "
        f"inputs over DDS, a busy process per core, {figures['minutes']:g} minutes. Scheduling: {policies}. A "
        f"hypervisor took {figures['stolen_s']:.1f} s of processor time meanwhile. The node was in NORMAL for "
        f"{100 * figures['normal']:.0f} % of its ticks.\n\n{table(head, rows)}"
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
    "compiled_drive": compiled_drive.tell,
    "bound_coverage": coverage,
    "cliffs": cliffs.tell,
    "gains": gains.tell,
    "bring_up": bring_up.tell,
    "latency": latency,
    "large_frames": large_frames,
    "breakdown": breakdown.tell,
    "liquid_step": liquid_step.tell,
    "liquid_training": liquid_training.tell,
    "liquid_epoch": liquid_epoch.tell,
    "liquid_memory": liquid_memory.tell,
    "substeps": substeps.tell,
    "closed_form": closed_form,
    "exported": exported.tell,
    "start": start.tell,
    "emulated": emulated.tell,
    "filter_step": filter_step,
    "qp_solve": qp_solve,
    "point_robot": point_robot,
    "qp_layer": qp_layer,
    "qp_cores": qp_cores.tell,
    "jitter": jitter,
    "viewers": viewers.tell,
    "counterfactual": counterfactual.tell,
}


if __name__ == "__main__":
    main()
