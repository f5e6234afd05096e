"""Lets others see how the worker is: pages and metrics, systemd, a dead man's switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker import logs, version
from worker.core.overview import UNMETERED, Area, Reason
from worker.core.status.reasons import Check, readiness
from worker.loops.housekeep import Pulse
from worker.web.heartbeat import Cycle, Heartbeat
from worker.web.systemd import Notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.model import Id
    from worker.core.overview import Meter, Overview
    from worker.core.ports import Clock
    from worker.loops.observe import Look, Observer
    from worker.settings import Settings
    from worker.web.exchange import PageRequest, Reply
    from worker.web.health import Health
    from worker.web.metrics import Metrics
    from worker.web.shown import Reading
    from worker.web.site import Site

PINGS = 3
"""The number of signs of life within systemd's time limit: one may be lost."""


class Monitor:
    """Shows the service to others: pages, metrics, heartbeat, systemd, as far as the settings ask for them."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        notify: Notify | None = None,
        reading: Callable[[], Reading] | None = None,
    ) -> None:
        """`notify` reaches the service manager, where there is one; `reading` makes the reader of the page."""
        self._settings = settings
        self._clock = clock
        self._notify = notify or Notify(None)
        self._reading = reading
        self._is_ending = False
        self._overview: Overview | None = None
        self._look: Look | None = None
        self.pulse = Pulse(clock)
        self._metrics = self._count() if settings.http_address else None
        self._health: Health | None = None
        self._site: Site | None = None
        url = settings.heartbeat_url.get_secret_value() if settings.heartbeat_url else ""
        self._heartbeat = Heartbeat(url, clock=clock, route=settings.route(url)) if url else None
        self._cycle = Cycle()
        self._ping_at = 0.0

    @property
    def meter(self) -> Meter:
        """The meter that counts the work of the loops."""
        return self._metrics or UNMETERED

    def begin(self, look: Look) -> None:
        """Open the pages and report to systemd that settings and database are good. Raises ConfigError.

        Where they are open already, they show another `look` from now on.
        """
        self._look = look
        if self._health is not None:
            # The settings are others: the page is made by them, at the same address.
            site, self._site = self._site, None
            if site:
                site.close()
            return
        if self._settings.http_address and self._metrics:
            from worker.web.health import Health  # noqa: PLC0415 - only where somebody looks

            self._health = Health(
                clock=self._clock,
                hanging=self.pulse.hanging,
                ready=self._ready,
                metrics=self._metrics.exposition,
                hosts=self._settings.http_hosts,
                pages=self._pages if self._reading else None,
                at_hand=self._at_hand,
            )
            self._health.start(self._settings.http_address)
        self._notify.ready()

    def _pages(self, request: PageRequest) -> Reply:
        if self._site is None and self._reading is not None:
            from worker.web.admission import Admission  # noqa: PLC0415 - only where somebody looks
            from worker.web.site import Site  # noqa: PLC0415

            settings = self._settings
            admission = Admission(
                token=settings.http_token.get_secret_value() if settings.http_token else "",
                is_open=settings.http_open,
                is_local=self._health is not None and self._health.is_local,
                hosts=settings.http_hosts,
            )
            self._site = Site(admission, self._reading, self._clock)
        if self._site is None:
            raise AssertionError  # without a reader there are no pages
        return self._site(request)

    def _at_hand(self, request: PageRequest) -> Reply | None:
        site = self._site  # once: other settings may end it meanwhile
        return None if site is None else site.at_once(request)

    def read(self, _queue_id: Id, _runs: int) -> None:
        """Take note that a page of a long list was read: its poll makes progress."""
        self.pulse.beat("polls")

    def reasons(self) -> tuple[Reason, ...]:
        """The reasons that no overview shows: loops that hang."""
        hanging = self.pulse.hanging()
        text = f"no progress: {', '.join(hanging)}"
        fix = "restart the service, and keep its log"
        return (Reason("loop_hanging", Area.LOOPS, text, fix),) if hanging else ()

    def seen(self, watch: Observer) -> None:
        """Look once more, and report. Raises StoreError."""
        try:
            watch()
        finally:
            self._overview = watch.overview
            if watch.overview:
                self._report(watch.overview)

    def alive(self) -> None:
        """Report to systemd that the loops make progress, if they do. Called each second from the main thread."""
        watchdog = self._notify.watchdog
        now = self._clock.monotonic()
        if watchdog is None or now < self._ping_at or self.pulse.hanging():
            return
        self._notify.alive()
        self._ping_at = now + watchdog.total_seconds() / PINGS

    def end(self) -> None:
        """Report that a clean stop has begun, and close the pages."""
        # First: another thread must not report a status after this.
        self._is_ending = True
        self._notify.stopping()
        if self._health:
            self._health.stop()
        if self._site:
            self._site.close()

    def _report(self, overview: Overview) -> None:
        if not self._is_ending:
            self._notify.status(_status(overview))
        if self._heartbeat and self._cycle.is_full(overview):
            self._heartbeat.beat()

    def _ready(self) -> tuple[Check, ...]:
        # The database's last answers and the loops' newest state: a page never waits for the database.
        hanging = self.pulse.hanging()
        loops = Check("loops", not hanging, f"no progress: {', '.join(hanging)}" if hanging else "make progress")
        if self._overview is None or self._look is None:
            return (loops, Check("start", ok=False, text="not looked yet"))
        return (loops, *readiness(self._look.again(self._overview)))

    def _count(self) -> Metrics:
        from worker.web.metrics import Metrics  # noqa: PLC0415 - only where somebody looks

        return Metrics(
            version=version.release(),
            commit=version.commit(),
            overview=lambda: self._overview,
            hanging=self.pulse.hanging,
            dropped=logs.dropped,
        )


def _status(overview: Overview) -> str:
    """One line for `systemctl status`."""
    completed = [queue.polled.completed_at for queue in overview.queues if queue.polled.completed_at]
    last = f"{max(completed):%Y-%m-%d %H:%M:%S} UTC" if completed else "none yet"
    wrong = "; ".join(f"{check.name}: {check.text}" for check in readiness(overview) if not check.ok)
    line = f"{len(overview.queues)} queues, {overview.waiting} runs waiting, last complete poll {last}"
    return f"{line}; {wrong}" if wrong else line
