"""The model card: an evaluation as a Markdown text, every number of it from the evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from firmware_host.learning.card_texts import (
    ADDED,
    BY_SCORE,
    BY_TREES,
    CALIBRATION,
    EQUAL,
    HOW,
    LIMITS,
    LIMITS_OF_A_THRESHOLD,
    NOISE,
    REST,
    SIZES,
    one_line,
)
from firmware_host.learning.promises import promises
from firmware_host.learning.recordings import DEVELOPED, KEPT_ASIDE, STATIC

Data = dict[str, Any]
GROUPS = (DEVELOPED, KEPT_ASIDE, STATIC)


def card(result: Data) -> str:
    """Return the card of an evaluated model; the terminal shows the same text."""
    parts = [_what(result), _how(result), _promised(result)]
    if result["nights"]:
        parts += [_nights(result), _without(result), _causes(result), _calibration(result), _wear(result)]
        parts.append(_splits(result))
    if result["noise"]:
        parts += [_noise(result), _sizes(result)]
    parts += [_real(result), _limits(result)]
    return "\n".join("\n".join(part) for part in parts if part).rstrip() + "\n"


def _what(result: Data) -> list[str]:
    model = result["model"]
    points = ", ".join(f"{name} {value:g}" for name, value in model["operating_points"].items())
    by = one_line(BY_SCORE)
    if model["kind"] != "threshold":
        by = one_line(BY_TREES, features=len(model.get("features", ())))
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
    return ["## What it must show", "", *_table(("figure", "measured", "asked for", "met"), rows), ""]


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
    lines += [*_table(("mixed nights", *names), rows), ""]
    for key, unit in (("recall_by_d", "d"), ("recall_by_amplitude_mg", "mg peak-to-peak")):
        rows = [
            (_span(bins[0]), str(bins[0]["truths"]), *(_share(each["recall"]) for each in bins))
            for bins in zip(*(judged[judge][key] for judge in names), strict=True)
        ]
        lines += [*_table((f"recall by {unit}", "twitches", *names), rows), ""]
    return lines


def _without(result: Data) -> list[str]:
    lines = ["## Other sorts of nights, simulated", ""]
    for situation in ("no twitches", "ten times fewer", "ten times more"):
        own = result["nights"].get(situation)
        if not own:
            continue
        names = ["false alarms per valid h"]
        if situation != "no twitches":
            names += ["recall d>=10", "precision d>=10", "F1 d>=10", "count bias"]
        rows = [
            (name, *(_value(name, judged["figures"][name]) for judged in own["judges"].values()))
            for name in names
        ]
        lines += [f"{situation.capitalize()}: {_basis(own)}", ""]
        lines += [*_table((situation, *own["judges"]), rows), ""]
    return lines


def _causes(result: Data) -> list[str]:
    lines = ["## False alarms by cause, simulated", "", "Per valid hour of a site.", ""]
    for situation in ("mixed", "no twitches"):
        own = result["nights"].get(situation)
        if not own:
            continue
        judged = own["judges"]
        totals: dict[str, float] = {}
        for each in judged.values():
            for cause, per_h in each["causes_per_valid_h"].items():
                totals[cause] = max(totals.get(cause, 0.0), per_h)
        rows = [
            (cause, *(f"{each['causes_per_valid_h'].get(cause, 0):.2f}" for each in judged.values()))
            for cause in sorted(totals, key=lambda name: (-totals[name], name))
        ]
        lines += [*_table((f"{situation} nights", *judged), rows or [("none", *("0" for _ in judged))]), ""]
    return lines


def _calibration(result: Data) -> list[str]:
    lines = ["## Are the probabilities honest? (simulated)", ""]
    name = result["model"]["name"]
    any_known = False
    for situation, own in result["nights"].items():
        known = own.get("calibration", {}).get(name) if isinstance(own, dict) else None
        if not known:
            continue
        any_known = True
        rows = [
            (f"{each['low']:g}-{each['high']:g}", str(each["candidates"]), f"{each['probability']:.3f}",
             f"{each['true_share']:.3f}")
            for each in known["table"]
        ]  # fmt: skip
        lines += [
            one_line(
                CALIBRATION,
                situation=situation.capitalize(),
                error=_number(known["expected_error"], 3),
                candidates=known["candidates"],
                likely=_number(known["expected_error_from_0.1"], 3),
                true=_percent(known["true_share"]),
            ),
            "",
            *_table(("probability", "candidates", "mean probability", "true share"), rows),
            "",
        ]
    return lines if any_known else [*lines, "It gives no probabilities.", ""]


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
            (of, f"{own['valid_h']:.1f}", *(_value(key, own["judges"][balanced][key]) for key in keys))
            for of, own in split.items()
        ]
        lines += [*_table((f"balanced, mixed nights, by {name}", "valid h", *keys), rows), ""]
    return lines


def _noise(result: Data) -> list[str]:
    alarms, names = result["noise"]["alarms"], result["judges"]
    lines = [
        "## White noise of each chip, simulated",
        "",
        one_line(NOISE),
        "",
    ]
    rows = [
        (of, f"{own['valid_h']:.0f}", f"{1000 * own['density']:.0f}",
         *(_alarm(own["judges"][name]) for name in names))
        for of, own in (("all", alarms["all"]), *alarms["chip"].items(), *alarms["rate"].items())
    ]  # fmt: skip
    return [*lines, *_table(("chip or rate", "valid h", "ug/sqrt(Hz)", *names), rows), ""]


def _sizes(result: Data) -> list[str]:
    noise, names = result["noise"], result["judges"]
    rates = ", ".join(f"{name} {rate:.2g}" for name, rate in noise["compared_at_per_h"].items())
    lines = [
        "## Size found 9 times in 10, simulated",
        "",
        one_line(SIZES, rates=rates, balanced=f"{result['model']['name']} balanced"),
        "",
    ]
    balanced = f"{result['model']['name']} balanced"
    rows = [
        (row["chip"], f"{row['rise_ms']:.0f}", _number(row["judges"][balanced]["known_shape_mg"], 2),
         _number(row["judges"][balanced]["bank_mg"], 2), _size(row["judges"][balanced]),
         *(_number(row["judges"][name]["over_bank"], 2) for name in names))
        for row in noise["sizes"]
    ]  # fmt: skip
    header = (
        "chip",
        "rise, ms",
        "known shape, mg",
        "bank, mg",
        "balanced, mg",
        *(f"{name} / bank" for name in names),
    )
    return [*lines, *_table(header, rows), ""]


def _real(result: Data) -> list[str]:
    lines = ["## Real recordings", ""]
    for name, reason in result["skipped"].items():
        lines += [f"Skipped, {name}: {reason}", ""]
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
    return [*lines, *_equal(result["real"]), *_rest(result["real"])]


def _equal(real: Data) -> list[str]:
    lines = [one_line(EQUAL), ""]
    rows = []
    for group, judged in real["equal_recall"].items():
        for judge, compared in judged.items():
            for one in compared:
                if one is None or judge.startswith("plain"):
                    continue
                least = f"{one['least_mg']:g} mg and up" if one["least_mg"] else "all"
                cells = [_fewer(each) for each in (one["added"], one["rest"])]
                found = f"{one['found']} / {one['plain_found']} of {one['truths']}"
                rows.append((group, judge, least, found, f"{one['score']:.2f}", *cells))
    header = (
        "group",
        "model",
        "added",
        "found, ours / plain",
        "plain from",
        "false, same recordings",
        "false, rest",
    )
    return [*lines, *_table(header, rows), ""] if rows else []


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


def _alarm(own: Data) -> str:
    return f"{own['count']}: {_number(own['per_h'], 2)} (< {_number(own['at_most_per_h'], 2)})"


def _size(own: Data) -> str:
    return "not reached" if own["mg"] is None else f"{own['mg']:.2f} +- {own['error_mg']:.2f}"
