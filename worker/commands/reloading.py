"""Reads the settings again while the service runs: after SIGHUP, and where `worker.toml` has changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from worker.commands.startup import EVERYTHING, set_up_logs, start
from worker.core.overview import Area
from worker.core.ports import ConfigError
from worker.settings import Settings, secrets
from worker.settings.loading import CONFIG
from worker.settings.model import SINGLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Incidents

log = structlog.get_logger(__name__)

REFUSED = "settings_refused"
RESTART = "settings_need_restart"

KEPT = ("database_url", "http_address", "http_hosts", "http_token", "http_open", "heartbeat_url")
"""Settings of parts that stay as they are for as long as the process runs."""

_Look = tuple[int, int, int, int] | None


_READ = partial(start, EVERYTHING, asks=False)


class Reload:
    """The settings in force, and a watch over the file that they come from.

    The file is looked at, rather than its folder asked for events: so one that an editor replaces is followed, and one
    behind links that are swapped, as Kubernetes does.
    """

    def __init__(
        self,
        settings: Settings,
        incidents: Incidents,
        read: Callable[[], Settings] = _READ,
    ) -> None:
        """`read` reads all settings again; it raises ConfigError."""
        self.settings = settings
        self._incidents, self._read = incidents, read
        self._seen = self._changing = self._look()

    def __call__(self, asked: bool = False) -> bool:  # noqa: FBT001, FBT002
        """Whether other settings are in force now. Called each second; `asked` says that somebody wants them read."""
        look = self._look()
        # Once it has looked the same for a second: a file that is just being written is not half a file of settings.
        has_changed = look != self._seen and look == self._changing
        self._changing = look
        if not (asked or has_changed):
            return False
        self._seen = look
        try:
            fresh = self._read()
        except ConfigError as error:
            self._refused(str(error))
            return False
        self._incidents.end(REFUSED)
        return self._take(fresh)

    def _look(self) -> _Look:
        """What changes where the file is another one, or has other contents; None where there is none."""
        path = self.settings.config or self.settings.directory / CONFIG
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def _refused(self, problems: str) -> None:
        first, *others = problems.split("\n")
        more = f" (and {len(others)} more: `review-notifier check` lists them)" if others else ""
        log.warning("settings_refused", problems=problems)
        text = f"the changed settings cannot be used, and those from before hold: {first}{more}"
        self._incidents.begin(REFUSED, Area.QUEUES, text, "correct it; the worker takes it by itself")

    def _take(self, fresh: Settings) -> bool:
        kept = {key: getattr(self.settings, key) for key in KEPT}
        waiting = [SINGLE[key].env for key in KEPT if getattr(fresh, key) != kept[key]]
        if waiting:
            names = ", ".join(waiting)
            self._incidents.begin(
                RESTART, Area.LOOPS, f"{names} changed, and the old value holds until a restart", "restart the service"
            )
        else:
            self._incidents.end(RESTART)
        merged = fresh.model_copy(update=kept)
        set_up_logs(fresh, (*secrets(fresh), *secrets(merged)))
        if merged == self.settings:
            log.info("settings_unchanged")
            return False
        self.settings = merged
        return True
