# SPDX-License-Identifier: Apache-2.0
"""The liquid network: its wiring, its clock, the scales of its commands and the interval of its gains."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import SettingsError
from tidegate.settings.schema import setting

SOLVERS = ("fused_euler", "exponential_midpoint")
"""How an LTC's equation is solved over a sub-step; the first is the default."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Cell and wiring, scales between motor neurons and commands, step limits, gain interval.

    All but ``dt_max_s`` is taken from the bundle once one is loaded: the network was trained so.
    """

    cell: str = setting("ltc", "", "differential equation of the neurons", choices=("ltc", "cfc"))
    inter_neurons: int = setting(11, "1", "neurons that read the features", low=1, high=1000)
    command_neurons: int = setting(6, "1", "neurons that decide", low=1, high=1000)
    sensory_fanout: int = setting(5, "1", "inter neurons that each input reaches", low=1, high=1000)
    inter_fanout: int = setting(4, "1", "command neurons that each inter neuron reaches", low=1, high=1000)
    command_recurrent: int = setting(6, "1", "synapses among the command neurons", low=0, high=10000)
    motor_fanin: int = setting(6, "1", "command neurons that each motor neuron hears", low=1, high=1000)

    acceleration_scale: float = setting(4.0, "m/s²", "acceleration of a motor output of one", low=0.1, high=20)
    curvature_scale: float = setting(0.1, "1/m", "path curvature of a motor output of one", low=0.001, high=2)
    speed_scale: float = setting(15.0, "m/s", "speed that is one at the network's input", low=0.1, high=100)
    solver: str = setting(
        SOLVERS[0], "", "how the LTC's equation is solved over a sub-step; a CfC has no solver", choices=SOLVERS
    )
    substeps: int = setting(
        3,
        "1",
        "solver sub-steps per frame; with one per layer (of the midpoint rule, per two) a frame moves its own command",
        low=1,
        high=32,
    )
    dt_max_s: float = setting(
        0.5, "s", "a longer gap between frames, or time going back by more, resets the state", low=0.01
    )
    gain_names: tuple[str, ...] = setting(
        ("lane", "distance", "speed"), "", "barriers whose outermost gain the network sets"
    )
    gain_low: float = setting(0.5, "1/s", "smallest outermost barrier gain", low=0.01, high=50)
    gain_high: float = setting(4.0, "1/s", "largest outermost barrier gain", low=0.01, high=50)

    def __post_init__(self) -> None:
        """Refuse a solver where nothing is solved.

        Raises:
            SettingsError: of a closed form.
        """
        if self.cell == "cfc" and self.solver != SOLVERS[0]:
            raise SettingsError(
                f"'policy.solver' is '{self.solver}'; where 'policy.cell' is 'cfc' it must be {SOLVERS[0]}: "
                "a closed form has no solver"
            )
