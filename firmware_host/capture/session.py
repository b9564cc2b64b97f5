"""The night while it is recorded: links deliver, clocks are watched, marks are taken, until its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from firmware_host import body
from firmware_host.capture.ends import SILENT_NS, PlannedEnd
from firmware_host.capture.outlet import SiteOutlet
from firmware_host.capture.stop import Stop
from firmware_host.capture.told import Sayings, Told, View, of_site
from firmware_host.capture.watch import HeldUp, Moment, Slept, Stepped, Watch, read_clocks
from firmware_host.recording import NightWriter
from firmware_host.recording.computer_clock import CONTINUED_NS, SET_FROM_NS
from firmware_host.recording.marks import Mark, close_spool, open_spool, remove_mark, waiting_marks

if TYPE_CHECKING:
    from firmware_host.capture.link import Link, Outlet, Wanted

TICK_S = 1.0
SETTLED_NS = 600 * 10**9
"""Ten minutes in, everything should stream; after that nobody is disturbed."""
AGAIN_S = 5.0
CLOSE_S = 15.0
"""The longest that the sensors are given to be stopped at the end."""
DISK_WAIT_NS = 12 * 3600 * 10**9
"""The longest that a disk which refuses is waited for after the end of a night."""
CLOSINGS, CLOSING_S = 5, 0.05
"""So often the end is tried where marks still come, and so long after one another."""

_log = logging.getLogger(__name__)

MakeLink = Callable[["Wanted", "Outlet"], "Link"]
_NOTHING_MISSING = "nothing that it was owed is missing."


class Session:
    """One run of the recorder on one night.

    Parameters
    ----------
    writer
        The night; it stays open.
    wanted
        Its sensors; each site is one of the night's.
    make_link
        Makes the link of a sensor that delivers to an outlet.
    told, stop
        Who is told, and who may end it.
    plan
        When it ends by itself.
    since
        The clocks when the night was chosen; None: just now.
    earlier_start_ns
        UTC start of a night that is continued; None: it is new.
    marks
        Ids of the marks that the night already holds.
    clocks, tick_s
        The computer's clocks, and how often everything is looked at.
    """

    def __init__(
        self,
        writer: NightWriter,
        wanted: Sequence[Wanted],
        make_link: MakeLink,
        told: Told,
        stop: Stop,
        *,
        plan: PlannedEnd,
        since: Moment | None = None,
        earlier_start_ns: int | None = None,
        marks: frozenset[str] = frozenset(),
        clocks: Callable[[], Moment] = read_clocks,
        tick_s: float = TICK_S,
    ) -> None:
        self._writer, self._told, self._stop, self._plan = writer, told, stop, plan
        self._make_link, self._clocks, self._tick_s = make_link, clocks, tick_s
        self._new = earlier_start_ns is None
        self._start_ns = writer.meta.start_ns if earlier_start_ns is None else earlier_start_ns
        self._marks = set(marks)
        self._taken: list[Mark] = []
        self._sayings = Sayings(told.say)
        self._trouble: str | None = None
        self._lost_s: dict[str, float] = {}
        self._can_show = True
        self._restored = 0
        self._began = first = clocks()
        for happened in Watch(since or first).look(first):
            if isinstance(happened, Stepped):
                self._move_start(first, round(happened.seconds * 1e9))
        self._watch = Watch(first)
        self._data_mono_ns = first.mono_ns
        self._settled = False
        self._wanted = tuple(wanted)
        self._outlets = {one.site: self._outlet(one) for one in wanted}
        self._links: dict[str, Link] = {}

    @property
    def holds_nothing(self) -> bool:
        """Whether the night has neither a sample nor a mark."""
        heard = (self._writer.has_samples(info.index) for info in self._writer.meta.sensors)
        return not self._marks and not any(heard)

    async def run(self) -> str:
        """Record until the end, whatever it is; return why it ended, a few words.

        All that was received is handed to the writer, and every sensor is stopped, before it returns.
        """
        self._take_marks(self._clocks(), left_behind=True)
        tasks = [asyncio.create_task(self._keep(one), name=f"link of {one.site}") for one in self._wanted]
        try:
            while (why := self._tick()) is None:
                await self._confirm_marks()
                await self._stop.wait(self._tick_s)
            end = self._clocks()  # what is missing while the sensors are stopped is no gap
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CLOSE_S)
            for outlet in self._outlets.values():
                outlet.flush()
        self._take_marks(self._clocks())
        self._writer.append_event("ended", None, end.utc_ns, end.mono_ns, reason=why)
        await self._write_all(why, end)
        await self._close_marks()
        return why

    async def _write_all(self, why: str, end: Moment) -> None:
        """Wait for a disk that refuses: what it has not taken is lost with this process.

        Whoever asks for the end once more gives that up; a computer that is shut down waits for nobody.
        """
        asked = self._stop.times
        if self._writer.poll() or why == "terminated":
            return
        self._told.say(
            f"The night has ended, but not all of it is on the disk yet. {self._writer.trouble or ''} "
            "It is waited for; Ctrl-C once more gives up what is in memory."
        )
        while not self._writer.poll() and self._stop.times == asked:
            now = self._clocks()
            if now.mono_ns - end.mono_ns > DISK_WAIT_NS:
                break
            self._take_marks(now)
            self._show(now, self._end_ns(now))
            await asyncio.sleep(self._tick_s)
        self._look_at_disk()

    def _outlet(self, wanted: Wanted) -> SiteOutlet:
        info = self._writer.meta.sensor(wanted.site)
        return SiteOutlet(self._writer, info, partial(self._sayings.event, wanted.site), self._look)

    async def _keep(self, wanted: Wanted) -> None:
        """Keep one sensor's link alive; a fault of ours in it must not cost the other sensors' night."""
        outlet = self._outlets[wanted.site]
        while True:
            try:
                self._links[wanted.site] = link = self._make_link(wanted, outlet)
                await link.run()
            except Exception as error:  # noqa: BLE001 - see above; it is logged in full
                _log.exception("the link of %s failed", wanted.site)
                now = self._clocks()
                sentence = f"Something unexpected happened here ({type(error).__name__}); trying again."
                outlet.event("lost", now.mono_ns, now.utc_ns, reason=f"fault of twitchmap: {error!r}")
                outlet.event("trouble", now.mono_ns, now.utc_ns, sentence=sentence)
            await asyncio.sleep(AGAIN_S)

    def _tick(self) -> str | None:
        """Look at everything once; return why the night ends, if it does."""
        now = self._clocks()
        self._look_at_clocks(now)
        for outlet in self._outlets.values():
            outlet.overdue(now.mono_ns)
            self._data_mono_ns = max(self._data_mono_ns, outlet.last_data_mono_ns or 0)
        self._writer.poll()
        self._look_at_disk()
        open_spool(self._writer.path)  # it may have been removed
        self._take_marks(now)
        if not self._settled and now.mono_ns - self._began.mono_ns >= SETTLED_NS:
            self._settled = True
            self._say_settled()
        end_ns = self._end_ns(now)
        self._show(now, end_ns)
        if self._stop.reason is not None:
            return self._stop.reason
        if end_ns is not None and now.utc_ns >= end_ns:
            return "planned end"
        if now.mono_ns - self._data_mono_ns >= SILENT_NS:
            return "no data for two hours"
        return None

    def _show(self, now: Moment, end_ns: int | None) -> None:
        """Show how everything is doing; a fault of ours in that must not cost the night."""
        try:
            self._told.show(self._view(now, end_ns))
        except Exception:  # noqa: BLE001 - see above; it is logged in full
            if self._can_show:
                _log.exception("the night cannot be shown")
            self._can_show = False

    def _end_ns(self, now: Moment) -> int | None:
        """Return the planned end; none as long as a computer that was started anew does not know the time."""
        if now.utc_ns < SET_FROM_NS and not (self._new and self._plan.until is None):
            return None
        return self._plan.utc_ns(self._start_ns, self._writer.meta.time_zone)

    def _look(self) -> None:
        """Look at the clocks before samples are taken: what came before a sleep is kept apart from them."""
        self._look_at_clocks(self._clocks())

    def _look_at_clocks(self, now: Moment) -> None:
        for what in self._watch.look(now):
            match what:
                case Slept(seconds):
                    kind, sentence = "suspended", f"This computer was asleep for {seconds:.0f} s."
                    self._data_mono_ns = now.mono_ns
                    for outlet in self._outlets.values():  # what came before belongs before
                        outlet.flush()
                case HeldUp(seconds):
                    kind, sentence = "held_up", f"This computer did nothing for {seconds:.0f} s."
                    self._data_mono_ns = now.mono_ns
                case Stepped(seconds):
                    kind, sentence = "clock_stepped", f"This computer's time was set by {seconds:+.1f} s."
                    self._move_start(now, round(seconds * 1e9))
            self._writer.append_event(kind, None, now.utc_ns, now.mono_ns, seconds=seconds)
            self._told.say(sentence)

    def _move_start(self, now: Moment, step_ns: int) -> None:
        """Let the night's start, and its planned end with it, follow the time that was set.

        The start of a night that goes on may be known better: from a session whose clock was right. It was
        told by the same wrong clock if the night would not be gone on with by the time as it is now.
        """
        began_ns = now.utc_ns - (now.through_ns - self._began.through_ns)
        knew = now.utc_ns - step_ns >= SET_FROM_NS
        as_wrong = knew and not 0 <= began_ns - self._start_ns < CONTINUED_NS
        if self._new or self._start_ns < SET_FROM_NS or as_wrong:
            self._start_ns += step_ns

    def _look_at_disk(self) -> None:
        trouble, before = self._writer.trouble, self._trouble
        self._trouble = trouble
        if self._writer.restored > self._restored:
            self._restored = self._writer.restored
            self._told.say(
                f"{self._writer.path} was removed while it is recorded; "
                "it was made again with all its samples."
            )
        if trouble is not None and before is None:
            self._told.say(trouble)
        elif trouble is None and before is not None:
            lost, self._lost_s = self._lost_s, dict(self._writer.lost_s)
            missing = [
                f"{max(seconds, 1.0):.0f} s of {body.site(site).label}"
                for site, total_s in self._lost_s.items()
                if (seconds := total_s - lost.get(site, 0.0)) > 0
            ]
            told = f"{', '.join(missing)} could not be kept." if missing else _NOTHING_MISSING
            self._told.say(f"All is written again; {told}")

    def _take_marks(self, now: Moment, *, left_behind: bool = False) -> None:
        """Take marks into the log, each once.

        The monotonic time of a mark that an earlier session left behind may be of another start of the
        computer: it is told by the UTC of the two.
        """
        for mark in waiting_marks(self._writer.path):
            if mark.id not in self._marks:
                self._marks.add(mark.id)
                mono_ns = mark.utc_ns + now.mono_ns - now.utc_ns if left_behind else mark.mono_ns
                self._writer.append_event("mark", None, mark.utc_ns, mono_ns, text=mark.text, id=mark.id)
                self._told.say(f"Marked: {mark.text}" if mark.text else "Marked.")
            self._taken.append(mark)

    async def _confirm_marks(self) -> None:
        """Remove marks from where they waited once the disk has confirmed the log that holds them."""
        taken, self._taken = self._taken, []
        if taken and self._writer.trouble is None and await asyncio.to_thread(self._writer.sync):
            for mark in taken:
                remove_mark(self._writer.path, mark)

    async def _close_marks(self) -> None:
        """Take the last marks: who tries to leave one from now on is told that it is not taken."""
        for _ in range(CLOSINGS):
            await self._confirm_marks()
            if close_spool(self._writer.path):
                return
            await asyncio.sleep(CLOSING_S)
            self._take_marks(self._clocks())

    def _say_settled(self) -> None:
        missing = [site for site, link in self._links.items() if link.status.state != "streaming"]
        if not missing:
            n = len(self._links)
            self._told.say(
                "The sensor streams. Sleep well." if n == 1 else f"All {n} sensors stream. Sleep well."
            )
            return
        if self._new:
            self._told.ring()
        why = [of_site(site, self._links[site].status.trouble or "it does not send.") for site in missing]
        self._told.say(f"Not all sensors stream. {' '.join(why)}")

    def _view(self, now: Moment, end_ns: int | None) -> View:
        statuses = [self._links[one.site].status for one in self._wanted if one.site in self._links]
        return View(
            sensors=tuple(statuses),
            mono_ns=now.mono_ns,
            utc_ns=now.utc_ns,
            start_ns=self._start_ns,
            end_ns=end_ns,
            time_zone=self._writer.meta.time_zone,
            trouble=self._writer.trouble,
        )
