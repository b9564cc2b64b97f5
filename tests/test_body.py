"""Body sites: the table, its names, and what a wrong name is answered."""

from __future__ import annotations

import subprocess
import sys

import pytest

from firmware_host.body import SITES, order, site
from firmware_host.errors import BadValueError


def test_at_least_46_sites_in_left_and_right_pairs() -> None:
    """Each place is there on both sides, with one region, one view and a label that a person reads."""
    assert len(SITES) >= 46
    for name, place in SITES.items():
        other = SITES[
            name.replace("left_", "right_") if place.side == "left" else name.replace("right_", "left_")
        ]
        assert name == place.name == place.base
        assert (place.region, place.view) == (other.region, other.view)
        assert {place.side, other.side} == {"left", "right"}
        assert place.label.startswith(place.side)
    assert len({place.label for place in SITES.values()}) == len(SITES)
    assert {place.region for place in SITES.values()} == {"bulbar", "cervical", "thoracic", "lumbosacral"}


ASKED_FOR = (
    "face",
    "tongue",
    "neck",
    "shoulder",
    "upper_arm",
    "forearm",
    "hand",
    "chest",
    "abdomen",
    "upper_back",
)
ASKED_FOR += ("lower_back", "gluteal", "thigh", "thigh_back", "shin", "calf", "foot")


@pytest.mark.parametrize("place", ASKED_FOR)
def test_the_places_that_are_asked_for_are_there(place: str) -> None:
    """Every place named in the order for the body figure exists on both sides."""
    assert f"left_{place}" in SITES
    assert f"right_{place}" in SITES


def test_a_second_sensor_at_a_site() -> None:
    """`left_calf.2` is a sensor of its own at the left calf."""
    second = site("left_calf.2")
    assert (second.name, second.base, second.region) == ("left_calf.2", "left_calf", "lumbosacral")
    assert second.label == "left calf, sensor 2"
    assert site("left_calf.2").base == site("left_calf").base == "left_calf"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("left_claf", "left_calf"),
        ("Left Calf", "left_calf"),
        ("calf", "left_calf"),
        ("left_thigh_front", "left_thigh"),
        ("", "look like left_calf"),
        ("zzz\n", "look like"),
        ("left_calf.1", r"left_calf\.2 to left_calf\.9"),
        ("left_calf.", "left_calf.2"),
        ("left_calf.2.3", "left_calf.2"),
    ],
)
def test_a_wrong_site_is_answered_with_the_nearest_ones(name: str, match: str) -> None:
    """A name that is no site gives one sentence with near matches or the form of a name."""
    with pytest.raises(BadValueError, match=match):
        site(name)


def test_sites_sort_from_head_to_foot() -> None:
    """The order of sites is the body's, and a second sensor follows the first."""
    names = ["left_calf.2", "right_face", "left_calf", "left_upper_arm"]
    assert sorted(names, key=order) == ["right_face", "left_upper_arm", "left_calf", "left_calf.2"]


def test_the_list_of_sites_can_be_printed() -> None:
    """`python -m firmware_host.body`, which the error names, prints every site."""
    done = subprocess.run(
        [sys.executable, "-m", "firmware_host.body"], capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SITES)
