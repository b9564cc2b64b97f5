"""The evaluation as a whole: its people, its noise, one small run with its card, and what stops it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firmware_host.cli import commands
from firmware_host.errors import TwitchmapError
from firmware_host.learning.card import card
from firmware_host.learning.cohort_score import SITUATIONS, cases
from firmware_host.learning.evaluate import FULL, QUICK, evaluate, noise_cases
from firmware_host.learning.promises import promises
from firmware_host.simulation.chips import CHIPS
from firmware_host.simulation.cohort import TEST_NUMBERS, TRAIN_NUMBERS

pytestmark = [pytest.mark.lasts_s(20), pytest.mark.long]


def test_cohorts_are_people_that_training_never_sees() -> None:
    """Every night has another person with a test number; each sort of night has its rate."""
    made = cases(3, 2.0, 1.0, tuple(SITUATIONS))
    numbers = [case.number for case in made]
    assert len(set(numbers)) == len(numbers) == 3 + 5 * 2
    assert set(numbers) <= set(TEST_NUMBERS)
    assert not set(numbers) & set(TRAIN_NUMBERS)
    assert {case.situation: case.spec.rate_scale for case in made} == SITUATIONS
    assert all(case.spec.profile != "many" for case in made if case.situation == "ten times more")
    assert made == cases(3, 2.0, 1.0, tuple(SITUATIONS))


def test_noise_covers_every_chip_and_rate() -> None:
    """Each chip gets its hours of noise at each of its rates, and twitches at the one next to 100 Hz."""
    made = noise_cases(FULL)
    for chip in CHIPS.values():
        for rate in chip.rates_hz:
            hours = sum(
                c.hours for c in made if (c.chip, c.fs_hz, c.with_twitches) == (chip.name, rate, False)
            )
            assert hours == pytest.approx(FULL.noise_h if rate == chip.nearest_rate(100.0) else FULL.rates_h)
        assert any(case.chip == chip.name and case.with_twitches for case in made)
    assert len(set(made)) == len(made)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Run a tiny evaluation through the command line; return its JSON and its card."""
    path = tmp_path_factory.mktemp("evaluate") / "README.md"
    arguments = [
        "evaluate",
        "--model",
        "plain",
        "--subjects",
        "1",
        "--hours",
        "0.1",
        "--jobs",
        "1",
        "--quick",
    ]
    done = CliRunner().invoke(
        commands, [*arguments, "--only", "nights", "--only", "real", "--card", str(path), "--json"]
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), path.read_text(encoding="utf-8")


def test_a_small_evaluation_has_all_figures(small: tuple[dict[str, Any], str]) -> None:
    """Every situation is there, judged at every point; what was not given is skipped with a reason."""
    result, _ = small
    assert set(SITUATIONS) <= set(result["nights"])
    for situation in SITUATIONS:
        assert list(result["nights"][situation]["judges"]) == [
            "plain specific", "plain balanced", "plain sensitive",
        ]  # fmt: skip
        assert sum(result["nights"][situation]["time_share"].values()) == pytest.approx(1)
    counts = result["nights"]["mixed"]["judges"]
    known, bins = result["nights"]["mixed"]["known_filter_by_d"], counts["plain balanced"]["recall_by_d"]
    assert len(known) == len(bins) > 1
    assert known == sorted(known)
    assert counts["plain specific"]["counts"]["found"] <= counts["plain sensitive"]["counts"]["found"]
    assert "real recordings" in result["skipped"]
    assert result["effort"]["noise_h"] == QUICK.noise_h


def test_the_card_has_every_section(small: tuple[dict[str, Any], str]) -> None:
    """The card names each part; titles of simulated figures say so; nothing is left unfilled."""
    result, text = small
    sections = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert sections == [
        "What it must show", "How it was evaluated", "Held-out nights, simulated",
        "Other sorts of nights, simulated", "False alarms by cause, simulated",
        "Why candidates do not count, simulated",
        "Are the probabilities honest? (simulated)", "Worn or not worn, simulated",
        "By chip, rate, region and profile, simulated", "Real recordings", "Limits",
    ]  # fmt: skip
    assert text == card(result)
    assert not {"nan", "None", "{", "}"} & set(text.replace("|", " ").split())
    for table_ in text.split("\n\n"):
        rows = [line for line in table_.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1


def test_promises_are_compared_with_what_was_measured(small: tuple[dict[str, Any], str]) -> None:
    """A figure that was measured is met or not; one that was not says so."""
    result = json.loads(json.dumps(small[0]))
    result["nights"]["mixed"]["judges"]["plain balanced"]["figures"]["F1 d>=10"] = [0.9, 0.8, 0.95]
    result["nights"]["no twitches"]["judges"]["plain balanced"]["figures"]["false alarms per valid h"] = [
        7,
        5,
        9,
    ]
    met = {one.text: one.met for one in promises(result)}
    assert met["held-out nights (simulated): F1 for d >= 10"] is True
    assert met["nights without twitches (simulated): false alarms per valid h"] is False
    assert met["white noise, each chip (simulated): false alarms per h"] is None
    assert met["mixed nights (simulated): expected calibration error"] is None  # plain gives no probability


def test_a_score_of_little_valid_time_does_not_count(small: tuple[dict[str, Any], str]) -> None:
    """Beside a score stands how much was valid; below 60 % of the time without movement and gaps it is not
    met, however good it is."""
    result = json.loads(json.dumps(small[0]))
    mixed, text = result["nights"]["mixed"], "held-out nights (simulated): F1 for d >= 10"
    mixed["judges"]["plain balanced"]["figures"]["F1 d>=10"] = [0.95, 0.9, 0.97]
    for shares, met in (
        ({"valid": 0.43, "movement": 0.2, "gap": 0.1, "not_worn": 0.27}, True),
        ({"valid": 0.41, "movement": 0.2, "gap": 0.1, "not_worn": 0.29}, False),
    ):
        mixed["time_share"] = shares
        (told,) = (one for one in promises(result) if one.text == text)
        assert told.met is met
        assert told.value == f"0.95 (95 %: 0.9 to 0.97; {100 * shares['valid']:.1f} % of the time valid)"


def test_any_number_of_processes_gives_the_same() -> None:
    """One process and two give the same figures, digit for digit."""
    effort = replace(QUICK, subjects=1, hours=0.05, extra_hours=0.05)
    one, two = (evaluate("plain", effort=effort, parts=["nights"], jobs=jobs) for jobs in (1, 2))
    assert json.dumps(one) == json.dumps(two)


def test_a_card_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """No folder for the card: one sentence before the long work."""
    done = CliRunner().invoke(commands, ["evaluate", "--card", str(tmp_path / "absent" / "card.md")])
    assert isinstance(done.exception, TwitchmapError)
    assert "card.md" in str(done.exception)
