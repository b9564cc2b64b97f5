"""The sentences of a model card; every number in them is filled in from an evaluation."""

from __future__ import annotations

HOW = """Written by `twitchmap evaluate --model {name} --card FILE.md`, twitchmap {twitchmap}, simulator
{simulator}. {subjects} virtual people, and others for rarer sorts of nights, {hours:g} h each. Their
numbers are never trained on, nor are these families: twitch shapes {shapes}; chips {chips}; rates
{rates} Hz. All {confounders} kinds of confounders occur, also those that training lacks. Brackets hold
95 % intervals: whole people drawn with replacement. Everything under a title with the word simulated is
simulated; nothing of it is anybody's recording. In simulated nights plain counts what pass 1 leaves of
the heartbeat's plain beats; on real recordings it knows no heartbeat at all."""

BY_SCORE = (
    """`score`, the largest answer of the template bank over the local noise; it knows no probability"""
)
BY_TREES = """calibrated probability, from trees over {features} features of a candidate"""

BY_UNITS = """; then, in pass 2, from trees over {features} features, its unit's among them; side lobes by
trees of their own, over {of_lobes}"""

PROMISES = """At the balanced point {met} of {of} measured figures are as asked for. What is simulated says
so; the last rows are of real sensors. A score of nights does not count where less than {valid} of their time
without movement and gaps is valid."""

FILTER = """Known filter: what a matched filter of each twitch's own unit would find in white noise of the
same density at 1 false alarm an hour (science 6.1)."""

OTHER_SORTS = """Other people than above. Twitch rates are ten times fewer or more than the person's own;
people of the profile many are passed over for ten times more, as nobody twitches so often. Laid aside: two
sites, one sensor lies on a table for a while."""

CAUSES = """Each false alarm has the shortest of the happenings that were there, of what lasts for minutes the
one nearest to its size, or was the smaller part of a found twitch (second maximum)."""

REJECTED = """Candidates of mixed nights that {judge} does not count, by what they were: in percent, the
reason that each was given by simple rules. {fitting} of all but the missed twitches (twitch) have one that
fits their cause. Where two things happen at once either may be named."""

CALIBRATION = """Of candidates with a probability between so and so: the share that are twitches, of how
many, at which mean probability. Where twitches are ten times rarer or more frequent the same probability
can be too high or too low: it holds for the mix of nights that it was made on."""

NOISE = """A sensor with its steps, drift and noise on three axes; breath tilts it below the band. First
recordings without twitches: false alarms of {balanced}, an hour, and the upper 95 % limit (Poisson). `above`
marks more than 0.1 an hour beyond what chance gives one of so many; a chip of {noticed} an hour would be
marked 9 times in 10. Then, by rise of the twitch, the size found 9 times in 10, over what the ideal bank of
four filters needs at the same false alarms an hour ({rates}), band and measured density, directions at
random, with one standard error."""

ADDED = """Real twitch shapes (evoked, of a thigh) were added to real rest at sizes that are assumed:
nobody has published the acceleration of a fasciculation. Nothing was developed on the people kept
aside."""

EQUAL = """At equal recall of added twitches: `score` alone (the plain detector) is taken from where it
finds as many, and its false alarms are set against those of {balanced}, in the same recordings and in rest
without added twitches. Who counts often also meets twitches by chance: beyond chance, recall is
(r - c) / (1 - c), with c what the same events meet at times without a twitch."""

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
