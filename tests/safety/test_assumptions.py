# SPDX-License-Identifier: Apache-2.0
"""What each guarantee rests on: while it holds, nothing happens; broken, the violation follows (docs/safety.md)."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from broken import (
    Worse,
    beyond_when_blind,
    gap_to_a_wall,
    off_lane_on,
    outwards,
    rolled_back,
    shifted,
    slalom,
    slow_by,
    to_the_left,
    top_speed,
    widest,
    with_points,
)
from safety_drive import FORCE
from safety_plant import Plant, settings

from tidegate.records import Command
from tidegate.simulation import Simulator

VEHICLE, LANE, DISTANCE = settings().vehicle, settings().safety.lane, settings().safety.distance
LIMIT = VEHICLE.speed_max


def test_while_every_assumption_holds_the_car_stops_before_the_wall() -> None:
    kept = DISTANCE.standstill_gap
    worst = Worse(slope=-VEHICLE.slope_max, wheel_delay=DISTANCE.lag_s)
    assert kept < gap_to_a_wall(Worse()) < kept + 1.0
    assert gap_to_a_wall(worst, shifted(DISTANCE.noise_m)) > kept


def test_brakes_weaker_than_guaranteed_hit_the_wall() -> None:
    assert gap_to_a_wall(Worse(), brakes=0.45) < 0


def test_brakes_a_twentieth_weaker_on_the_steepest_slope_cost_less_than_the_gap_that_is_kept() -> None:
    """What ``tidegate calibrate`` finds of loaded cars: S is too short, braking harder where h < 0 makes up for it."""
    gap = gap_to_a_wall(Worse(slope=-VEHICLE.slope_max, brakes=0.95))
    assert DISTANCE.standstill_gap < gap < gap_to_a_wall(Worse(slope=-VEHICLE.slope_max))


def test_a_slope_steeper_than_stated_leads_into_the_wall() -> None:
    assert gap_to_a_wall(Worse(), slope=-0.35) < 0


def test_brakes_later_than_stated_hit_the_wall() -> None:
    assert gap_to_a_wall(Worse(wheel_delay=1.2)) < 0


def test_a_slope_steeper_than_stated_rolls_the_car_farther_back() -> None:
    assert rolled_back(settings().vehicle.slope_max, 0.0)[0] < 0.3 < rolled_back(0.25, 0.0)[0]


def test_ice_is_too_slippery_to_stop_on() -> None:
    assert gap_to_a_wall(Worse(), grip=0.2) < 0


def test_a_thing_that_appears_nearer_than_the_stopping_distance_is_hit() -> None:
    assert gap_to_a_wall(Worse(), ahead=10.0) < 0


def test_a_range_sensor_that_is_blind_but_not_empty_of_road_lets_the_wall_be_hit() -> None:
    def road_only(xyz: np.ndarray) -> np.ndarray:
        return xyz[xyz[:, 2] < 0.3]

    assert gap_to_a_wall(Worse(), with_points(road_only)) < 0


def test_returns_farther_off_than_their_stated_error_let_the_wall_be_hit() -> None:
    assert gap_to_a_wall(Worse(), shifted(DISTANCE.noise_m + DISTANCE.standstill_gap + 1.0)) < 0


def test_a_speed_sensor_biased_beyond_its_margin_lets_the_car_drive_too_fast() -> None:
    assert LIMIT - 1.0 < top_speed() <= LIMIT
    assert top_speed(slow_by(0.0, settings().safety.speed_margin)) <= LIMIT
    assert top_speed(slow_by(0.04, 0.0)) > LIMIT


def test_a_slope_beyond_the_disturbance_margin_lets_the_car_drive_too_fast() -> None:
    assert top_speed(slope=-VEHICLE.slope_max / 2) <= LIMIT
    assert top_speed(slope=-0.35) > LIMIT


def test_a_lane_bound_that_is_not_true_lets_the_car_out_of_its_lane() -> None:
    assert widest(Worse(), 8.0, to_the_left, error=-0.2) < 0
    assert widest(Worse(), 8.0, to_the_left, error=-0.8) > 0


def test_an_error_beyond_the_cap_of_the_bound_is_not_covered_though_it_is_stated() -> None:
    assert widest(Worse(), 8.0, to_the_left, error=-LANE.bound_cap, bound=LANE.bound_cap) < 0
    assert widest(Worse(), 8.0, to_the_left, error=-0.8, bound=0.8) > 0


def test_a_rear_axle_that_slips_more_than_is_stated_leads_over_the_edge() -> None:
    """Of a bend's outer edge, the lane being as wrong as is stated."""
    wrong = {"error": -0.2, "turned": -LANE.heading_cap}
    stated, loose = (Worse(road_curvature=-0.024, slip=slip) for slip in (LANE.drift_offset, 10 * LANE.drift_offset))
    assert widest(stated, 12.0, outwards, **wrong) < 0
    assert widest(loose, 12.0, outwards, **wrong) > 0


def test_a_heading_error_beyond_its_cap_is_not_covered() -> None:
    assert widest(Worse(), 8.0, to_the_left, turned=-LANE.heading_cap) < 0
    assert widest(Worse(), 8.0, to_the_left, turned=-0.14) > 0


@pytest.mark.parametrize("road", [0.0, 0.02])
@pytest.mark.parametrize("push", [1.0, -1.0])
@pytest.mark.slow
def test_a_lane_that_is_remembered_worse_than_sight_counts_is_left(push: float, road: float) -> None:
    turned = -push * LANE.drift_heading
    assert beyond_when_blind(Worse(road_curvature=road), push * LANE.sight_cap, turned=turned) < 0
    assert beyond_when_blind(Worse(road_curvature=road), push * 4 * LANE.sight_cap, turned=turned) > 0


def test_a_start_outside_the_kept_set_leads_over_the_edge() -> None:
    assert widest(Worse(offset=0.2, heading=0.02), 8.0, to_the_left) < 0
    assert widest(Worse(offset=0.5, heading=0.3), 8.0, to_the_left) > 0


def test_steering_later_than_stated_leads_over_the_edge() -> None:
    assert widest(Worse(), 12.0, slalom) < 0
    assert widest(Worse(steer_delay=0.3), 12.0, slalom) > 0


def test_a_bend_that_the_camera_sees_too_flat_is_entered_too_fast() -> None:
    road = 0.03

    def along(plant: Plant) -> tuple[float, float]:
        return FORCE, road

    slow = math.sqrt(VEHICLE.lateral_acceleration_max / road)
    assert widest(Worse(road_curvature=road), 0.8 * slow, along, seconds=3.0) < 0
    assert widest(Worse(road_curvature=road), 1.4 * slow, along, road_seen=0.0, seconds=3.0) > 0


@pytest.mark.slow
def test_on_ice_the_car_leaves_its_lane_in_a_bend() -> None:
    assert off_lane_on(None) == 0.0
    assert off_lane_on(0.1) > 0.0


@pytest.mark.parametrize(("timeout_s", "stops"), [(None, True), (1e6, False)])
def test_a_car_whose_actuators_have_no_time_out_drives_on_when_the_safety_node_dies(
    timeout_s: float | None, stops: bool
) -> None:
    own = settings().simulator
    world = dataclasses.replace(own, command_timeout_s=timeout_s or own.command_timeout_s)
    with Simulator(dataclasses.replace(settings(), simulator=world), "road", 5001, camera=False) as simulator:
        driven = np.concatenate((np.zeros(4), np.full(2, 300.0)))
        for tick in range(1200):
            if tick < 400:
                simulator.apply(Command(simulator.now, simulator.car.joint_names, driven))
            simulator.step()
        assert (abs(simulator.truth().speed) < 0.1) == stops
