# SPDX-License-Identifier: Apache-2.0
"""The text of a model card, plain Markdown."""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tidegate.bundle import Bundle
from tidegate.card.evidence import Attacked, Driven, Lap
from tidegate.card.markdown import UNKNOWN, bullets, plain, seeds_told, table, told

NAMED = 20
"""Failed drives that a card names one by one; of more it tells the number."""
MOTORS = ("drive force", "path curvature")
HERE = ("lane offset [m]", "lane heading [rad]")
SEEN = {
    "speed": ("speed [m/s]", "", ""),
    "mean": ("mean of a picture [of 255]", "black_level", "below"),
    "contrast": ("its standard deviation [of 255]", "contrast_min", "below"),
    "saturated_share": ("share of saturated pixels", "saturated_share", "from"),
}
"""What the record may tell of the training data (``training.seen``), and which of it image health refuses."""


def card_page(
    bundle: Bundle, identity: str, version: str, driven: Sequence[Driven] = (), attacked: Sequence[Attacked] = ()
) -> str:
    """The card of a bundle.

    Args:
        bundle: what the card is of.
        identity: ``bundle_identity`` of it.
        version: of the tidegate that writes the card.
        driven, attacked: what closed loops showed of this bundle.
    """
    parts = [
        f"# Model card: {plain(bundle.name)}",
        f"Written by tidegate {version} from the record in `bundle.json`"
        f"{' and the results named below' if driven or attacked else ''}. What drives has the SHA-256 `{identity}` "
        "(`bundle_sha256` in bags and results); this card is no part of it.",
        "## Model",
        _model(bundle),
        "## Data",
        data_section(bundle.training, "bag", "those that calibrate"),
        "## Training",
        training_section(bundle.training),
        "## Results on held-out drives",
        _metrics(bundle),
        "## Results in closed loop",
        _closed_loop(driven),
        "## Known failures",
        _failures(driven, attacked),
        "## Limits of validity",
        _limits(bundle),
    ]
    return "\n\n".join(parts) + "\n"


def _model(bundle: Bundle) -> str:
    policy, seen = bundle.policy, bundle.perception
    counts = [policy.inter_neurons, policy.command_neurons, len(MOTORS)]
    return bullets(
        f"robot: {plain(bundle.robot)}, {bundle.mass_kg:.1f} kg when it was trained",
        f"network: {policy.cell.upper()}, {sum(counts)} neurons ({counts[0]} inter, {counts[1]} command, {counts[2]} "
        f"motor), {sum(array.size for array in bundle.part('liquid').values()):,} parameters",
        f"sees: {seen.input_width} × {seen.input_height} px, of which it makes {seen.features} features and the lane "
        f"{', '.join(f'{distance:g}' for distance in seen.preview_m)} m ahead",
        f"asks for: {', '.join(MOTORS)}, and barrier gains of {policy.gain_low:g} to {policy.gain_high:g} "
        f"1/s ({', '.join(map(plain, policy.gain_names))})",
    )


def data_section(record: Mapping[str, Any], one: str, others: str) -> str:
    """Of what was learnt from; what ``one`` file of it is, and which are counted but not learnt from."""
    hashes = record.get("data_sha256")
    facts = [f"frames: {told(record.get('frames'))}"]
    if plan := record.get("plan"):
        facts.append(f"plan: {told(plan)}")
    if not isinstance(hashes, dict):
        return bullets(*facts, f"{one}s: {UNKNOWN}")
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for path, digest in sorted(hashes.items()):
        stage, _, name = path.rpartition("/")
        kind, seed = _seed(name)
        groups[plain(stage), plain(kind)].append((seed, str(digest)))
    rows = [
        (*group, len(bags), seeds_told([seed for seed, _ in bags]), _together(digest for _, digest in bags))
        for group, bags in groups.items()
    ]
    grouped = table(("folder", "kind", f"{one}s", "seeds", "SHA-256 of their hashes"), rows)
    return "\n\n".join(
        (
            bullets(*facts, f"{one}s: {len(hashes)}, {others} included"),
            grouped,
            f"Each {one}'s own hash is in `bundle.json` (`training.data_sha256`); the last column is over these, "
            "sorted, a line each.",
        )
    )


def training_section(record: Mapping[str, Any]) -> str:
    """Of how it was learnt."""
    recipe = record.get("recipe")
    lines = []
    if isinstance(recipe, dict):
        lines = [f"recipe, {plain(key)}: {told(value)}" for key, value in recipe.items()]
    lines += [
        f"{words}: {told(record.get(key))}"
        for key, words in (("durations_s", "durations [s]"), ("versions", "versions"), ("processor", "processor"))
    ]
    return bullets(*lines)


def _metrics(bundle: Bundle) -> str:
    metrics = bundle.training.get("metrics")
    if not isinstance(metrics, dict) or not metrics:
        return f"None: {UNKNOWN}."
    parts = []
    rounds = {key: value for key, value in metrics.items() if key.startswith("train ") and isinstance(value, dict)}
    if rounds:
        names = dict.fromkeys(name for values in rounds.values() for name in values)
        rows = [(plain(name), *(told(values.get(name)) for values in rounds.values())) for name in names]
        parts.append(table(("measure", *map(plain, rounds)), rows))
        parts.append(
            "`lane_0` and on are the lane's errors (rms) in the order of the next table; `…_error` those of the "
            "command [1/m, m/s²]; the others are losses, `…_zero` and `…_last` of asking for nothing and of repeating."
        )
    errors = metrics.get("calibration")
    if isinstance(errors, dict) and errors:
        values = [*HERE, *(f"lane curvature, {distance:g} m ahead [1/m]" for distance in bundle.perception.preview_m)]
        rows = [
            (name, *(told(column[place]) for column in errors.values() if place < len(column)))
            for place, name in enumerate(values)
        ]
        parts.append(table(("lane error on the calibration drives", *map(plain, errors)), rows))
    others = [f"{plain(key)}: {told(value)}" for key, value in metrics.items() if key not in (*rounds, "calibration")]
    return "\n\n".join([*parts, *([bullets(*others)] if others else [])])


def _closed_loop(driven: Sequence[Driven]) -> str:
    rows = []
    for one in driven:
        for scene, laps in one.laps.items():
            paces = [lap.pace for lap in laps if lap.pace is not None]
            rows.append(
                (
                    plain(scene),
                    plain(one.how),
                    seeds_told([str(lap.seed) for lap in laps]),
                    f"{sum(lap.completed for lap in laps)}/{len(laps)}",
                    sum(lap.collisions for lap in laps),
                    sum(lap.limit_violations for lap in laps),
                    sum(lap.off_road_s > 0 for lap in laps),
                    f"{max(lap.max_abs_lane_error_m for lap in laps):.2f}",
                    f"{sum(paces) / len(paces):.2f}" if paces else "–",
                )
            )
    if not rows:
        return "None was given (`tidegate card BUNDLE --evaluation FOLDER`)."
    heads = ("scene", "how", "seeds", "completed", "contacts", "limits exceeded", "drives with a wheel off the road")
    return table((*heads, "most off the lane's centre [m]", "pace, of the expert's"), rows)


def _failures(driven: Sequence[Driven], attacked: Sequence[Attacked]) -> str:
    if not driven and not attacked:
        return "Not known: no results were given (`--evaluation FOLDER`, `--outcomes FOLDER`)."
    parts = []
    failed = [(one, lap) for one in driven for laps in one.laps.values() for lap in laps if lap.failed]
    laps = sum(len(laps) for one in driven for laps in one.laps.values())
    if driven:
        parts.append(f"Drives: {len(failed)} of {laps} failed{_more(len(failed))}")
    if failed:
        heads = ("scene", "how", "seed", "completed", "end", "after [m]", "contacts", "limits exceeded")
        parts.append(table((*heads, "wheel off the road [s]"), [_failed(one, lap) for one, lap in failed[:NAMED]]))
    for one in attacked:
        parts.append(
            f"Hostile episodes: {one.episodes} ({one.searched} of them searched for the worst). An adversary asks in "
            "the network's place; what breaks, breaks behind the filter, or without what is named."
        )
        harm = sorted(one.harm.items())
        rows = [(*map(plain, key[:3]), plain(key[3]) or "none", count) for key, count in harm]
        columns = ("scene", "who asked", "what broke", "stated assumptions broken before", "episodes")
        parts.append(table(columns, rows) if rows else "None of them broke anything.")
    return "\n\n".join(parts)


def _failed(one: Driven, lap: Lap) -> tuple[object, ...]:
    reached = ("yes" if lap.completed else "no", plain(lap.end), f"{lap.distance_m:.0f}")
    broke = (lap.collisions, lap.limit_violations, f"{lap.off_road_s:.1f}")
    return (plain(lap.scene), plain(one.how), lap.seed, *reached, *broke)


def _more(failed: int) -> str:
    return "." if failed <= NAMED else f"; the first {NAMED} are named."


def _limits(bundle: Bundle) -> str:
    seen = bundle.perception
    lines = [f"robot: '{plain(bundle.robot)}'; another is refused", f"camera: {_camera(bundle)}"]
    bound = "calibrated" if bundle.conformal else "not calibrated: the lane is never known, and the filter acts on that"
    if bundle.conformal and (missed := _miscoverage(bundle.training)) is not None:
        bound += f", so that at most {100 * missed:g} % of new drives like the calibration drives break them"
    lines.append(f"lane bounds: {bound}")
    look = (
        f"{seen.outlier_frames} pictures in a row that are farther from those of training than {seen.outlier_factor:g} "
        f"× {bundle.outlier_distance:.4g}"
        if bundle.outlier_distance
        else "none for being unlike those of training, whose look is not known"
    )
    lines.append(
        f"image health, by the settings of the training (those of the robot decide): refused are {look}; "
        f"{seen.frozen_frames} identical pictures in a row; and what the table says"
    )
    seen_there = bundle.training.get("seen")
    ranges = seen_there if isinstance(seen_there, dict) else {}
    rows = [
        (words, *_three(ranges.get(key)), f"{word} {getattr(seen, bound):g}" if bound else "–")
        for key, (words, bound, word) in SEEN.items()
    ]
    light_seen = table(("what training saw", "1 % are below", "median", "1 % are above", "refused"), rows)
    light = _augmented(bundle.training)
    after = f"In training pictures were altered besides, by the recipe's `augment`: {light}." if light else ""
    return "\n\n".join(filter(None, (bullets(*lines), light_seen, after)))


def _three(values: Any) -> list[str]:
    return [told(value) for value in (values if isinstance(values, list) and len(values) == 3 else [None] * 3)]


def _augmented(record: Mapping[str, Any]) -> str:
    recipe = record.get("recipe")
    augment = recipe.get("augment") if isinstance(recipe, dict) else None
    return told(augment) if isinstance(augment, dict) else ""


def _miscoverage(record: Mapping[str, Any]) -> float | None:
    try:
        return float(record["recipe"]["calibrate"]["miscoverage"])
    except (KeyError, TypeError, ValueError):
        return None


def _camera(bundle: Bundle) -> str:
    view = bundle.camera
    if view is None:
        return UNKNOWN
    turned = ", ".join(f"{math.degrees(angle):g}°" for angle in view.rpy)
    return (
        f"{view.width} × {view.height} px, {view.fov_deg:g}° high, at ({', '.join(f'{part:g}' for part in view.xyz)}) "
        f"m in `base_link`, roll pitch yaw {turned}"
    )


def _seed(name: str) -> tuple[str, str]:
    """Kind and seed in the name of a bag that ``tidegate`` recorded; of others the name is the kind."""
    match = re.fullmatch(r"(.+)-(\d+)", name)
    return (match[1], str(int(match[2]))) if match else (name, "")


def _together(digests: Iterable[str]) -> str:
    lines = "".join(f"{digest}\n" for digest in sorted(digests))
    return f"`{hashlib.sha256(lines.encode()).hexdigest()[:16]}…`"
