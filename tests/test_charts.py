"""The pictures of a night: body figure, map, legends, files; what they show and what they never say."""

from __future__ import annotations

import io
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from drawn_nights import START, night, ns

from firmware_host.body import SITES
from firmware_host.errors import MissingExtraError
from firmware_host.review.charts import body_figure
from firmware_host.review.charts.colours import PALETTE, mixed, scale_for
from firmware_host.review.charts.layouts import PAPER, SCREEN, Layout
from firmware_host.review.charts.map_data import duration_words, rate_words, short_rate, valid_words
from firmware_host.review.charts.night_map import night_map
from firmware_host.review.charts.scene import Point, Scene, Shape, Words, rect, to_png, to_svg
from firmware_host.review.charts.terminal import terminal_map
from firmware_host.twitch_map import State, twitch_map
from firmware_host.twitches import EVENT_DTYPE, Kind

SVG = "{http://www.w3.org/2000/svg}"
FORBIDDEN = re.compile(
    r"\b(als|amyotroph\w*|disease|patient|symptom|severe|severity|abnormal|pathologic\w*|danger\w*|warning|alarm\w*"
    r"|worse|better|improve\w*|healthy|fasciculation\w*|diagnos\w*)\b",
    re.IGNORECASE,
)


@cache
def corners_of(outline: Shape) -> np.ndarray:
    """Return the points of a shape's edge, four a curve."""
    corners = np.array([outline.start])
    t = np.array([[0.25], [0.5], [0.75], [1.0]])
    for a, b, end in np.array(outline.curves):
        along = (1 - t) ** 3 * corners[-1] + 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3 * end
        corners = np.concatenate([corners, along])
    return corners


def inside(points: Iterable[Point], outline: Shape) -> np.ndarray:
    """Tell of points whether each lies inside a closed shape (even-odd rule)."""
    x, y = np.array(list(points)).T[:, :, None]
    corners = corners_of(outline)
    (x1, y1), (x2, y2) = corners.T, np.roll(corners, -1, axis=0).T
    with np.errstate(divide="ignore", invalid="ignore"):  # edges along x, which nothing crosses
        crossed = ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return np.asarray(crossed.sum(axis=1) % 2 == 1)


def test_every_site_has_a_region_inside_the_figure() -> None:
    """Each of the sites is drawn in exactly one view, and no part of its region leaves the silhouette."""
    outline = body_figure.silhouette(0, 0, 1)
    front, back = body_figure.regions("front", 0, 0, 1), body_figure.regions("back", 0, 0, 1)
    assert sorted([*front, *back]) == sorted(SITES)
    for name, region in {**front, **back}.items():
        assert inside(region.points(), outline).all(), name
        assert inside([body_figure.centre(region)], region).all(), name


def test_regions_do_not_overlap() -> None:
    """No point of a region lies in another region of the same view."""
    for view in ("front", "back"):
        drawn = body_figure.regions(view, 0, 0, 1)
        for name, region in drawn.items():
            for other, shape in drawn.items():
                assert name == other or not inside(region.points(), shape).any(), (name, other)


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
    row["twitches"], row["rate_per_h"], row["rate_high"] = 1, 0.04, 0.9
    assert (rate_words(row), short_rate(row)) == ("0.04 per valid hour (0 to 0.90)", "0.04/h")
    assert [duration_words(s) for s in (0, 0.2, 59.4, 60, 3600, 22_320)] == [
        "0 s",
        "0.2 s",
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
