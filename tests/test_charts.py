"""The pictures of a night: body figure, map, time axis, terminal; what they show and what they never say."""

from __future__ import annotations

import io
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from firmware_host.body import SITES
from firmware_host.errors import BadValueError, MissingExtraError
from firmware_host.recording.night import zone
from firmware_host.review.charts import body_figure
from firmware_host.review.charts.colours import PALETTE, mixed, scale_for
from firmware_host.review.charts.layouts import PAPER, SCREEN, Layout
from firmware_host.review.charts.map_data import MapData, duration_words, rate_words, valid_words
from firmware_host.review.charts.night_map import night_map
from firmware_host.review.charts.scene import Point, Scene, Shape, Words, rect, to_png, to_svg
from firmware_host.review.charts.terminal import terminal_map
from firmware_host.review.charts.time_axis import clock_changes, ticks
from firmware_host.twitch_map import State, twitch_map
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, table

SVG = "{http://www.w3.org/2000/svg}"
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 11, 22, 22, 31, tzinfo=BERLIN)
FORBIDDEN = re.compile(
    r"\b(als|amyotroph\w*|disease|patient|symptom|severe|severity|abnormal|pathologic\w*|danger\w*|warning|alarm\w*"
    r"|worse|better|improve\w*|healthy|fasciculation\w*|diagnos\w*)\b",
    re.IGNORECASE,
)


def ns(moment: datetime) -> int:
    """Return a moment as UTC nanoseconds."""
    return int(moment.timestamp()) * 10**9


def night(
    *sites: str, start: datetime = START, hours: float = 8.0, origin: str = "recorded", title: str = "A night"
) -> MapData:
    """Make a night: sites twitch 30 times an hour; the first has a gap, the second is taken off after 5 h."""
    end_s = 3600 * hours
    rng = np.random.default_rng(1)
    events, coverage = [np.zeros(0, EVENT_DTYPE)], [np.zeros(0, COVERAGE_DTYPE)]
    for index, name in enumerate(sites):
        kind = (Kind.GAP, Kind.NOT_WORN, Kind.MOVEMENT)[min(index, 2)]
        edges = ((2, 3), (5, hours), (4, 4.1))[min(index, 2)]
        spans = [(0.0, edges[0], Kind.VALID), (edges[0], edges[1], kind), (edges[1], hours, Kind.VALID)]
        spans = [span for span in spans if span[1] > span[0]]
        starts, ends, kinds = zip(*spans, strict=True)
        coverage.append(
            table(
                COVERAGE_DTYPE, len(spans), site=name, kind=kinds,
                start_s=3600 * np.array(starts), end_s=3600 * np.array(ends),
            )
        )  # fmt: skip
        peaks = np.sort(rng.uniform(0, end_s, int(30 * hours)))
        events.append(table(EVENT_DTYPE, len(peaks), site=name, peak_s=peaks, onset_s=peaks, counted=True))
    tables = np.concatenate(events), np.concatenate(coverage), sites, ns(start)
    bins, totals = (twitch_map(*tables, bin_s, end_s) for bin_s in (900.0, None))
    end_ns = ns(start) + round(end_s * 1e9)
    return MapData(title, ns(start), end_ns, "Europe/Berlin", origin, bins, totals, tables[1])


def is_inside(point: Point, outline: Shape) -> bool:
    """Tell whether a point lies inside a closed shape (even-odd rule over its points)."""
    x, y = point
    corners = [outline.start]
    for a, b, end in outline.curves:
        (x0, y0) = corners[-1]
        for t in (0.25, 0.5, 0.75, 1.0):
            s = 1 - t
            corners.append(
                (
                    s**3 * x0 + 3 * s * s * t * a[0] + 3 * s * t * t * b[0] + t**3 * end[0],
                    s**3 * y0 + 3 * s * s * t * a[1] + 3 * s * t * t * b[1] + t**3 * end[1],
                )
            )
    crossings = 0
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            crossings += 1
    return crossings % 2 == 1


def test_every_site_has_a_region_inside_the_figure() -> None:
    """Each of the sites is drawn in exactly one view, and no part of its region leaves the silhouette."""
    outline = body_figure.silhouette(0, 0, 1)
    front, back = body_figure.regions("front", 0, 0, 1), body_figure.regions("back", 0, 0, 1)
    assert sorted([*front, *back]) == sorted(SITES)
    for name, region in {**front, **back}.items():
        assert all(is_inside(point, outline) for point in region.points()), name
        assert is_inside(body_figure.centre(region), region), name


def test_regions_do_not_overlap() -> None:
    """No point of a region lies in another region of the same view."""
    for view in ("front", "back"):
        drawn = body_figure.regions(view, 0, 0, 1)
        for name, region in drawn.items():
            for other, shape in drawn.items():
                assert name == other or not any(is_inside(p, shape) for p in region.points()), (name, other)


def test_left_is_the_persons_left() -> None:
    """Left sites stand at the viewer's right in the front view and at the viewer's left in the back view."""
    for view, sign in (("front", 1), ("back", -1)):
        for name, region in body_figure.regions(view, 500, 0, 1).items():
            side = sign if SITES[name].side == "left" else -sign
            assert all((x - 500) * side > 0 for x, _ in region.points()), name


def test_the_body_is_drawn_from_head_to_foot() -> None:
    """Regions stand where the body has them: the face above the chest, the thigh above the shin."""
    drawn = body_figure.regions("front", 0, 0, 1) | body_figure.regions("back", 0, 0, 1)
    order = ["face", "jaw", "tongue", "neck", "chest", "abdomen", "thigh", "shin", "foot"]
    heights = [body_figure.centre(drawn[f"left_{place}"])[1] for place in order]
    assert heights == sorted(heights)


@pytest.mark.parametrize(
    "sites", [(), ("left_calf",), ("left_calf", "right_calf", "left_calf.2", "left_tongue"), tuple(SITES)]
)
def test_the_map_is_well_formed_and_names_every_site_once(sites: tuple[str, ...]) -> None:
    """The SVG is XML, and each site is one shape with a title: its number, or that it was not measured."""
    root = ET.fromstring(to_svg(night_map(night(*sites))))
    titles = {
        shape.get("data-site"): shape.findtext(f"{SVG}title") or ""
        for shape in root.iter(f"{SVG}path")
        if shape.get("data-site")
    }
    assert sorted(name or "" for name in titles) == sorted(SITES)
    worn = {name.partition(".")[0] for name in sites}
    for name, title in titles.items():
        assert name
        assert title.startswith(SITES[name].label)
        assert ("not measured" in title) == (name not in worn)
    assert root.findtext(f"{SVG}title") == "Twitch map: A night"
    assert "not a diagnosis" in (root.findtext(f"{SVG}desc") or "")


def words_of(scene: Scene) -> list[str]:
    """Return all texts of a scene, titles too."""
    return [item.text if isinstance(item, Words) else item.title for item in scene.items]


def test_time_that_was_not_observed_is_hatched_and_never_zero() -> None:
    """Bins of a gap are hatched, bins without the sensor dotted, and neither has a bar or a number."""
    data = night("left_calf", "right_calf")
    scene = night_map(data)
    strips = [item for item in scene.items if isinstance(item, Shape) and re.match(r"\d\d:\d\d ", item.title)]
    expected = {"lines": State.NOT_OBSERVED, "dots": State.NOT_WORN}
    for hatch, state in expected.items():
        drawn = [item for item in strips if item.hatch == hatch]
        assert len(drawn) == np.sum(data.bins["state"] == state) >= 3
        assert all(item.title.endswith(("not observed", "not worn")) for item in drawn)
    bars = [item for item in strips if not item.hatch]
    assert len(bars) == np.sum(data.bins["twitches"] > 0)
    assert all("per valid hour" in item.title for item in bars)


def test_a_site_never_observed_is_patterned_on_the_body() -> None:
    """A worn sensor without valid time is hatched on the figure, not coloured as zero."""
    data = night("left_calf")
    coverage = data.coverage[:1].copy()
    coverage["end_s"], coverage["kind"] = data.night_s, Kind.NOT_WORN
    bins, totals = (
        twitch_map(np.zeros(0, EVENT_DTYPE), coverage, ["left_calf"], data.start_ns, bin_s, data.night_s)
        for bin_s in (900, None)
    )
    scene = night_map(replace(data, coverage=coverage, bins=bins, totals=totals))
    calf = next(item for item in scene.items if isinstance(item, Shape) and item.site == "left_calf")
    assert (calf.hatch, calf.fill) == ("dots", "#ffffff")
    assert "left calf: not worn" in calf.title


def test_numbers_stand_with_interval_valid_time_and_limit() -> None:
    """Each worn site shows its rate with interval, its valid time, and that no limit was measured yet."""
    data = night("left_calf")
    text = "\n".join(words_of(night_map(data)))
    row = data.totals[0]
    assert re.search(r"\b3\d per valid hour \(2\d to 3\d\)", rate_words(row))
    assert valid_words(row, data) == "7 h valid of 8 h"
    assert rate_words(row) in text
    assert "7 h valid of 8 h; detection limit not known" in text


def test_words_tell_none_from_not_observed_and_doubtful_wear() -> None:
    """Zero reads as none seen with its upper limit; doubtful wear is told beside the valid time."""
    data = night("left_calf")
    row = data.totals[0].copy()
    row["twitches"], row["rate_per_h"], row["rate_low"], row["rate_high"] = 0, 0, 0, 3 / 7
    assert rate_words(row) == "none seen (0 to 0.43 per valid hour)"
    data.coverage["wear_unconfirmed"] = True
    assert valid_words(row, data) == "7 h valid of 8 h, wearing not confirmed in 7 h of it"
    assert [duration_words(s) for s in (0, 59.4, 60, 3600, 22_320)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h",
        "6 h 12 min",
    ]


def test_simulated_nights_are_marked() -> None:
    """A simulated night says so on picture and terminal, a recorded one does not."""
    simulated, recorded = (night("left_calf", origin=origin) for origin in ("simulated", "recorded"))
    assert "simulated" in words_of(night_map(simulated))
    assert "[simulated]" in terminal_map(simulated)
    assert "simulated" not in to_svg(night_map(recorded)) + terminal_map(recorded)


def test_the_words_are_calm() -> None:
    """But for the note that it is no diagnosis, no text names a disease, judges or alarms."""
    data = night("left_calf", "right_calf", "left_tongue")
    text = "\n".join(words_of(night_map(data))) + night_map(data).description + terminal_map(data)
    assert not FORBIDDEN.search(text.replace("not a diagnosis", "").replace("not a\ndiagnosis", ""))


def lightness(colour: str) -> float:
    """Return the CIE lightness of a colour."""
    r, g, b = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (r, g, b)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * float(np.cbrt(luminance)) - 16


def test_the_colour_scale_is_even_and_never_red() -> None:
    """Lightness falls in even steps, so the order shows to any eye, and blue always leads red."""
    steps = np.diff([lightness(mixed(share)) for share in np.linspace(0, 1, 15)])
    assert np.all(steps < -2)
    assert steps.min() / steps.max() < 1.8
    assert all(int(colour[5:], 16) > int(colour[1:3], 16) for colour in PALETTE)


@pytest.mark.parametrize("rates", [[], [0.0], [0.3], [38, 24, 6], [60, 2400, 1.5], [1e-3, 1e5]])
def test_legends_start_at_zero(rates: list[float]) -> None:
    """Every scale begins at zero, holds all rates, and has a few rising ticks."""
    scale = scale_for(rates)
    marks = scale.ticks()
    assert marks[0] == 0
    assert scale.share(0) == 0
    assert marks == sorted(set(marks))
    assert 2 <= len(marks) <= 7
    assert all(scale.top >= rate for rate in rates)
    assert scale.colour(0) == PALETTE[0]


def test_wide_rates_get_a_square_root_scale_that_is_explained() -> None:
    """Where rates span decades the legend says that its scale is not linear."""
    data = night("left_calf", "right_calf")
    data.totals["rate_per_h"] = [2, 900]
    assert any("square-root scale" in text for text in words_of(night_map(data)))


def test_a_bar_above_its_strip_is_cut_and_said_to_be() -> None:
    """Bins of little valid time set a strip's scale where it has no others; else their bars are cut."""
    data = night("left_calf")
    data.bins["valid_s"] = np.minimum(data.bins["valid_s"], 60)
    seen = data.bins["rate_per_h"][data.bins["valid_s"] > 0]
    for first_s, top in ((60, scale_for(seen).top), (900, scale_for([4.0]).top)):
        data.bins["valid_s"][0], data.bins["rate_per_h"][0] = first_s, 4.0
        scene = night_map(data)
        cuts = [item for item in scene.items if isinstance(item, Shape) and item.stroke == "#ffffff"]
        assert f"{top:,g}" in words_of(scene)
        assert len(cuts) == np.sum(data.bins["rate_per_h"] > top)
        assert any("cut bars go on" in words for words in words_of(scene)) == (first_s == 900)
    assert cuts


def test_two_sensors_at_a_site_share_its_region() -> None:
    """A second sensor has a strip of its own and its own number at the one region."""
    scene = night_map(night("left_calf", "left_calf.2"))
    assert sum(isinstance(item, Shape) and item.site == "left_calf" for item in scene.items) == 1
    assert {"left calf", "left calf, sensor 2"} <= set(words_of(scene))


@pytest.mark.parametrize("layout", [SCREEN, PAPER])
@pytest.mark.parametrize("sites", [("left_calf", "right_calf"), tuple(sorted(SITES))[:8]])
def test_everything_lies_on_the_picture(layout: Layout, sites: tuple[str, ...]) -> None:
    """With all patterns to explain, too, nothing stands beyond the edge, on a screen or on paper."""
    data = night(*sites)
    data.bins["valid_s"] = np.minimum(data.bins["valid_s"], 60)  # bars of little valid time
    data.bins["state"][0] = State.WEAR_UNCONFIRMED
    scene = night_map(data, layout)
    assert {"not worn", "bar of little valid time", "valid, wearing not confirmed"} <= set(words_of(scene))
    for item in scene.items:
        for x, y in item.points() if isinstance(item, Shape) else [(item.x, item.y + 0.2 * item.size)]:
            assert 0 <= x <= scene.width
            assert 0 <= y <= scene.height


def test_the_same_night_gives_the_same_picture() -> None:
    """SVG text is deterministic, whatever the order of the sites."""
    data = night("left_calf", "left_tongue")
    other = replace(data, totals=data.totals[::-1])
    assert to_svg(night_map(data)) == to_svg(night_map(other))


def test_text_from_outside_is_escaped() -> None:
    """Markup and control characters in a title arrive as text."""
    svg = to_svg(night_map(night("left_calf", title='<script>&"\x00\x1b[31m')))
    root = ET.fromstring(svg)
    assert "<script>" not in svg
    assert '<script>&" ' in (root.findtext(f"{SVG}title") or "")
    assert "\x1b" not in terminal_map(night("left_calf", title="\x1b[31m"))


@pytest.mark.parametrize(
    ("start", "hours", "labels", "change"),
    [
        (
            datetime(2026, 10, 24, 22, tzinfo=BERLIN),
            9,
            "22 23 00 01 02 02 03 04 05 06",
            "clocks back 1 h at 03:00",
        ),
        (
            datetime(2026, 3, 28, 22, tzinfo=BERLIN),
            7,
            "22 23 00 01 03 04 05 06",
            "clocks forward 1 h at 02:00",
        ),
        (datetime(2026, 11, 22, 22, tzinfo=BERLIN), 8, "22 23 00 01 02 03 04 05 06", ""),
    ],
)
def test_the_axis_is_right_when_the_clocks_change(
    start: datetime, hours: int, labels: str, change: str
) -> None:
    """A clock change shows the hour that comes twice, or leaves out the one that does not come."""
    start_ns = ns(start)
    end_ns = start_ns + hours * 3600 * 10**9
    marks = ticks(start_ns, end_ns, BERLIN)
    assert [mark.label for mark in marks] == [f"{hour}:00" for hour in labels.split()]
    assert np.all(np.diff([mark.ns for mark in marks]) == 3600 * 10**9)
    assert [each.label for each in clock_changes(start_ns, end_ns, BERLIN)] == [change] * bool(change)


@pytest.mark.parametrize(
    ("noon", "hours", "labels"),
    [
        (datetime(2026, 10, 24, 12, tzinfo=BERLIN), 25, "12 15 18 21 00 03 06 09 12"),
        (datetime(2026, 3, 28, 12, tzinfo=BERLIN), 23, "12 14 16 18 20 22 00 04 06 08 10 12"),
    ],
)
def test_days_of_25_and_23_hours(noon: datetime, hours: int, labels: str) -> None:
    """From noon to noon over a clock change there are 25 or 23 hours; marks stay on full local hours."""
    end = noon.replace(day=noon.day + 1)
    assert ns(end) - ns(noon) == hours * 3600 * 10**9
    assert [mark.label for mark in ticks(ns(noon), ns(end), BERLIN)] == [f"{h}:00" for h in labels.split()]


@pytest.mark.parametrize("span_s", [0, 3, 100, 4000, 30_000, 10 * 86_400])
@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia", "UTC"])
def test_ticks_are_few_and_round_in_any_zone(span_s: int, zone: str) -> None:
    """From seconds to days, in zones with odd offsets, there are a few rising marks inside the night."""
    start_ns = 5_400 * 10**9 + 123  # 1970, when Monrovia was 44 min 30 s behind
    marks = ticks(start_ns, start_ns + span_s * 10**9, ZoneInfo(zone))
    assert len(marks) <= 13
    assert span_s < 100 or len(marks) >= 4
    assert all(start_ns <= mark.ns <= start_ns + span_s * 10**9 for mark in marks)


def test_a_clock_change_of_half_an_hour() -> None:
    """Where clocks change by half an hour, the axis goes on with full local hours."""
    start = datetime(2026, 4, 4, 12, tzinfo=UTC)
    zone = ZoneInfo("Australia/Lord_Howe")
    assert [each.label for each in clock_changes(ns(start), ns(start) + 8 * 3600 * 10**9, zone)] == [
        "clocks back 30 min at 02:00"
    ]
    assert all(mark.label.endswith(":00") for mark in ticks(ns(start), ns(start) + 8 * 3600 * 10**9, zone))


def test_an_unknown_zone_gets_a_sentence() -> None:
    """A name that is no time zone is refused, also one that looks like a path."""
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(BadValueError, match="Europe/Berlin"):
            zone(name)


def test_the_terminal_shows_gaps_apart_from_zero() -> None:
    """Each site is a strip of the width asked for, with its number, gaps and time without the sensor."""
    text = terminal_map(night("left_calf", "right_calf"), 80, "utf-8")
    lines = text.splitlines()
    strips = [line for line in lines if line.startswith("│")]
    assert [len(line) for line in strips] == [80, 80]
    assert 6 <= strips[0].count("░") <= 12
    assert 25 <= strips[1].count("·") <= 32
    assert any(
        line.startswith("left calf") and line.endswith(")") and "per valid hour" in line for line in lines
    )
    assert "23:00" in text
    assert "none seen" in text


@pytest.mark.parametrize("width", [1, 40, 57, 80, 500])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "no-such-encoding"])
def test_the_terminal_fits_its_width_and_encoding(width: int, encoding: str) -> None:
    """Lines never exceed the width, and only characters of the encoding are used."""
    if encoding == "no-such-encoding":
        encoding = "ascii"
    text = terminal_map(night("left_tongue.2", "right_calf", title="Núit " * 20), width, encoding)
    assert max(map(len, text.splitlines())) <= min(max(width, 40), 160)
    assert text.encode(encoding).decode(encoding) == text
    assert ("░" in text) == (encoding == "utf-8")


@pytest.mark.parametrize("bin_s", [60.0, 900.0, 1800.0])
def test_the_terminal_takes_bins_of_any_length(bin_s: float) -> None:
    """Bins shorter or longer than a column give the same silent hour and the same strip length."""
    data = night("left_calf")
    empty = np.zeros(0, EVENT_DTYPE)
    data = replace(
        data, bins=twitch_map(empty, data.coverage, ["left_calf"], data.start_ns, bin_s, data.night_s)
    )
    strip = next(line for line in terminal_map(data, 80, "utf-8").splitlines() if line.startswith("│"))
    assert set(strip) == {"│", "░", " "}
    assert len(strip) == 80


def test_the_terminal_tells_none_where_wearing_is_not_confirmed() -> None:
    """Quiet hours of a sensor that may lie on the nightstand do not look like hours without twitches."""
    data = night("left_calf")
    data.coverage["wear_unconfirmed"] = data.coverage["start_s"] >= 3 * 3600
    empty = np.zeros(0, EVENT_DTYPE)
    data = replace(
        data, bins=twitch_map(empty, data.coverage, ["left_calf"], data.start_ns, 900, data.night_s)
    )
    for encoding, mark, edge in (("utf-8", "╌", "│"), ("ascii", "~", "|")):
        text = terminal_map(data, 80, encoding)
        strip = next(line for line in text.splitlines() if line.startswith(edge))
        assert strip.count(mark) == pytest.approx(78 * 5 / 8, abs=1)
        assert strip.count(" ") == pytest.approx(78 * 2 / 8, abs=3)
        assert f"{mark} none seen, wearing not confirmed" in text
    assert "not confirmed" not in terminal_map(night("right_calf"), 80, "utf-8")


def test_an_empty_night_can_be_drawn() -> None:
    """A night without sites or length gives a picture and a text, not an error."""
    data = replace(night(), end_ns=ns(START))
    assert ET.fromstring(to_svg(night_map(data))) is not None
    assert "A night" in terminal_map(data)


def test_a_png_is_drawn_by_matplotlib() -> None:
    """The same scene becomes a PNG of the size asked for, with the hatching inside its shape."""
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    from matplotlib.image import imread

    items = (rect(10, 10, 40, 30, fill="#ffffff", hatch="lines"), rect(60, 10, 30, 30, fill="#2d6e94"))
    image = imread(io.BytesIO(to_png(Scene(100, 50, "t", "d", items), scale=2)))
    assert image.shape[:2] == (100, 200)
    assert np.allclose(image[50, 150, :3], np.array([0x2D, 0x6E, 0x94]) / 255, atol=0.01)
    assert image[30:70, 30:90, :3].min() < 0.9
    assert np.all(image[:18] == 1)
    assert np.all(image[:, 102:118] == 1)


def test_a_whole_map_becomes_a_png() -> None:
    """The map of a night with `$` and markup in its title can be drawn as PNG."""
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    png = to_png(night_map(night("left_calf", "right_calf", title="$x_{1}$ <b>")), scale=0.5)
    assert png.startswith(b"\x89PNG")


def test_a_png_without_matplotlib_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the sentence names the install command and the way without it."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r"twitchmap\[plots\].*--svg"):
        to_png(Scene(10, 10, "t", "d", ()))
