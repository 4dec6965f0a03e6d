# SPDX-License-Identifier: Apache-2.0
"""The safety filter: its rate, the rungs of the ladder with their times, and the parameters of each barrier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.settings.barriers import BarrierParameters, build_barriers
from tidegate.settings.schema import named, setting


@dataclass(frozen=True, slots=True)
class LadderSettings:
    """What the backup manoeuvre does and when the car counts as standing."""

    stop_deceleration: float = setting(
        2.5,
        "m/s²",
        "deceleration of STOPPING while nothing is near and the trusted lane is long enough",
        low=0.5,
        high=8,
    )
    blind_deceleration: float = setting(
        5.0,
        "m/s²",
        "deceleration of HOLD and STOPPING while the camera is out; never more than brake_guaranteed",
        low=0.5,
        high=8,
    )
    hold_deceleration: float = setting(2.0, "m/s²", "brake request that holds the standing car", low=1, high=8)
    standstill_speed: float = setting(0.1, "m/s", "slower than this is standing", low=0.001, high=1)
    standstill_s: float = setting(0.2, "s", "how long the car must stand before STOPPED", low=0, high=5)
    roll_back_m: float = setting(0.15, "m", "a car that has rolled farther back than this is stopped", low=0.02, high=5)
    blind_stop_s: float = setting(
        6.0, "s", "STOPPING without any speed measurement counts as STOPPED after this time", low=1, high=60
    )
    lane_reserve_m: float = setting(3.0, "m", "STOPPING ends this far before the trusted lane's end", low=0, high=30)
    steer_preview_s: float = setting(0.1, "s", "HOLD and STOPPING steer by the lane this time ahead", low=0, high=1)
    steer_length_m: float = setting(5.0, "m", "shortest length over which HOLD and STOPPING close an offset", low=1)
    steer_length_s: float = setting(0.8, "s", "the same length per m/s of speed", low=0.1, high=5)


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """The lane corridor and how long a lane estimate is trusted."""

    half_width: float = setting(
        1.675, "m", "from the lane's centre to the edge that wheels must not cross", low=0.5, high=10
    )
    bound_cap: float = setting(
        0.35, "m", "largest error bound that narrows the corridor; a larger bound is not covered", low=0, high=2
    )
    heading_cap: float = setting(
        0.02, "rad", "largest error bound of the camera's heading that the lane row counts", low=0, high=0.5
    )
    curvature_cap: float = setting(
        0.004, "1/m", "largest error bound of the curvature that lane and curve count", low=0, high=0.1
    )
    bound_trusted: float = setting(
        1.0,
        "m",
        "an offset whose error bound is larger is not used; the camera then counts as out",
        low=0.05,
        high=10,
        live="lower",
    )
    sight_cap: float = setting(
        0.002, "1/m", "largest error bound of the curvature that sight counts along a stop", low=0, high=0.1
    )
    unsure_speed: float = setting(6.0, "m/s", "sight never slows the car below this", low=1, high=100, live="lower")
    inner_gain: float = setting(1.5, "1/s", "p1 of the lane row, a constant of the robot", low=0.1, high=20)
    crawl_speed: float = setting(1.0, "m/s", "below this speed the lane row has no authority: off", low=0.1)
    lag_s: float = setting(0.05, "s", "steering lag over which the lane state is predicted forward", low=0, high=0.5)
    curvature_slope: float = setting(
        0.004, "1/m²", "fastest change of the road's curvature per metre that the hold margin covers", low=0, high=0.1
    )
    drift_offset: float = setting(0.005, "1", "sideways slip of the rear axle per metre, at the lateral limit", low=0)
    drift_heading: float = setting(0.0005, "rad/m", "error of the odometry's yaw rate, per metre driven", low=0)
    gate_offset: float = setting(
        0.7, "m", "an estimate this far off the dead-reckoned offset is refused", low=0.05, high=10
    )
    gate_heading: float = setting(0.15, "rad", "… off the dead-reckoned heading is refused", low=0.01, high=1.6)
    gate_curvature: float = setting(
        0.05,
        "1/m",
        "an estimate whose curvature here is this far off the remembered lane is refused",
        low=0.001,
        high=1,
    )
    reach_m: float = setting(
        20.0, "m", "trust in the last lane curvature reaches this far past the preview", low=0, high=200
    )


@dataclass(frozen=True, slots=True)
class DistanceSettings:
    """Ground rejection, corridor and stopping distance."""

    standstill_gap: float = setting(
        4.0, "m", "gap to the nearest return that is kept at standstill", low=0.5, high=20, live="higher"
    )
    lag_s: float = setting(0.05, "s", "from a command to the brake torque at the wheel", low=0, high=0.5)
    rest_m: float = setting(0.3, "m", "the standing car stays where it is while less than this is free", low=0, high=5)
    noise_m: float = setting(0.1, "m", "error of the nearest return that is covered", low=0, high=5)
    side_margin: float = setting(
        0.2, "m", "corridor beyond the car's sides, along its present arc", low=0, high=2, live="higher"
    )
    lane_corridor: float = setting(1.6, "m", "half width of the corridor along the trusted lane", low=0.5, high=3)
    steepness: float = setting(
        0.35, "1", "returns of neighbouring rings that rise faster than this are a thing, not the road", low=0.2, high=5
    )
    rise_max: float = setting(
        0.2, "1", "a return higher than this share of its distance cannot be the road", low=0.1, high=1
    )
    height_max: float = setting(3.0, "m", "returns higher than this above the car's plane are passed under", low=1.5)
    receding_margin: float = setting(1.0, "m/s", "a thing ahead is taken to be this much slower than measured", low=0)
    approach_margin: float = setting(
        2.5, "m/s", "a thing that comes closer faster than this by itself counts as approaching", low=0.1
    )
    approach_max: float = setting(20.0, "m/s", "fastest approach of a thing by itself that is covered", low=0)
    crossing_window_s: float = setting(0.8, "s", "over which sideways movement is measured", low=0.1, high=5)
    crossing_noise_m: float = setting(0.4, "m", "movement of an edge, besides a beam's width, that is noise", low=0)
    crossing_margin_s: float = setting(
        1.0, "s", "a thing that crosses this long after we passed is in the way", low=0, live="higher"
    )
    crossing_reach_m: float = setting(60.0, "m", "how far ahead things are watched for crossing", low=0, high=500)
    track_s: float = setting(0.3, "s", "time constant of the speed of the thing ahead", low=0.01, high=5)
    track_scans: int = setting(10, "1", "scans after which the speed of the thing ahead counts", low=2, high=200)
    track_gate: float = setting(3.0, "m", "a jump of the nearest return by more than this is another thing", low=0.1)
    memory_s: float = setting(0.25, "s", "a thing that vanishes is remembered this long", low=0, high=5)


@dataclass(frozen=True, slots=True)
class PlausibilitySettings:
    """When the trusted sensors are not believed although each of them is sound and young."""

    persist_s: float = setting(0.3, "s", "how long two sensors must contradict each other", low=0, high=5)
    speed_difference: float = setting(
        1.0, "m/s", "odometry and the wheels' median may differ by this …", low=0.05, high=20
    )
    speed_share: float = setting(0.1, "1", "… and by this share of the speed", low=0, high=1)
    turn_difference: float = setting(
        0.3, "rad/s", "yaw rates of odometry and IMU may differ by this", low=0.01, high=10
    )
    jump_m: float = setting(0.3, "m", "odometry may move this much farther than its speed says", low=0.01, high=10)
    jump_rad: float = setting(
        0.1, "rad", "odometry, or a steering joint, may turn this much farther than its rate says", low=0.01, high=1.6
    )
    frozen_m: float = setting(
        0.5,
        "m",
        "way over which joints, odometry or IMU may repeat themselves to the last digit; 0 = not watched",
        low=0,
        high=100,
    )
    frozen_scan_m: float = setting(
        2.0,
        "m",
        "the same of the range sensor; 0 = not watched (a simulator without noise on a flat road)",
        low=0,
        high=1000,
    )


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """The quadratic programme."""

    acceleration_scale: float = setting(4.0, "m/s²", "deviation from the wanted force that costs one", low=0.1)
    curvature_scale: float = setting(0.02, "1/m", "deviation from the wanted curvature that costs one", low=1e-4)
    slack_cost: float = setting(1e4, "1", "cost of a unit of relaxation against a unit of deviation", low=1e3, high=1e8)
    tolerance: float = setting(
        1e-6, "1", "largest violation of a scaled row that a solution may have", low=1e-9, high=1e-2
    )
    gain_default: float = setting(
        2.0, "1/s", "outermost gain while the policy gives none", low=0.01, high=50, live="range"
    )


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """Rate, ladder, barriers."""

    rate_hz: float = setting(200.0, "Hz", "ticks per second of the safety node", low=10, high=2000)
    camera_timeout_s: float = setting(
        0.09, "s", "age at which what the camera gives (nominal, lane, health) is late", low=0.01, high=2
    )
    hold_s: float = setting(
        0.3, "s", "longest HOLD before STOPPING, HOLDs shortly before counted in", low=0, high=2, live="lower"
    )
    hold_share: float = setting(
        0.1, "1", "share of the time in NORMAL that is given back of what HOLDs before have used up", low=0, high=0.5
    )
    trusted_timeout_s: float = setting(
        0.1, "s", "age at which joint states, odometry or IMU are late", low=0.005, high=2
    )
    range_timeout_s: float = setting(0.2, "s", "age at which the range sensor is late", low=0.01, high=2)
    manual_timeout_s: float = setting(0.2, "s", "age at which a driver's take-over is late", low=0.01, high=2)
    emergency_stop_timeout_s: float = setting(
        0.0,
        "s",
        "an emergency stop that says nothing for so long counts as pressed; 0 = it may be silent",
        low=0,
        high=5,
    )
    barriers: Mapping[str, BarrierParameters] = named(build_barriers)
    steering_share: float = setting(
        0.95, "1", "share of the steering range that is asked for; the servo overshoots into the rest", low=0.1, high=1
    )
    speed_margin: float = setting(0.2, "m/s", "error of the measured speed that the speed barrier covers", low=0)
    disturbance_margin: float = setting(
        0.15, "m/s²", "error of the estimated slope and drag that speed, curve and sight cover", low=0
    )
    curve_deceleration: float = setting(2.0, "m/s²", "braking before a bend that the curve barrier counts on", low=0.1)
    traction_share: float = setting(0.95, "1", "share of the tyres' grip that may be asked for", low=0.1, high=1)
    ladder: LadderSettings = LadderSettings()
    lane: LaneSettings = LaneSettings()
    distance: DistanceSettings = DistanceSettings()
    plausibility: PlausibilitySettings = PlausibilitySettings()
    filter: FilterSettings = FilterSettings()
