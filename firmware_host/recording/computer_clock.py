"""What time it was by a computer's clocks, of which one may be set, or not know the time yet. No I/O."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

SET_FROM_NS = 946_684_800 * 10**9
"""2000: a computer that says an earlier time has not learnt it yet."""
CONTINUED_NS = 12 * 3600 * 10**9
"""A night that began longer ago is not gone on with."""
SLACK_NS = 60 * 10**9
"""Parts that seem to overlap by less do so because clocks are not read exactly."""
SETTLED_NS = 600 * 10**9


def offsets_ns(mono_ns: Ints, utc_ns: Ints, sampled: npt.NDArray[np.bool_], starts: Ints) -> Ints:
    """Return UTC less monotonic time, for each part of a log through which the monotonic clock ran.

    It is that of the part's last ten minutes: a computer without a clock chip learns the time later. A part
    that ended before that lies in front of the next one, by as much as the clock that was not set says; so
    does one that by the time as it was set would not have been gone on with.

    Parameters
    ----------
    mono_ns, utc_ns
        (n,) both clocks at each block of the log, in the order in which they were written.
    sampled
        (n,) blocks of samples: where a part has some, their clocks count.
    starts
        (k,) the first block of each part.
    """
    ends = [*starts[1:].tolist(), len(mono_ns)]
    parts = [slice(begin, end) for begin, end in zip(starts.tolist(), ends, strict=True)]
    offsets = [_settled_ns(mono_ns[part], utc_ns[part], sampled[part]) for part in parts]
    for i in reversed(range(len(parts) - 1)):
        last, begin = parts[i].stop - 1, parts[i + 1].start
        then_ns, last_ns = int(mono_ns[begin]) + offsets[i + 1], int(mono_ns[last]) + offsets[i]
        between_ns = int(utc_ns[begin] - utc_ns[last])
        never_knew = last_ns < SET_FROM_NS <= then_ns
        as_wrong = last_ns >= SET_FROM_NS and not -SLACK_NS <= then_ns - last_ns < CONTINUED_NS
        if never_knew and (utc_ns[begin] >= SET_FROM_NS or between_ns < 0):
            between_ns = 0
        if never_knew or (as_wrong and 0 <= between_ns < CONTINUED_NS):
            offsets[i] = then_ns - between_ns - int(mono_ns[last])
    return np.array(offsets or [0], np.int64)


def _settled_ns(mono_ns: Ints, utc_ns: Ints, sampled: npt.NDArray[np.bool_]) -> int:
    keep = sampled if sampled.any() else np.ones(len(mono_ns), bool)
    mono_ns, utc_ns = mono_ns[keep], utc_ns[keep]
    settled = mono_ns >= mono_ns.max() - SETTLED_NS
    if (known := settled & (utc_ns >= SET_FROM_NS)).any():
        settled = known
    offset_ns = np.sort((utc_ns - mono_ns)[settled])
    return int(offset_ns[len(offset_ns) // 2])  # a median that stays whole
