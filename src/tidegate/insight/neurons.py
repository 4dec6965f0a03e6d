# SPDX-License-Identifier: Apache-2.0
"""What the neurons of a policy do on watched drives: activity, time constants, currents, what they tell, and how few
dimensions they move in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.evaluation.circuit import KNOWN, Circuit
from tidegate.insight import charts, neuron_charts
from tidegate.insight.encoding import EVERY, SHIFTS, Encoding, components, encoding
from tidegate.insight.page import Section, table
from tidegate.liquid.currents import Currents, currents
from tidegate.liquid.drawing import Activity, draw_policy
from tidegate.liquid.wiring import Wiring, neuron_names
from tidegate.records import NANOSECONDS, Floats

COMMANDS = ("path curvature [1/m]", "acceleration [m/s²]")
PERCENTILES = (5, 50, 95)
"""Of a neuron's time constants, that are told."""
SHOWN = 12
"""Synapses whose currents are shown."""
SETTLED_S = 2.0
"""The neurons start at zero: what they do before this time [s] tells of that."""


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What was found. ``shown`` is the drive that charts show, the last of those held out; ``flow`` its currents, None
    where the cell has none. ``shares``: of the components on fitted and held-out drives; ``correlation`` (N, 2) of each
    neuron with ``COMMANDS`` on the held-out drives. ``drives`` and ``frames``: fitted and held out.
    """

    wiring: Wiring
    shown: Circuit
    flow: Currents | None
    encoded: Encoding
    shares: tuple[Floats, Floats]
    correlation: Floats
    drives: tuple[int, int]
    frames: tuple[int, int]

    def as_dict(self) -> dict[str, Any]:
        """All figures as plain values."""
        names = neuron_names(self.wiring)
        told = {
            name: {
                known: {
                    "bits": float(self.encoded.held_out[row, column]),
                    "baseline_bits": float(self.encoded.baseline[row, column]),
                    "bits_fitted": float(self.encoded.fitted[row, column]),
                }
                for column, known in enumerate(KNOWN)
            }
            for row, name in enumerate(names)
        }
        best = [KNOWN[at] if at >= 0 else None for at in self.encoded.best]
        return {
            "drives_fitted": self.drives[0],
            "drives_held_out": self.drives[1],
            "frames_fitted": self.frames[0],
            "frames_held_out": self.frames[1],
            "information": told,
            "tells_most_of": dict(zip(names, best, strict=True)),
            "correlation": {
                name: dict(zip(COMMANDS, map(float, row), strict=True))
                for name, row in zip(names, self.correlation, strict=True)
            },
            "one_frame_in": EVERY,
            "encoding": self.encoded.summary,
            "hidden_neurons": self.wiring.layers[2].start,
            "component_shares_fitted": [float(share) for share in self.shares[0]],
            "component_shares_held_out": [float(share) for share in self.shares[1]],
            "component_shares_held_out_up_to": [float(share) for share in np.cumsum(self.shares[1])],
            **({} if self.flow is None else self._of_currents(self.flow, names)),
        }

    def _of_currents(self, flow: Currents, names: Sequence[str]) -> dict[str, Any]:
        """What a cell with time constants has besides."""
        size, constants = np.abs(flow.current).mean(axis=0), time_constants(flow)
        at, time = sharpest(self.shown)
        return {
            "time_constants_percentiles": PERCENTILES,
            "time_constants_s": dict(zip(names, constants, strict=True)),
            "time_constants_range": {name: row[2] / row[0] for name, row in zip(names, constants, strict=True)},
            "mean_absolute_currents": dict(zip(flow.synapses, map(float, size), strict=True)),
            "synapses_shown": min(SHOWN, len(size)),
            "synapses": len(size),
            "share_of_those_shown": float(np.sort(size)[-SHOWN:].sum() / size.sum()),
            "sharpest_bend": {"time_s": time, "curvature_1_m": float(self.shown.command[at, 0])},
        }


def study(bundle: Bundle, circuits: Sequence[Circuit], held_out: int, shifts: int = SHIFTS) -> Study:
    """Study the neurons of ``bundle`` on drives of it, the last ``held_out`` of which nothing is chosen on.

    The first ``SETTLED_S`` of each drive are left out; ``shifts`` as in ``encoding``.

    Raises:
        ValueError: no drives of one kind.
    """
    settled = [one.after(SETTLED_S) for one in circuits]
    fitted, others = settled[: len(settled) - held_out], settled[len(settled) - held_out :]
    wiring, shown = Wiring.from_dict(bundle.wiring), others[-1]
    return Study(
        wiring=wiring,
        shown=shown,
        flow=currents(bundle, shown.features, shown.speed, shown.neurons) if bundle.policy.cell == "ltc" else None,
        encoded=encoding(fitted, others, shifts),
        shares=components(fitted, others, wiring.layers[2].start),
        correlation=_correlation(others),
        drives=(len(fitted), len(others)),
        frames=(sum(len(one.stamp) for one in fitted), sum(len(one.stamp) for one in others)),
    )


def _correlation(circuits: Sequence[Circuit]) -> Floats:
    """(N, 2) of neurons and commands; zero where one never changes."""
    states = np.concatenate([one.neurons for one in circuits]).astype(np.float64)
    command = np.concatenate([one.command for one in circuits])
    states, command = states - states.mean(axis=0), command - command.mean(axis=0)
    scale = np.outer(np.linalg.norm(states, axis=0), np.linalg.norm(command, axis=0))
    made: Floats = np.divide(states.T @ command, scale, out=np.zeros_like(scale), where=scale > 0)
    return made


def neuron_sections(found: Study) -> list[Section]:
    """The study as parts of a page."""
    made = [_activity(found), _phase(found), _encoding(found), _components(found)]
    if found.flow is not None:
        made += [_time_constants(found, found.flow), _currents(found, found.flow), _moment(found, found.flow)]
    return made


def _activity(found: Study) -> Section:
    note = (
        "State of every neuron along a watched drive, painted on its way: dark is its least there, bright its largest. "
        "The dot is the start."
    )
    state = found.shown.neurons.astype(np.float64)
    body = neuron_charts.on_the_map(found.shown.position, state, neuron_names(found.wiring))
    return Section("Neurons on the map", note, body)


def _phase(found: Study) -> Section:
    hidden = found.wiring.layers[2].start
    names, state = neuron_names(found.wiring)[:hidden], found.shown.neurons[:, :hidden].astype(np.float64)
    body = ""
    for column, command in enumerate(COMMANDS):
        titles = [f"r {value:+.2f}" for value in found.correlation[:hidden, column]]
        body += neuron_charts.phase_portraits(state, found.shown.command[:, column], names, titles, command)
    note = (
        "Each neuron against the command that the network asks for. r: correlation over the held-out drives "
        f"({found.drives[1]}). A line is a neuron that the command goes with, a cloud one that it does not; neither "
        "says which causes which."
    )
    return Section("Phase portraits", note, body)


def _encoding(found: Study) -> Section:
    encoded, told, best = found.encoded, found.encoded.told, found.encoded.best
    summary = encoded.summary
    note = (
        f"Mutual information in bits on held-out drives ({found.drives[1]}; one frame in {EVERY}). Grey: no more than "
        f"the largest of {encoded.shifts} pairs that were shifted against each other in time; of {summary['fields']} "
        f"fields {summary['by_chance']:.0f} would exceed theirs by chance, {summary['exceeding']} do. What a neuron "
        f"tells most of was chosen on the other drives ({found.drives[0]}) and exceeds its baseline here for "
        f"{summary['confirmed']} of {summary['chosen']} neurons. "
        "The quantities go together (a bend is slow), so one may stand in for another."
    )
    names = neuron_names(found.wiring)
    rows = [
        (
            name,
            KNOWN[at].split(" [")[0] if at >= 0 else "–",
            f"{found.encoded.held_out[row, at]:.2f}" if at >= 0 else "–",
            f"{found.encoded.baseline[row, at]:.2f}" if at >= 0 else "–",
        )
        for row, (name, at) in enumerate(zip(names, best, strict=True))
    ]
    body = neuron_charts.encoding_heat(found.encoded.held_out, told, names, KNOWN)
    body += table(("neuron", "tells most of", "bits, held out", "baseline"), rows)
    return Section("What the neurons tell", note, body)


def _components(found: Study) -> Section:
    fitted, held_out = found.shares
    rows = [
        (str(place + 1), f"{one:.1%}", f"{other:.1%}", f"{held_out[: place + 1].sum():.1%}")
        for place, (one, other) in enumerate(zip(fitted[:6], held_out[:6], strict=True))
    ]
    note = (
        f"Principal components of the {found.wiring.layers[2].start} inter and command neurons; the motor neurons, "
        f"which are the command, are left out. The first carries {fitted[0]:.0%} of the variance of the drives that it "
        f"was fitted to ({found.drives[0]}) and {held_out[0]:.0%} of the others ({found.drives[1]})."
    )
    head = ("component", "fitted", "held out", "up to here, held out")
    return Section("How many dimensions", note, table(head, rows))


def _time_constants(found: Study, flow: Currents) -> Section:
    names = neuron_names(found.wiring)
    note = (
        "τ = C / (leak + conductance of all open synapses): how fast a neuron follows at this place. It changes with "
        "the input; that is what makes the network liquid."
    )
    rows = [
        (name, *(f"{one:.3f}" for one in row), f"{row[2] / row[0]:.2f}")
        for name, row in zip(names, time_constants(flow), strict=True)
    ]
    body = neuron_charts.on_the_map(found.shown.position, flow.time_constant, names, " s")
    head = ("neuron", "τ 5 % [s]", "median [s]", "95 % [s]", "95 % / 5 %")
    return Section("Time constants", note, body + table(head, rows))


def time_constants(flow: Currents) -> list[list[float]]:
    """5 %, median and 95 % of each neuron's [s]."""
    return [[float(one) for one in np.percentile(row, PERCENTILES)] for row in flow.time_constant.T]


def sharpest(shown: Circuit) -> tuple[int, float]:
    """Where in a drive the network asks for its sharpest bend: the frame, and its time [s]."""
    at = int(np.abs(shown.command[:, 0]).argmax())
    return at, float(SETTLED_S + (shown.stamp[at] - shown.stamp[0]) / NANOSECONDS)


def _currents(found: Study, flow: Currents) -> Section:
    size = np.abs(flow.current).mean(axis=0)
    chosen = np.argsort(-size)[:SHOWN]
    time = SETTLED_S + (found.shown.stamp - found.shown.stamp[0]) / NANOSECONDS
    body = charts.heat(time, flow.current[:, chosen], [flow.synapses[one] for one in chosen], label="current")
    share = size[chosen].sum() / size.sum()
    note = (
        f"The {len(chosen)} synapses with the largest current on average, of {len(size)}; they carry {share:.0%} of "
        "the sum. Red pushes the neuron up, blue down. A large current that never changes tells nothing."
    )
    return Section("Synaptic currents", note, body)


def _moment(found: Study, flow: Currents) -> Section:
    at, when = sharpest(found.shown)
    wanted = found.shown.command[at, 0]
    targets = np.concatenate([found.wiring.edges(one)[1] for one in (found.wiring.sensory, found.wiring.recurrent)])
    most = np.zeros(found.wiring.neurons)
    np.maximum.at(most, targets, np.abs(flow.current).max(axis=0))
    activity = Activity(_share(flow.inputs)[at], _share(found.shown.neurons)[at], flow.current[at] / most[targets])
    note = (
        f"{when:.1f} s into the drive, where the network asks for its sharpest bend of the drive "
        f"({wanted:+.3f} 1/m, left positive). Red is above zero or pushes up, blue below or down: inputs and neurons "
        "as a share of their own largest in the drive, currents of the largest into the same neuron."
    )
    return Section("The wiring at work", note, draw_policy(found.wiring, "", activity))


def _share(values: NDArray[np.floating[Any]]) -> Floats:
    """Columns of (T, N) over their largest absolute value."""
    made: Floats = values / np.maximum(np.abs(values).max(axis=0), 1e-12)
    return made
