# SPDX-License-Identifier: Apache-2.0
"""Wirings drawn at random: the neural circuit policy, and the plainer graphs that it is compared with.

The neural circuit policy (NCP; Lechner et al. 2020, Nature Machine Intelligence) has four layers, sensory → inter →
command → motor, sparse between layers, recurrent only among the command neurons. A seed draws the same wiring again.
"""

from __future__ import annotations

import numpy as np

from tidegate.errors import SettingsError
from tidegate.liquid.wiring import MOTORS, Polarity, Wiring
from tidegate.settings.policy import PolicySettings


def ncp(inputs: int, settings: PolicySettings, seed: int, motor: int = len(MOTORS)) -> Wiring:
    """Draw a neural circuit policy with ``motor`` motor neurons: one per command of the car.

    Each source picks ``fanout`` targets at random; a neuron that nobody picked then gets as many synapses as its
    layer has on average, and a command neuron that no motor heard is given one.

    Raises:
        SettingsError: a fan-out or fan-in is larger than the layer it chooses from.
    """
    inter, command = settings.inter_neurons, settings.command_neurons
    for name, value, most in (
        ("sensory_fanout", settings.sensory_fanout, inter),
        ("inter_fanout", settings.inter_fanout, command),
        ("command_recurrent", settings.command_recurrent, command**2),
        ("motor_fanin", settings.motor_fanin, command),
    ):
        if value > most:
            raise SettingsError(f"'policy.{name}' is {value}; with these layer sizes it must be at most {most}")
    random = np.random.default_rng(seed)
    wiring = _unwired(inputs, inter, command, motor)
    inters, commands, motors = wiring.layers
    _fan_out(wiring.sensory[:, inters], settings.sensory_fanout, random)
    _fan_out(wiring.recurrent[inters, commands], settings.inter_fanout, random)
    among = wiring.recurrent[commands, commands]
    chosen = random.choice(command**2, settings.command_recurrent, replace=False)
    among[np.unravel_index(chosen, among.shape)] = _signs(len(chosen), random)
    _fan_out(wiring.recurrent[commands, motors].T, settings.motor_fanin, random)
    return wiring


def auto_ncp(inputs: int, neurons: int, motor: int, seed: int, sparsity: float = 0.5) -> Wiring:
    """A neural circuit policy by its size alone, with the proportions of ``AutoNCP`` of the public package.

    Args:
        inputs, neurons, motor: their numbers; 40 % of the neurons that are not motor neurons are command neurons.
        seed: draws the synapses.
        sparsity: share of the possible synapses between two layers that is left out.

    Raises:
        SettingsError: too few neurons for three layers, or a share outside 0 to 1.
    """
    _see_share(sparsity)
    if not 1 <= motor <= neurons - 2:
        raise SettingsError(f"{motor} motor neurons of {neurons}: at least 1, and 2 must be left for the other layers")
    command = max(1, int(0.4 * (neurons - motor)))
    inter = neurons - motor - command

    def kept(possible: int) -> int:
        return max(1, int(possible * (1 - sparsity)))

    sizes = PolicySettings(
        inter_neurons=inter,
        command_neurons=command,
        sensory_fanout=kept(inter),
        inter_fanout=kept(command),
        command_recurrent=min(kept(2 * command), command**2),
        motor_fanin=kept(command),
    )
    return ncp(inputs, sizes, seed, motor)


def fully_connected(inputs: int, neurons: int, motor: int, seed: int) -> Wiring:
    """Every synapse there is; ``motor`` of the neurons are motor neurons, the others inter neurons.

    Raises:
        SettingsError: not 1 to ``neurons`` motor neurons.
    """
    return random_sparse(inputs, neurons, motor, seed, 0.0)


def random_sparse(inputs: int, neurons: int, motor: int, seed: int, sparsity: float) -> Wiring:
    """A graph without layers, a share ``sparsity`` of its possible synapses left out at random.

    A neuron that no input reaches is then given a synapse from one, and a neuron that reaches no motor neuron one to
    a motor neuron.

    Raises:
        SettingsError: not 1 to ``neurons`` motor neurons, or a share outside 0 to 1.
    """
    _see_share(sparsity)
    if not 1 <= motor <= neurons:
        raise SettingsError(f"{motor} motor neurons of {neurons}: must be 1 to {neurons}")
    random = np.random.default_rng(seed)
    wiring = _unwired(inputs, neurons - motor, 0, motor)
    for adjacency in (wiring.sensory, wiring.recurrent):
        count = round(adjacency.size * (1 - sparsity))
        adjacency.flat[random.choice(adjacency.size, count, replace=False)] = _signs(count, random)
    for missed in np.flatnonzero(~wiring.reached()):
        wiring.sensory[random.integers(inputs), missed] = _signs(1, random)[0]
    for missed in np.flatnonzero(~wiring.leading()):
        wiring.recurrent[missed, random.integers(neurons - motor, neurons)] = _signs(1, random)[0]
    return wiring


def _see_share(sparsity: float) -> None:
    if not 0 <= sparsity <= 1:
        raise SettingsError(f"sparsity {sparsity}: is a share, 0 to 1")


def _unwired(inputs: int, inter: int, command: int, motor: int) -> Wiring:
    neurons = inter + command + motor
    return Wiring(inter, command, motor, np.zeros((inputs, neurons), np.int8), np.zeros((neurons, neurons), np.int8))


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
