# SPDX-License-Identifier: Apache-2.0
"""Who is wired to whom, and with which sign.

Neurons are numbered inter first, then command, then motor; sensory inputs have numbers of their own. A layer may be
empty: a fully connected network has motor and inter neurons only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import SettingsError
from tidegate.security.parse import read_yaml

MOTORS = ("acceleration", "curvature")
TOOL_MOTORS = ("x", "y", "z", "press")
"""Of an arm: where its tool is drawn to from where it is, and the share of the wanted force that it presses with."""
TOOL_HEARS = (
    *("goal x", "goal y", "goal z", "extent", "obstacle x", "obstacle y", "obstacle z"),
    *("goal's speed x", "goal's speed y", "goal's speed z"),
    *("obstacle's speed x", "obstacle's speed y", "obstacle's speed z"),
    *("speed x", "speed y", "speed z", "force", "wanted force", "height"),
)
"""What an arm's policy hears: goal and obstacle as seen from its tool, how far they moved since the picture before,
and what it senses (``tool_policy.heard``)."""
LARGEST = 4096
"""Neurons of a layer, or inputs: a file is not believed that it needs gigabytes."""

Polarity = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """A circuit of N = inter + command + motor neurons with I inputs.

    Attributes:
        sensory: (I, N), +1 excitatory, −1 inhibitory, 0 no synapse, from input i to neuron j.
        recurrent: (N, N), the same from neuron i to neuron j.
        dense_time: the time branches of a closed form hear every neuron of their layer and all that the layer before
            tells, wired or not. Only networks that were trained so in ``ncps`` need it; for an LTC it means nothing.
    """

    inter: int
    command: int
    motor: int
    sensory: Polarity
    recurrent: Polarity
    dense_time: bool = False

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

    @property
    def sizes(self) -> dict[str, int]:
        """Neurons by layer, in the order of the state."""
        return {"inter": self.inter, "command": self.command, "motor": self.motor}

    def edges(self, adjacency: Polarity) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Sources (E,), targets (E,) and polarities (E,) of the synapses in ``sensory`` or ``recurrent``."""
        source, target = np.nonzero(adjacency)
        return source, target, adjacency[source, target].astype(np.float64)

    def check(self) -> None:
        """See that no neuron is left out.

        Raises:
            SettingsError: naming the neurons that no input reaches and those that reach no motor neuron.
        """
        deaf, mute = np.flatnonzero(~self.reached()), np.flatnonzero(~self.leading())
        if len(deaf) or len(mute):
            raise SettingsError(
                f"wiring of {self.neurons} neurons: no input reaches neurons {deaf.tolist()}, and neurons"
                f" {mute.tolist()} reach no motor neuron; both lists must be empty"
            )

    def reached(self) -> NDArray[np.bool_]:
        """(N,) whether a path leads there from an input."""
        return _closure(self.sensory.any(axis=0), self.recurrent)

    def leading(self) -> NDArray[np.bool_]:
        """(N,) whether a path leads from there to a motor neuron, which itself counts."""
        return _closure(np.arange(self.neurons) >= self.layers[2].start, self.recurrent.T)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: layer sizes and one ``[source, target, polarity]`` per synapse."""
        listed = {
            name: [[int(s), int(t), int(p)] for s, t, p in zip(*self.edges(adjacency), strict=True)]
            for name, adjacency in (("sensory", self.sensory), ("recurrent", self.recurrent))
        }
        sizes = {"inputs": self.inputs, **self.sizes}
        marked = {"dense_time": True} if self.dense_time else {}
        return {**sizes, **marked, **listed}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Wiring:
        """Undo ``to_dict``.

        Raises:
            KeyError, ValueError, IndexError, TypeError: ``values`` is no wiring.
        """
        sizes = [values[name] for name in ("inputs", "inter", "command", "motor")]
        if not all(type(size) is int and 0 <= size <= LARGEST for size in sizes):
            raise ValueError(f"its sizes are {sizes}; each must be a whole number from 0 to {LARGEST}")
        inputs, inter, command, motor = sizes
        neurons = inter + command + motor
        sensory = np.zeros((inputs, neurons), np.int8)
        recurrent = np.zeros((neurons, neurons), np.int8)
        for adjacency, name in ((sensory, "sensory"), (recurrent, "recurrent")):
            for source, target, polarity in values[name]:
                if polarity not in (-1, 1) or source < 0 or target < 0:
                    raise ValueError(f"{name} synapse {[source, target, polarity]} is none")
                if adjacency[source, target]:
                    raise ValueError(f"{name} synapse {[source, target, polarity]} is there twice")
                adjacency[source, target] = polarity
        return cls(inter, command, motor, sensory, recurrent, bool(values.get("dense_time", False)))


def motor_names(wiring: Wiring) -> tuple[str, ...]:
    """What a policy's motor neurons ask for: their number tells a car's from an arm's."""
    return TOOL_MOTORS if wiring.motor == len(TOOL_MOTORS) else MOTORS


def input_names(wiring: Wiring) -> list[str]:
    """What a policy hears, in the order of its inputs: features of the picture, and last the speed; an arm's:
    ``TOOL_HEARS``."""
    if motor_names(wiring) is TOOL_MOTORS and wiring.inputs == len(TOOL_HEARS):
        return list(TOOL_HEARS)
    return [*(f"feature {index}" for index in range(wiring.inputs - 1)), "speed"]


def neuron_names(wiring: Wiring) -> list[str]:
    """Names of a policy's neurons in the order of the state vector; the motor neurons are called by their command."""
    inter = [f"inter {index}" for index in range(wiring.inter)]
    return [*inter, *(f"command {index}" for index in range(wiring.command)), *motor_names(wiring)]


def load_wiring(path: str | Path) -> Wiring:
    """Read a wiring that was written by hand or saved: YAML (or JSON) of what ``Wiring.to_dict`` gives.

    Raises:
        SettingsError: the file cannot be read, is no wiring, or leaves neurons out.
    """
    try:
        wiring = Wiring.from_dict(read_yaml(Path(path)))
        wiring.check()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    except KeyError as error:
        raise SettingsError(
            f"{path}: has no {error}; a wiring has inputs, inter, command, motor, and sensory and recurrent synapses"
            " [source, target, 1 or -1]"
        ) from error
    except (ValueError, IndexError, TypeError) as error:
        raise SettingsError(f"{path}: is no wiring: {' '.join(str(error).split())}") from error
    return wiring


def _closure(start: NDArray[np.bool_], adjacency: Polarity) -> NDArray[np.bool_]:
    """All that ``start`` (N,) leads to along ``adjacency`` (N, N), itself included."""
    found = start
    while True:
        more = found | (adjacency[found] != 0).any(axis=0)
        if (more == found).all():
            return found
        found = more
