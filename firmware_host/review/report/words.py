"""How the numbers of a report read: one place for their digits, units and what is not known."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import accumulate, pairwise

from firmware_host.recording import nearest_second
from firmware_host.recording.diary import FIELDS
from firmware_host.review.charts.map_data import duration_words, rate_parts
from firmware_host.review.report.night_report import NightReport
from firmware_host.review.report.nights_report import NightsReport
from firmware_host.review.report.site_report import SiteReport
from firmware_host.review.report.spot_checks import Checked
from firmware_host.review.report.spread import Place
from firmware_host.review.texts import t

_LEVELS = {field.name: field.levels for field in FIELDS}
UNSEEN = ("not_worn", "not_observed")


def number(value: float) -> str:
    """Return a number to two or three digits: "1,230", "38", "8.4", "0.43"; only zero reads as zero."""
    if 0 < value < 0.005:
        return t("report.fewer_than", n=0.01)
    return f"{value:,.{0 if value >= 20 or value == 0 else 1 if value >= 0.95 else 2}f}"


def rates(rate: float, low: float, high: float) -> tuple[str, str]:
    """Return a rate and its interval, as they stand beside the strips."""
    told, lowest, highest = rate_parts(rate, low, high)
    return told, t("report.interval", low=lowest, high=highest)


def clock(seconds: float) -> str:
    """Return a length of time to the second: "7:31:24"."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def at(iso: str, night: NightReport) -> str:
    """Return a time of the night to the second; where clocks change, with its offset from UTC.

    Where nobody knows when it began, it is the time from then on.
    """
    if not night.start_known:
        return clock(
            (datetime.fromisoformat(iso) - datetime.fromisoformat(night.start_local)).total_seconds()
        )
    when = nearest_second(datetime.fromisoformat(iso))
    return f"{when:%H:%M:%S}{_offset(when) if night.clock_changes else ''}"


def day(iso: str, night: NightReport) -> str:
    """Return a time with its date."""
    when = nearest_second(datetime.fromisoformat(iso))
    return f"{when:%a} {when.day} {when:%b %Y}, {at(iso, night)}" if night.start_known else at(iso, night)


def date(iso: str) -> str:
    """Return an evening: "22 Nov 2026"; empty where none is known."""
    if not iso:
        return ""
    when = datetime.fromisoformat(iso)
    return f"{when.day} {when:%b %Y}"


def _offset(when: datetime) -> str:
    text = f"{when:%z}"
    return f" (UTC{text[:3]}:{text[3:]})"


def rate(one: SiteReport) -> str:
    """Return a site's rate, or why there is none."""
    if one.state in UNSEEN:
        return t(f"report.{one.state}")
    return t("report.none_seen") if one.twitches == 0 else _rates(one)[0]


def interval(one: SiteReport) -> str:
    """Return the interval of a site's rate."""
    return "" if one.state in UNSEEN else _rates(one)[1]


def _rates(one: SiteReport) -> tuple[str, str]:
    return rates(one.rate_per_h, one.rate_low, one.rate_high)


def limit(one: SiteReport) -> str:
    """Return a site's detection limit in mg, or what is known of it."""
    if one.state in UNSEEN:
        return ""
    return f"{one.detection_limit_mg:.1f}" if one.limit == "known" else t(f"report.limit_{one.limit}")


def wait(seconds: float, watched_s: float) -> str:
    """Return a time to the next twitch."""
    if math.isinf(seconds):
        return t("report.longer", time=wait(watched_s, 0.0))
    if seconds < 99.5:
        return t("report.seconds", s=f"{seconds:.{0 if seconds >= 10 else 1}f}")
    if seconds < 99.5 * 60:
        return t("report.minutes", min=f"{seconds / 60:.{0 if seconds >= 600 else 1}f}")
    return t("report.hours", h=f"{seconds / 3600:.1f}")


def waited(one: SiteReport) -> str:
    """Return the quartiles of the time to the next twitch; empty where there was none."""
    low, median, high = one.wait_s
    if math.isnan(median):
        return ""
    if math.isinf(low):
        return wait(low, one.watched_s)
    words = [wait(each, one.watched_s) for each in (low, median, high)]
    return t("report.quartiles", low=words[0], median=words[1], high=words[2])


def size(one: SiteReport) -> str:
    """Return the quartiles of the sizes; empty where no twitch was counted."""
    low, median, high = one.size_mg
    if math.isnan(median):
        return ""
    return t("report.quartiles", low=number(low), median=number(median), high=number(high))


def counted(one: SiteReport) -> str:
    """Return how many were counted, and how many of them are probably none."""
    if one.state in UNSEEN:
        return ""
    false = one.expected_false
    return f"{one.twitches:,}" + ("" if math.isnan(false) else f" ({number(false)})")


def valid(one: SiteReport, night: NightReport) -> str:
    """Return a site's valid time and its share of the night."""
    share = 100 * one.valid_s / night.duration_s if night.duration_s else 0.0
    return f"{clock(one.valid_s)} ({share:.0f} %)"


def doubts(one: SiteReport) -> str:
    """Return what a reader has to know beside the valid time."""
    found = [t("report.little")] if one.little and one.valid_s > 0 else []
    if one.state == "wear_unconfirmed":
        found.append(t("report.unconfirmed"))
    elif one.unconfirmed_s >= 60:
        found.append(t("report.unconfirmed_part", time=clock(one.unconfirmed_s)))
    return "; ".join(found)


def sensor(one: SiteReport) -> str:
    """Return which sensor sat at a site."""
    parts = [one.sensor, one.serial, one.firmware]
    parts += [t("report.range", g=f"{one.range_g:g}")] if one.range_g else []
    return ", ".join(filter(None, parts)) or t("report.not_noted")


def hertz(one: SiteReport) -> str:
    """Return the rate that a sensor was set to and the one that it had."""
    return f"{one.fs_nominal_hz:g} / {one.fs_hz:.2f}"


def noise(one: SiteReport) -> str:
    """Return a site's noise in quiet."""
    mg = one.noise_mg_per_sqrt_hz
    return "" if mg is None else f"{1000 * mg:.0f}"


def diary(fields: dict[str, str]) -> list[str]:
    """Return what the diary says: "Caffeine that day: some"."""
    return [f"{t(f'diary.field_{name}').rstrip('?')}: {_answer(name, said)}" for name, said in fields.items()]


def diary_levels(fields: dict[str, str]) -> str:
    """Return the diary's answers in brief, without what was written freely: "caffeine some, sleep well"."""
    return ", ".join(f"{name} {_answer(name, said)}" for name, said in fields.items() if _LEVELS[name])


def _answer(name: str, said: str) -> str:
    # What another version knows, or somebody wrote by hand, is told as it stands.
    return t(f"diary.level_{said}") if said in _LEVELS[name] else said


def said(night: NightReport) -> list[str]:
    """Return what people said of a night: diary, note, marks, corrections, spot check."""
    found = ["; ".join(diary(night.diary)) + "."] if night.diary else []
    found += [night.diary_problem or t("report.diary_none")] if not night.diary else []
    found += [t("report.note", note=night.note)] if night.note else []
    found += [t("report.marks", n=night.marks)] if night.marks else []
    n = night.corrections
    found.append(t("report.corrections", n=n) if n else t("report.corrections_none"))
    return [*found, checked(night.checked)]


def checked(found: Checked | None) -> str:
    """Return what a spot check came to."""
    if found is None or found.share is None or found.low is None or found.high is None:
        return t("report.checked_none")
    share, low, high = (f"{100 * one:.0f}" for one in (found.share, found.low, found.high))
    return t("report.checked", n=found.twitches, of=found.judged, share=share, low=low, high=high)


def spread(night: NightReport) -> list[str]:
    """Return how widely twitches were seen, in sentences."""
    found = night.spread
    if not found.worn:
        told = [t("report.spread_none")]
    elif found.by_chance is None:
        told = [t("report.spread_chance_unknown")]
    else:
        few = t("report.fewer_than", n=0.1)
        told = [t("report.spread_chance", n=few if found.by_chance < 0.1 else f"{found.by_chance:.1f}")]
    lists = (
        ("not_active", found.not_active),
        ("unconfirmed", found.unconfirmed),
        ("not_seen", found.not_seen),
    )
    return told + [t(f"report.spread_{key}", places=places(here)) for key, here in lists if here]


def places(found: tuple[Place, ...]) -> str:
    """Return places with their valid time."""
    return ", ".join(
        t("report.place_valid", place=one.label, time=duration_words(one.valid_s)) for one in found
    )


def cannot(night: NightReport) -> list[str]:
    """Return what a night cannot tell, a sentence each; what is special to it comes first."""
    found = [t(f"night.cannot_{night.origin}")] if night.made_up else []
    found += [t("night.cannot_running")] if night.being_written else []
    found += [t("night.cannot_grown")] if night.grown else []
    found += [t("report.cannot_damage", n=night.damage)] if night.damage else []
    shares = [100 * one.valid_s / night.duration_s for one in night.sites if night.duration_s] or [0.0]
    low, high = round(min(shares)), round(max(shares))
    share = f"{low} %" if low == high else f"{low} to {high} %"
    found += [t("night.cannot_valid", share=share)] if low < 100 else []
    found.append(t("night.cannot_unmeasured", n=night.missing.places, all=night.missing.all_places))
    unknown = [one.label for one in night.sites if one.limit != "known" and one.valid_s > 0]
    found += [t("night.cannot_limit_unknown", sites=", ".join(unknown))] if unknown else []
    found += [t("night.cannot_limit")] if any(one.limit == "known" for one in night.sites) else []
    found += [*_warnings(night), t("report.cannot_deep"), t("night.cannot_model"), t("report.cannot_cause")]
    return [*found, t("report.cannot_others"), t("report.cannot_fewer"), t("night.cannot_judge")]


def _warnings(night: NightReport) -> list[str]:
    """Return what the detector said of sites, by the names that people read."""
    labels = {one.site: one.label for one in night.sites}
    parts = [text.partition(":") for text in night.warnings]
    return [f"{labels.get(site, site)}{colon}{rest}" for site, colon, rest in parts]


def left_out(nights: NightsReport) -> list[str]:
    """Return the nights that stand in no trend of a site, a sentence a site."""
    by_site: dict[str, list[str]] = {}
    for one in nights.left_out:
        by_site.setdefault(one.label, []).append(t("report.left_out_night", night=one.night, why=one.why))
    return [t("report.left_out", site=site, nights="; ".join(found)) for site, found in by_site.items()]


def regions(names: tuple[str, ...]) -> str:
    """Return regions of the body by their names."""
    return ", ".join(t(f"report.region_{name}") for name in names)


def kinds(night: NightReport) -> list[str]:
    """Return what times of a night were good for: the usual kinds, and those that this night has."""
    usual = ("valid", "movement", "gap", "not_worn")
    found = {kind for one in night.sites for kind, whole_s in parts(one).items() if whole_s}
    every = night.sites[0].seconds if night.sites else {}
    return [kind for kind in every if kind in found.union(usual)]


def parts(one: SiteReport) -> dict[str, int]:
    """Return what a site's night was good for in whole seconds, which add up to the night's.

    Each ends at the whole second that is nearest to the sum so far: rounded one by one they may add up to
    more or less.
    """
    ends_s = [round(end_s) for end_s in accumulate(one.seconds.values())]
    return dict(zip(one.seconds, (b - a for a, b in pairwise([0, *ends_s])), strict=True))


def beside(night: NightReport, site: str, nights: NightsReport) -> tuple[str, str]:
    """Return a site's night as it stands beside others, above the limit that they share or its own.

    And what has to be known of it: its own limit, or that something else than twitching changed.
    """
    own = next((one for one in night.sites if one.site == site), None)
    if own is None:
        return t("report.not_in_night"), ""
    if own.state in UNSEEN:
        return rate(own), ""
    nights_of = next((one.nights for one in nights.trends if one.site == site), ())
    named = (night.night, night.evening)
    above = next((one for one in nights_of if (one.night, one.evening) == named), None)
    shown = own if above is None else above
    told, span = rates(shown.rate_per_h, shown.rate_low, shown.rate_high)
    told = told if above else rate(own)
    words = t("report.beside", rate=told, interval=span)
    if above is None:
        return words, t(f"report.own_limit_{own.limit}", mg=limit(own))
    return words, t("report.changed") if above.changed else ""
