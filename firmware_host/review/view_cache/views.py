"""The signal views of a folder's nights: which are ready, and the one worker that makes the others."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from firmware_host.errors import TwitchmapError
from firmware_host.recording import Night
from firmware_host.review.texts import t
from firmware_host.review.view_cache.file import ViewCache
from firmware_host.review.view_cache.making import cache_of, make_cache

GROWN_AFTER_S = 300.0
"""The view of a night that is being recorded is lengthened so often: the recorder needs the disk too."""


AGAIN_AFTER_S = 30.0
"""What could not be made is tried again: a disk may have room by then."""


class _Stopped(Exception):  # noqa: N818 - no error: the server ends
    pass


@dataclass
class _Making:
    """The state of one night's view."""

    log_bytes: int
    being_written: bool
    share: float = 0.0
    ready: ViewCache | None = None
    sentence: str = ""
    """Why it could not be made."""
    since_s: float = field(default_factory=time.monotonic)
    work: Future[None] | None = field(default=None, repr=False)

    def serves(self, night: Night) -> bool:
        """Whether it is of a night as it is now, or of one that grows and was looked at not long ago."""
        if self.sentence and time.monotonic() - self.since_s > AGAIN_AFTER_S:
            return False
        if self.being_written and night.being_written:
            return self.log_bytes == night.scan.size or time.monotonic() - self.since_s < GROWN_AFTER_S
        return (self.log_bytes, self.being_written) == (night.scan.size, night.being_written)


class Views:
    """Makes `view.cache` in the background, one night after another; shared by all requests."""

    def __init__(self, _folder: Path) -> None:
        self._making: dict[Path, _Making] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="view")
        self._stop = threading.Event()

    def ask(self, night: Night) -> tuple[ViewCache | None, float, str]:
        """Return a night's view if it is ready, else how far it is, else why it cannot be made.

        What is missing or no longer of the log begins to be made. Of a night that has grown the old view
        serves until the new one is there.
        """
        with self._lock:
            making = self._making.get(night.path)
            same = making is not None and making.serves(night)
            gone = making is not None and making.ready is not None and not making.ready.unchanged
            if making is None or gone or (not same and (making.work is None or making.work.done())):
                last = None if making is None or gone else making.ready
                making = _Making(night.scan.size, night.being_written, ready=last)
                making.work = self._worker.submit(self._make, night, making)
                self._making[night.path] = making
        return making.ready, making.share, making.sentence

    def wait(self, night: Night) -> None:
        """Wait until a night's view is made or cannot be made."""
        self.ask(night)
        work = self._making[night.path].work
        if work is not None:
            work.result()

    def close(self) -> None:
        """Stop what is being made; nothing of it is left."""
        self._stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _make(self, night: Night, making: _Making) -> None:
        def tell(share: float) -> None:
            if self._stop.is_set():
                raise _Stopped
            making.share = share

        try:
            making.ready = cache_of(night) or make_cache(night, tell)
        except _Stopped:
            return
        except (TwitchmapError, OSError) as error:
            making.sentence = str(error)
        except Exception:  # a fault of ours: whoever waits for the view is told
            making.sentence = t("errors.fault")
            logging.getLogger(__name__).exception("The signal view of %s could not be made", night.path)
