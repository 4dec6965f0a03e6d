# SPDX-License-Identifier: Apache-2.0
"""A network with a neuron silenced or a synapse cut, as a bundle like any other.

A lesion takes synapses out of the wiring, with their parameters, and nothing else: whoever drives with the bundle, or
draws it, sees the circuit that is left. A cut synapse gives no current and no conductance. A silenced neuron loses
every synapse that leaves it, and what is read from it: nobody hears it. For a command neuron that is its weight in the
barrier gains; for a motor neuron its weight in the command, of which the read-out's constant is left.

Why not hold its state at the leak potential V instead? A synapse opens by σ(γ(x − μ)), which is not zero at V: a held
neuron goes on pushing others by a constant that training never saw by itself, and a closed form has no V. Taken out, it
gives nothing, in both cells, and "all its synapses are cut" is then the same as "it is silenced". The price: what the
neuron gave on average is gone as well, so a lesion tells how much the others rely on it, not how much news it carries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid.live import closed_form_reads
from tidegate.liquid.wiring import Wiring, input_names, neuron_names


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """What is taken out: ``cut`` (I + N, N), synapses from inputs and neurons; ``unread`` (N,), neurons."""

    cut: NDArray[np.bool_]
    unread: NDArray[np.bool_]


def neuron_lesions(wiring: Wiring) -> dict[str, Lesion]:
    """Each neuron of a policy silenced, by its name."""
    existing, made = _synapses(wiring), {}
    for index, name in enumerate(neuron_names(wiring)):
        cut, unread = np.zeros_like(existing), np.zeros(wiring.neurons, bool)
        cut[wiring.inputs + index] = existing[wiring.inputs + index]
        unread[index] = True
        made[name] = Lesion(cut, unread)
    return made


def synapse_lesions(wiring: Wiring) -> dict[str, Lesion]:
    """Each synapse of a policy cut, by its name, such as ``inter 3 > command 1``."""
    existing, made = _synapses(wiring), {}
    sources, targets = [*input_names(wiring), *neuron_names(wiring)], neuron_names(wiring)
    for source, target in np.argwhere(existing):
        cut = np.zeros_like(existing)
        cut[source, target] = True
        made[f"{sources[source]} > {targets[target]}"] = Lesion(cut, np.zeros(wiring.neurons, bool))
    return made


def lesioned(bundle: Bundle, lesion: Lesion) -> Bundle:
    """The ``bundle`` without what the ``lesion`` takes out.

    Raises:
        BundleError: its time branches are dense, so that neurons hear others without a synapse; or its arrays do not
            fit its wiring.
    """
    try:
        wiring = Wiring.from_dict(bundle.wiring)
        if wiring.dense_time:
            raise BundleError(f"bundle '{bundle.name}': its time branches are dense; cutting synapses silences nobody")
        sensors, arrays = wiring.inputs, dict(bundle.arrays)
        left = replace(
            wiring,
            sensory=np.where(lesion.cut[:sensors], 0, wiring.sensory).astype(np.int8),
            recurrent=np.where(lesion.cut[sensors:], 0, wiring.recurrent).astype(np.int8),
        )
        if bundle.policy.cell == "cfc":
            own = np.eye(wiring.neurons, dtype=bool)  # a neuron's memory is no synapse
            kept = ~np.concatenate([lesion.cut[:sensors], lesion.cut[sensors:] & ~own])
            arrays["liquid.cell.weight"] = arrays["liquid.cell.weight"][:, kept[closed_form_reads(wiring)]]
        else:
            for name, cut in (("sensory", lesion.cut[:sensors]), ("recurrent", lesion.cut[sensors:])):
                there = ~cut[np.nonzero(getattr(wiring, name))]
                prefix = f"liquid.cell.{name}."
                arrays |= {key: value[there] for key, value in arrays.items() if key.startswith(prefix)}
        _, command, motor = wiring.layers
        for name, layer in (("liquid.gain_weight", command), ("liquid.output_weight", motor)):
            arrays[name] = arrays[name].copy()
            arrays[name][lesion.unread[layer]] = 0.0
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise BundleError(f"bundle '{bundle.name}': its network is corrupt ({error})") from error
    return replace(bundle, wiring=left.to_dict(), arrays=arrays)


def _synapses(wiring: Wiring) -> NDArray[np.bool_]:
    """(I + N, N) whether there is a synapse."""
    existing: NDArray[np.bool_] = np.concatenate([wiring.sensory, wiring.recurrent]) != 0
    return existing
