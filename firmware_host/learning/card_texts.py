"""The sentences of a model card; every number in them is filled in from an evaluation."""

from __future__ import annotations

HOW = """Written by `twitchmap evaluate --model {name} --card FILE.md`, twitchmap {twitchmap}, simulator
{simulator}. {subjects} virtual people, and others for rarer sorts of nights, {hours:g} h each. Their
numbers are never trained on, nor are these families: twitch shapes {shapes}; chips {chips}; rates
{rates} Hz. All {confounders} kinds of confounders occur, also those that training lacks. Brackets hold
95 % intervals: whole people drawn with replacement. Everything under a title with the word simulated is
simulated; nothing of it is anybody's recording."""

BY_SCORE = (
    """`score`, the largest answer of the template bank over the local noise; it knows no probability"""
)
BY_TREES = """calibrated probability, from trees over {features} features of a candidate"""

CALIBRATION = """{situation} nights: expected calibration error {error} over {candidates} candidates,
{likely} over those of 0.1 and more; {true} of all candidates are twitches."""

NOISE = """False alarms, with the rate an hour and its upper 95 % limit (Poisson). A sensor with its
steps, drift and noise on three axes; breath tilts it below the band; no twitches."""

SIZES = """mg peak-to-peak in the band, random directions and phases, over what the ideal bank of four
filters needs at the same false alarms an hour ({rates}), band and measured density of the axes. Bank
and known shape (matched filter) are those of {balanced}. The error is one standard error."""

ADDED = """Real twitch shapes (evoked, of a thigh) were added to real rest at sizes that are assumed:
nobody has published the acceleration of a fasciculation. Nothing was developed on the people kept
aside."""

EQUAL = """At equal recall of added twitches: `score` alone (the plain detector) is taken from where it
finds as many, and its false alarms are set against the model's, in the same recordings and in rest
without added twitches."""

REST = """Nothing is known to twitch here: events, and in brackets events per valid hour."""

LIMITS_OF_A_THRESHOLD = """- It finds short bursts in 3-45 Hz that stand out of the local noise and
cannot tell what made them: on a chest each heartbeat is a burst of the size, band and length of a
twitch."""

LIMITS = (
    """- Simulated people follow published figures; what is assumed in them is named in docs/simulator.md.""",
    """- No labelled recording of fasciculations by an accelerometer is public: recall on people is not
    known.""",
    """- Counts of two nights or sites are compared only above the larger of their detection limits.""",
    """- It sees twitches, not their cause, and is not a diagnostic device.""",
)


def one_line(text: str, **values: object) -> str:
    """Return a text on one line, with its values filled in."""
    return " ".join(text.split()).format(**values)
