# SPDX-License-Identifier: Apache-2.0
"""All benchmarks one after the other, then docs/results.md: what `make bench` runs."""

from __future__ import annotations

import arm_step
import bound_coverage
import breakdown
import bring_up
import cliffs
import closed_form
import closed_loop
import compiled_drive
import counterfactual
import emulated
import exported
import filter_step
import gains
import jitter
import large_frames
import latency
import liquid_epoch
import liquid_memory
import liquid_step
import liquid_training
import point_robot
import qp_cores
import qp_layer
import qp_solve
import results
import start
import substeps
import viewers


def main() -> None:
    """Run everything with its defaults."""
    liquid_step.main([])
    liquid_training.main([])
    liquid_epoch.main([])
    liquid_memory.main([])
    substeps.main([])
    closed_form.main([])
    exported.main([])
    start.main([])
    emulated.main([])
    filter_step.main([])
    arm_step.main([])
    qp_solve.main([])
    point_robot.main([])
    qp_layer.main([])
    qp_cores.main([])
    bring_up.main([])
    latency.main([])
    large_frames.main([])
    breakdown.main([])
    closed_loop.main([])
    compiled_drive.main([])
    bound_coverage.main([])
    cliffs.main([])
    gains.main([])
    counterfactual.main([])
    viewers.main([])
    jitter.main([])  # last: it leaves this process in real time
    results.main()


if __name__ == "__main__":
    main()
