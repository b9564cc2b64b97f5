"""The model card: an evaluation as a Markdown text, every number of it from the evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from firmware_host.learning.card_causes import causes_table, rejected_table
from firmware_host.learning.card_texts import (
    ADDED,
    BY_SCORE,
    BY_TREES,
    BY_UNITS,
    CALIBRATION,
    CAUSES,
    EQUAL,
    FILTER,
    HOW,
    LIMITS,
    LIMITS_OF_A_THRESHOLD,
    NOISE,
    OTHER_SORTS,
    PROMISES,
    REJECTED,
    REST,
    one_line,
)
from firmware_host.learning.promises import LEAST_VALID, promises
from firmware_host.learning.recordings import ADDED_HERE, DEVELOPED, KEPT_ASIDE, STATIC

Data = dict[str, Any]
CHESTS = (KEPT_ASIDE + ADDED_HERE, KEPT_ASIDE, DEVELOPED + ADDED_HERE, DEVELOPED)
GROUPS = (*CHESTS, STATIC)
OTHERS = ("no twitches", "only heartbeats", "ten times fewer", "ten times more", "laid aside")
CALIBRATED = ("mixed", "ten times fewer", "ten times more")


def card(result: Data) -> str:
    """Return the card of an evaluated model; the terminal shows the same text."""
    parts = [_what(result), _promised(result), _how(result)]
    if result["nights"]:
        parts += [_nights(result), _others(result), _causes(result), _rejected(result)]
        parts += [_calibration(result), _wear(result)]
        parts.append(_splits(result))
    if result["noise"]:
        parts.append(_noise(result))
    parts += [_real(result), _limits(result)]
    return "\n".join("\n".join(part) for part in parts if part).rstrip() + "\n"


def _what(result: Data) -> list[str]:
    model = result["model"]
    points = ", ".join(f"{name} {value:g}" for name, value in model["operating_points"].items())
    by = one_line(BY_SCORE)
    if model["kind"] != "threshold":
        by = one_line(BY_TREES, features=len(model.get("features", ())))
        if second := model.get("second"):
            counts = {"features": len(second["features"]), "of_lobes": len(second["lobes"]["features"])}
            by += one_line(BY_UNITS, **counts)
            own = ", ".join(f"{name} {value:g}" for name, value in second["operating_points"].items())
            points = f"pass 2: {own}; pass 1 alone: {points}"
    rows = [
        (
            "bundle",
            f"`model.json`, version {model['version']}, kind `{model['kind']}`, frame {model['frame']}",
        ),
        ("decides by", by),
        ("operating points", points),
        ("made", model["made"]),
        ("SHA-256", f"`{model['sha256'][:16]}...`"),
    ]
    return [f"# Model card: {model['name']}", "", "| | |", "| --- | --- |", *(_row(row) for row in rows), ""]


def _how(result: Data) -> list[str]:
    effort, held_out = result["effort"], result["held_out"]
    text = one_line(
        HOW,
        name=result["model"]["name"],
        subjects=effort["subjects"],
        hours=effort["hours"],
        shapes=", ".join(held_out["shapes"]),
        chips=", ".join(held_out["chips"]),
        rates=", ".join(f"{rate:g}" for rate in held_out["rates_hz"]),
        confounders=len(held_out["confounders"]),
        **result["made_with"],
    )
    return ["## How it was evaluated", "", text, ""]


def _promised(result: Data) -> list[str]:
    rows = [
        (one.text, one.value, one.limit, "not measured" if one.met is None else "yes" if one.met else "no")
        for one in promises(result)
    ]
    known = [one.met for one in promises(result) if one.met is not None]
    text = one_line(PROMISES, met=sum(known), of=len(known), valid=f"{100 * LEAST_VALID:g} %")
    lines = ["## What it must show", "", text, ""]
    return [*lines, *_table(("figure", "measured", "asked for", "met"), rows), ""]


def _nights(result: Data) -> list[str]:
    lines = ["## Held-out nights, simulated", "", _basis(result["nights"]["mixed"]), ""]
    judged = result["nights"]["mixed"]["judges"]
    names = list(judged)
    figures = list(judged[names[0]]["figures"])
    rows: list[Sequence[str]] = [
        (name, *(_value(name, judged[judge]["figures"][name]) for judge in names)) for name in figures
    ]
    rows.append(
        (
            "F1 d>=10, median of subjects",
            *(_number(judged[judge]["median_f1_of_subjects"], 3) for judge in names),
        )
    )
    rows.append(("median timing error, ms", *(_number(judged[judge]["timing_error_ms"]) for judge in names)))
    lines += [*_table(("mixed nights", *names), rows), "", one_line(FILTER), ""]
    filters = [_percent(share) for share in result["nights"]["mixed"]["known_filter_by_d"]]
    for key, unit, known in (
        ("recall_by_d", "d", filters),
        ("recall_by_amplitude_mg", "mg peak-to-peak", []),
    ):
        bins = zip(*(judged[judge][key] for judge in names), strict=True)
        rows = [
            (
                _span(own[0]),
                str(own[0]["truths"]),
                *(_share(each["recall"]) for each in own),
                *known[n : n + 1],
            )
            for n, own in enumerate(bins)
        ]
        header = (f"recall by {unit}", "twitches", *names, *("known filter",)[: len(known)])
        lines += [*_table(header, rows), ""]
    return lines


def _others(result: Data) -> list[str]:
    names = ("false alarms per valid h", "recall d>=10", "precision d>=10", "F1 d>=10", "count bias")
    rows, basis = [], []
    for situation in OTHERS:
        own = result["nights"].get(situation)
        if not own:
            continue
        basis.append(f"{situation}: {_basis(own)}")
        for judge in _two(result):
            figures = own["judges"][judge]["figures"]
            told = names[:1] if situation in {"no twitches", "only heartbeats"} else names
            cells = [_value(name, figures[name]) if name in told else "-" for name in names]
            rows.append((situation, judge, *cells))
    lines = ["## Other sorts of nights, simulated", "", one_line(OTHER_SORTS), ""]
    return [*lines, *_table(("nights", "model", *names), rows), "", " ".join(basis), ""] if rows else []


def _causes(result: Data) -> list[str]:
    shown = _table(*causes_table(result["nights"], _two(result)))
    return ["## False alarms by cause, simulated", "", one_line(CAUSES), "", *shown, ""]


def _rejected(result: Data) -> list[str]:
    judge = f"{result['model']['name']} balanced"
    own = result["nights"].get("mixed", {}).get("rejected", {}).get(judge)
    if not own:
        return []
    text = one_line(REJECTED, judge=judge, fitting=_percent(own["fitting"]))
    shown = _table(*rejected_table(own["by_cause"]))
    return ["## Why candidates do not count, simulated", "", text, "", *shown, ""]


def _calibration(result: Data) -> list[str]:
    lines = ["## Are the probabilities honest? (simulated)", ""]
    known = {
        situation: own["calibration"][result["model"]["name"]]
        for situation, own in result["nights"].items()
        if situation in CALIBRATED and result["model"]["name"] in own["calibration"]
    }
    if not known:
        return [*lines, "It gives no probabilities.", ""]
    by_bin: dict[tuple[float, float], dict[str, str]] = {}
    for situation, own in known.items():
        for each in own["table"]:
            told = f"{each['true_share']:.3f} of {each['candidates']} at {each['probability']:.3f}"
            by_bin.setdefault((each["low"], each["high"]), {})[situation] = told
    rows = [
        (f"{low:g}-{high:g}", *(own.get(situation, "-") for situation in known))
        for (low, high), own in sorted(by_bin.items())
    ]
    for name, key, form in (
        ("twitches among all candidates", "true_share", _percent),
        ("expected calibration error", "expected_error", _third),
        ("the same from 0.1 on", "expected_error_from_0.1", _third),
    ):
        rows.append((name, *(form(own[key]) for own in known.values())))
    lines = [*lines, one_line(CALIBRATION), "", *_table(("probability", *known), rows), ""]
    name = result["model"]["name"]
    by_profile = result["nights"].get("mixed", {}).get("calibration_by_profile", {})
    profiles = {of: own[name]["expected_error"] for of, own in by_profile.items() if name in own}
    told = ", ".join(f"{profile} {_third(error)}" for profile, error in profiles.items())
    return [*lines, f"Expected calibration error of mixed nights by profile: {told}.", ""] if told else lines


def _wear(result: Data) -> list[str]:
    wear = result["nights"]["wear"]
    rows = [
        (kind.replace("_", " "), f"{own['hours']:.1f}", _percent(own["called_valid"]),
         _percent(own["called_valid_and_worn"]))
        for kind, own in (*wear["off"].items(), ("on a table >= 1 h", wear["on_a_table_an_hour_or_more"]))
    ]  # fmt: skip
    header = ("off the body", "hours", "called valid", "and without the mark of doubt")
    worn = f"{wear['still_h']:.1f} h on the body outside movement and gaps"
    lost = f"{_percent(wear['still_called_not_worn'])} of them called not worn."
    return ["## Worn or not worn, simulated", "", *_table(header, rows), "", f"{worn}, {lost}", ""]


def _splits(result: Data) -> list[str]:
    lines = ["## By chip, rate, region and profile, simulated", ""]
    balanced = f"{result['model']['name']} balanced"
    for name, split in result["nights"]["splits"].items():
        if name == "site":  # too many to show; they are in the JSON
            continue
        keys = list(next(iter(split.values()))["judges"][balanced])
        rows = [
            (
                of,
                f"{own['valid_h']:.1f} ({_percent(own['valid_share'])})",
                *(_value(key, own["judges"][balanced][key]) for key in keys),
            )
            for of, own in split.items()
        ]
        lines += [*_table((f"balanced, mixed nights, by {name}", "valid h (share)", *keys), rows), ""]
    return lines


def _noise(result: Data) -> list[str]:
    noise, (balanced, *_, beside) = result["noise"], (*_two(result), *_two(result)[-1:])
    alarms, over = noise["alarms"], noise["over_bank"]
    rates = ", ".join(f"{name} {rate:.2g}" for name, rate in noise["compared_at_per_h"].items())
    rises = list((over[balanced] or {"rises": {}})["rises"])
    rows = []
    for of, own in (("all", alarms["all"]), *alarms["chip"].items(), *alarms["rate"].items()):
        sizes = {
            f"{row['rise_ms']:g}": row["judges"][balanced] for row in noise["sizes"] if row["chip"] == of
        }
        cells = [_over(sizes[rise]) if rise in sizes else "" for rise in rises]
        one = own["judges"][balanced]
        told = f"{one['count']}: {_number(one['per_h'], 2)}{' (above)' * one['above']}"
        rows.append(
            (of, f"{1000 * own['density']:.0f}", f"{own['valid_h']:.0f}", told,
             _number(one["at_most_per_h"], 2), _number(own["judges"][beside]["per_h"], 2), *cells)
        )  # fmt: skip
    for name in dict.fromkeys((*_two(result), *result["judges"])):
        means = (over[name] or {"rises": {}})["rises"]
        cells = [
            f"{means[rise]['mean']:.3f} +- {means[rise]['error']:.3f}" if rise in means else "-"
            for rise in rises
        ]
        rows.append((f"mean of chips, {name}", "", "", "", "", "", *cells))
    header = (
        "chip or rate", "ug/sqrt(Hz)", "valid h", "false alarms: per h", "at most", f"{beside}, per h",
        *(f"{rise} ms" for rise in rises),
    )  # fmt: skip
    noticed = min((own["noticed_from_per_h"] for own in alarms["chip"].values()), default=None)
    text = one_line(NOISE, noticed=_number(noticed, 2), rates=rates, balanced=balanced)
    return ["## White noise of each chip, simulated", "", text, "", *_table(header, rows), ""]


def _real(result: Data) -> list[str]:
    lines = ["## Real recordings", ""]
    if result["skipped"]:  # without the reasons: a card is passed on, and they name folders of this machine
        lines += [f"Not there or not readable: {', '.join(result['skipped'])}.", ""]
    if not result["real"]:
        return [*lines, "Nothing was scored.", ""]
    lines += [one_line(ADDED), ""]
    added = result["real"]["added"]
    for group in (group for group in GROUPS if group in added):
        judged = added[group]
        rows = [
            (_span(bins[0]), *(f"{each['found']} of {each['truths']}" for each in bins))
            for bins in zip(*(one["recall_by_amplitude_mg"] for one in judged.values()), strict=True)
            if any(each["truths"] for each in bins)
        ]
        rows += [
            ("false alarms per valid h", *(_number(one["false_alarms_per_h"]) for one in judged.values())),
            ("valid minutes", *(_number(60 * one["valid_h"]) for one in judged.values())),
        ]
        lines += [*_table((f"{group}: found by mg", *judged), rows), ""]
    balanced = f"{result['model']['name']} balanced"
    equal = [] if balanced.startswith("plain ") else _equal(result["real"], balanced)
    return [*lines, *equal, *_rest(result["real"])]


def _equal(real: Data, balanced: str) -> list[str]:
    rows = []
    for group in (group for group in CHESTS if group in real["equal_recall"]):
        for kind, compared in real["equal_recall"][group][balanced].items():
            for one in compared:
                if one is None:
                    continue
                least = f"{one['least_mg']:g} mg and up" if one["least_mg"] else "all"
                found = f"{one['found']} / {one['plain_found']} of {one['truths']}"
                recall = f"{_percent(one['recall'])} / {_percent(one['plain_recall'])}"
                cells = [_fewer(each) for each in (one["added"], one["rest"])]
                rows.append(
                    (group, least, kind.replace("_", " "), found, recall, f"{one['score']:.2f}", *cells)
                )
    header = (
        "group", "added", "recall", "found, ours / plain", "recall, ours / plain", "plain from",
        "false, same recordings", "false, rest",
    )  # fmt: skip
    return [one_line(EQUAL, balanced=balanced), "", *_table(header, rows), ""] if rows else []


def _fewer(own: Data) -> str:
    text = f"{own['alarms']} / {own['plain_alarms']} in {60 * own['valid_h']:.1f} min"
    if own["fewer"] is None:
        return text if own["valid_h"] else "-"
    return f"{text}: {'at least ' * own['at_least']}{own['fewer']:.1f} times fewer"


def _rest(real: Data) -> list[str]:
    if not real["rest"]:
        return []
    names = list(next(iter(real["rest"].values()))["events"])
    rows = [
        (of, f"{60 * own['hours']:.1f}", _percent(own["valid_share"]),
         *(f"{own['events'][name]} ({_number(own['per_valid_h'][name])})" for name in names))
        for of, own in real["rest"].items()
    ]  # fmt: skip
    lines = [one_line(REST), ""]
    return [*lines, *_table(("recordings", "minutes", "valid", *names), rows), ""]


def _limits(result: Data) -> list[str]:
    lines = ["## Limits", ""]
    if result["model"]["kind"] == "threshold":
        lines.append(one_line(LIMITS_OF_A_THRESHOLD))
    return [*lines, *(one_line(text) for text in LIMITS)]


def _basis(own: Data) -> str:
    shares = ", ".join(
        f"{kind} {_percent(share)}" for kind, share in own["time_share"].items() if share >= 5e-4
    )
    return f"{own['subjects']} subjects, {own['site_hours']:.0f} site-hours; time is {shares}."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(header), _row(("---", *("---:" for _ in header[1:]))), *(_row(row) for row in rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _span(bin_: Data) -> str:
    return f"{bin_['low']:g} and up" if bin_["high"] is None else f"{bin_['low']:g}-{bin_['high']:g}"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _share(figure: Sequence[float | None]) -> str:
    return _with_interval([None if one is None else 100 * one for one in figure], 1, " %")


def _value(name: str, figure: Sequence[float | None]) -> str:
    if name.startswith("false alarms"):
        return _with_interval(figure, 2, "")
    return _share(figure) if name == "count bias" else _with_interval(figure, 3, "")


def _with_interval(figure: Sequence[float | None], digits: int, unit: str) -> str:
    value, low, high = figure
    if value is None:
        return "-"
    text = f"{value:.{digits}f}{unit}"
    return text if low is None or high is None else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def _over(own: Data) -> str:
    if own["over_bank"] is None:
        return "not reached"
    return f"{own['over_bank']:.2f} +- {own['over_bank_error']:.2f}"


def _third(value: float | None) -> str:
    return _number(value, 3)


def _two(result: Data) -> list[str]:
    """Return the model at its balanced point, its pass 1 alone and, if it is another, the plain one."""
    name = result["model"]["name"]
    own = f"{name} balanced"
    others = (f"{name} pass 1 balanced", "plain balanced")
    return [own, *(each for each in result["judges"] if each in others and each != own)]
