"""What time it was by a computer's clocks, of which one may be set, or not know the time yet. No I/O."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

SET_FROM_NS = 946_684_800 * 10**9
"""2000: a computer that says an earlier time has not learnt it yet."""
SETTLED_NS = 600 * 10**9


def offsets_ns(mono_ns: Ints, utc_ns: Ints, sampled: npt.NDArray[np.bool_], starts: Ints) -> Ints:
    """Return UTC less monotonic time, for each part of a log through which the monotonic clock ran.

    It is that of the part's last ten minutes: a computer without a clock chip learns the time later. A part
    that ended before that lies in front of the next one, by as much as the clock that was not set says.

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
        then_ns = int(mono_ns[begin]) + offsets[i + 1]
        if int(mono_ns[last]) + offsets[i] < SET_FROM_NS <= then_ns:
            between_ns = max(0, int(utc_ns[begin] - utc_ns[last])) if utc_ns[begin] < SET_FROM_NS else 0
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
