# SPDX-License-Identifier: Apache-2.0
"""Neural circuit policy: who is wired to whom, and with which sign (Lechner et al. 2020, Nature Machine Intelligence).

Four layers, sensory → inter → command → motor, sparse between layers, recurrent only among the command neurons.
Neurons are numbered inter first, then command, then motor; sensory inputs have numbers of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import SettingsError
from tidegate.settings.policy import PolicySettings

MOTORS = ("acceleration", "curvature")

Polarity = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """A circuit of N = inter + command + motor neurons with I inputs.

    Attributes:
        sensory: (I, N), +1 excitatory, −1 inhibitory, 0 no synapse, from input i to neuron j.
        recurrent: (N, N), the same from neuron i to neuron j.
    """

    inter: int
    command: int
    motor: int
    sensory: Polarity
    recurrent: Polarity

    @property
    def inputs(self) -> int:
        """Number of sensory inputs I."""
        return int(self.sensory.shape[0])

    @property
    def neurons(self) -> int:
        """Number of neurons N."""
        return self.inter + self.command + self.motor

    @property
    def synapses(self) -> int:
        """Synapses that exist, sensory ones included."""
        return int(np.count_nonzero(self.sensory) + np.count_nonzero(self.recurrent))

    @property
    def layers(self) -> tuple[slice, slice, slice]:
        """Numbers of the inter, command and motor neurons."""
        decided = self.inter + self.command
        return slice(0, self.inter), slice(self.inter, decided), slice(decided, self.neurons)

    def edges(self, adjacency: Polarity) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Sources (E,), targets (E,) and polarities (E,) of the synapses in ``sensory`` or ``recurrent``."""
        source, target = np.nonzero(adjacency)
        return source, target, adjacency[source, target].astype(np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: layer sizes and one ``[source, target, polarity]`` per synapse."""
        listed = {
            name: [[int(s), int(t), int(p)] for s, t, p in zip(*self.edges(adjacency), strict=True)]
            for name, adjacency in (("sensory", self.sensory), ("recurrent", self.recurrent))
        }
        sizes = {"inputs": self.inputs, "inter": self.inter, "command": self.command, "motor": self.motor}
        return {**sizes, **listed}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Wiring:
        """Undo ``to_dict``.

        Raises:
            KeyError, ValueError, IndexError, TypeError: ``values`` is no wiring.
        """
        inputs, inter, command, motor = (int(values[name]) for name in ("inputs", "inter", "command", "motor"))
        neurons = inter + command + motor
        sensory = np.zeros((inputs, neurons), np.int8)
        recurrent = np.zeros((neurons, neurons), np.int8)
        for adjacency, name in ((sensory, "sensory"), (recurrent, "recurrent")):
            for source, target, polarity in values[name]:
                if polarity not in (-1, 1) or source < 0 or target < 0:
                    raise ValueError(f"{name} synapse {[source, target, polarity]} is none")
                adjacency[source, target] = polarity
        return cls(inter, command, motor, sensory, recurrent)


def ncp(inputs: int, settings: PolicySettings, seed: int) -> Wiring:
    """Draw a neural circuit policy with one motor neuron per command (``MOTORS``).

    Each source picks ``fanout`` targets at random; a neuron that nobody picked then gets as many synapses as its
    layer has on average, and a command neuron that no motor heard is given one.

    Raises:
        SettingsError: a fan-out or fan-in is larger than the layer it chooses from.
    """
    inter, command, motor = settings.inter_neurons, settings.command_neurons, len(MOTORS)
    for name, value, most in (
        ("sensory_fanout", settings.sensory_fanout, inter),
        ("inter_fanout", settings.inter_fanout, command),
        ("command_recurrent", settings.command_recurrent, command**2),
        ("motor_fanin", settings.motor_fanin, command),
    ):
        if value > most:
            raise SettingsError(f"'policy.{name}' is {value}; with these layer sizes it must be at most {most}")
    random = np.random.default_rng(seed)
    wiring = Wiring(
        inter,
        command,
        motor,
        np.zeros((inputs, inter + command + motor), np.int8),
        np.zeros((inter + command + motor,) * 2, np.int8),
    )
    inters, commands, motors = wiring.layers
    _fan_out(wiring.sensory[:, inters], settings.sensory_fanout, random)
    _fan_out(wiring.recurrent[inters, commands], settings.inter_fanout, random)
    among = wiring.recurrent[commands, commands]
    chosen = random.choice(command**2, settings.command_recurrent, replace=False)
    among[np.unravel_index(chosen, among.shape)] = _signs(len(chosen), random)
    _fan_out(wiring.recurrent[commands, motors].T, settings.motor_fanin, random)
    return wiring


def _signs(count: int, random: np.random.Generator) -> Polarity:
    return random.choice(np.array([-1, 1], np.int8), count)


def _fan_out(block: Polarity, fanout: int, random: np.random.Generator) -> None:
    """Fill ``block`` (sources, targets) in place: ``fanout`` targets per row, then no column left empty."""
    sources, targets = block.shape
    for row in block:
        row[random.choice(targets, fanout, replace=False)] = _signs(fanout, random)
    average = min(sources, max(1, round(sources * fanout / targets)))
    for target in np.flatnonzero(~block.any(axis=0)):
        block[random.choice(sources, average, replace=False), target] = _signs(average, random)
