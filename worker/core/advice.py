"""Advice: the names of services and settings, which the core is given because it knows none itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.core.status.process import Area

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Advice:
    """The names of the services and settings in use, and the remedies that need such a name.

    `source` and `notifier` are the services as people write them; `notifier_area` is the area of the notifier as
    programs read it. The remedies: `troubles` for each trouble of polling, `key` for a refused key, `token` for a
    refused token, `names` for a name that no queue has, `ending` for a listing that ends. `stale_after`,
    `remind_every` and `escalate_after` name the settings of the ladder.
    """

    source: str = "the source"
    notifier: str = "the notifier"
    notifier_area: str = Area.NOTIFIER.value
    troubles: Mapping[str, str] = field(default_factory=dict)
    key: str = "give the worker a valid key, and restart"
    token: str = "give the worker a good token"  # noqa: S105  a remedy, no secret
    names: str = "correct the name"
    ending: str = "Choose another listing."
    stale_after: str = "the age of a stale run"
    remind_every: str = "the time between two reminders"
    escalate_after: str = "the age of an escalation"

    def area(self, area: Area) -> str:
        """An area as programs read it."""
        return self.notifier_area if area is Area.NOTIFIER else area.value

    @property
    def unanswered(self) -> str:
        """The kind of the reason that the notifier does not answer."""
        return f"{self.notifier_area}_unanswered"


PLAIN = Advice()
"""Words that name no service and no setting."""
