# SPDX-License-Identifier: Apache-2.0
"""The embedded world: physics step, sensor noise, what the actuator sink does when commands stop."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Physics and the simulated hardware."""

    physics_step_s: float = setting(
        0.0025, "s", "integration step; the safety period is a multiple", low=1e-4, high=0.01
    )
    command_timeout_s: float = setting(0.03, "s", "the actuator sink brakes by itself when no command came", low=0.01)
    gyro_noise: float = setting(0.002, "rad/s", "standard deviation of one angular velocity sample", low=0, high=1)
    gyro_bias: float = setting(0.001, "rad/s", "standard deviation of its constant error, by seed", low=0, high=1)
    accelerometer_noise: float = setting(0.05, "m/s²", "standard deviation of one acceleration sample", low=0, high=5)
    wheel_speed_noise: float = setting(0.02, "rad/s", "standard deviation of one joint velocity sample", low=0, high=5)
    encoder_noise: float = setting(0.0003, "rad", "standard deviation of one steering angle sample", low=0, high=0.1)
    odometry_scale: float = setting(
        0.004, "1", "standard deviation of the wheel radius error of the odometry, by seed", low=0, high=0.1
    )
