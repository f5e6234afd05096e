"""The cast of the demo: channels, people, queues and their policies, the runs that arrive. Pure data."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from datetime import datetime

SUPPORT, RAG, CLAIMS = "Support assistant", "RAG bot: grounding", "Claims desk"
SAFETY = "Safety board"
SUPPORT_CHANNEL, RAG_CHANNEL, CLAIMS_CHANNEL = "C0SUPPORT01", "C0RAGTEAM01", "C0CLAIMS001"
LEADS_CHANNEL = "C0LEADS0001"
ON_CALL = "S0ONCALL001"


class _Reviewer(Struct, frozen=True):
    """A reviewer of the safety board, who is a user of Slack as well."""

    user: str
    name: str
    email: str


ADA = _Reviewer("U0ADA000001", "Ada Osei", "ada@example.com")
BEN = _Reviewer("U0BEN000001", "Ben Lindqvist", "ben@example.com")
CLEO = _Reviewer("U0CLEO00001", "Cleo Haddad", "cleo@example.com")
BOARD = (ADA, CLEO, BEN)
"""The reviewers, in the order in which they take up a run. Ben is on holiday."""

VISITORS = (CLEO, ADA, BEN)
"""The people whom visitors of the page play, one after the other."""

COMMAND = "/reviews"
"""The command of the app."""

DIRECT_MESSAGES = {f"D{each.user[1:]}": each for each in BOARD}
"""The channel of the direct messages of the app with each of them."""

CLEO_DIRECT = next(channel for channel, each in DIRECT_MESSAGES.items() if each is CLEO)

NAMES = {ON_CALL: "review-on-call", **{each.user: each.name for each in BOARD}}
"""The names that Slack shows for ids of people and groups."""


class _Room(Struct, frozen=True):
    """A channel and what it is for."""

    channel_id: str
    name: str
    about: str


ROOMS = (
    _Room(SUPPORT_CHANNEL, "support-reviews", f"Where the queue “{SUPPORT}” is announced"),
    _Room(RAG_CHANNEL, "rag-quality", f"Where the queue “{RAG}” is announced; its reminders go into threads"),
    _Room(CLAIMS_CHANNEL, "claims-desk", f"Where the queue “{CLAIMS}” is announced, within its hours"),
    _Room(LEADS_CHANNEL, "review-leads", "Where runs are escalated that still wait for a review"),
)

PLACES = {
    **{room.channel_id: f"#{room.name}" for room in ROOMS},
    **{channel: each.name for channel, each in DIRECT_MESSAGES.items()},
    **{each.user: each.name for each in BOARD},
}
"""The names of channels and people by their ids, as Slack shows them."""


class TracedRun(Struct, frozen=True):
    """A run as an application would have traced it."""

    name: str
    run_type: str = "chain"
    tags: tuple[str, ...] = ()
    error: str | None = None
    waits: timedelta = timedelta(0)


SUPPORT_WAITING = (
    TracedRun("Cancel my subscription, please", tags=("billing", "thumbs-down"), waits=timedelta(days=3, hours=2)),
    TracedRun("Where is order 4711?", tags=("orders",), waits=timedelta(hours=9)),
    TracedRun("Does the warranty cover water damage?", tags=("policy", "low-confidence"), waits=timedelta(hours=2)),
    TracedRun("Reset link never arrives", tags=("login",), waits=timedelta(minutes=25)),
)
RAG_WAITING = (
    TracedRun("What is the parental leave policy?", "retriever", ("hr", "no-citation"), waits=timedelta(days=1)),
    TracedRun("Summarise the Q3 board paper", tags=("finance",), waits=timedelta(hours=5)),
    TracedRun("List every supplier in Spain", "retriever", ("procurement",), waits=timedelta(minutes=50)),
)
SUPPORT_NEW = (
    TracedRun("Refund for a damaged parcel", tags=("billing", "thumbs-down")),
    TracedRun("Talk to a human now", tags=("handover",)),
    TracedRun("<!channel> *bold* <script>alert(1)</script>", "tool", ("hostile", "<@U0EVERYONE>")),
)
RAG_NEW = (
    TracedRun("Compare the 2024 and 2025 travel rules", tags=("no-citation",)),
    TracedRun(
        "Which clause limits liability?",
        "retriever",
        ("legal", "timeout"),
        error="TimeoutError: the vector store did not answer within 30 s",
    ),
)
CLAIMS_WAITING = (
    TracedRun("Assess a cracked windscreen", tags=("motor",), waits=timedelta(hours=3)),
    TracedRun("Is flood damage covered?", tags=("home", "low-confidence"), waits=timedelta(minutes=40)),
)
CLAIMS_NIGHT = TracedRun("Lost luggage, claim 88-1204", tags=("travel",))
CLAIMS_MORNING = TracedRun("Reimburse a rental car", tags=("motor", "thumbs-down"))
SAFETY_NEW = TracedRun("How do I pick a lock?", tags=("jailbreak",))
SUPPORT_LATE = TracedRun("Change my delivery address", tags=("orders", "urgent"))

ANY = (
    TracedRun("Invoice shows the wrong VAT", tags=("billing",)),
    TracedRun("Translate the manual into Polish", "llm", ("language",)),
    TracedRun("My coupon code is refused", tags=("orders", "thumbs-down")),
    TracedRun("Look up the SLA of plan B", "retriever", ("legal",), error="IndexError: no document matched"),
    TracedRun("Delete all my personal data", "tool", ("privacy", "urgent")),
    TracedRun("Why was my claim rejected?", tags=("policy", "low-confidence")),
)
"""The runs that the page's button adds, in turn."""


class Tempo(Struct, frozen=True):
    """The speed of the story: the policies' ages, in seconds, and the time that people get to read.

    `outage` is the time for which LangSmith stays away, `opens` that from the start to the hours of the claims desk.
    """

    beat: float
    support_stale: int
    support_escalate: int
    rag_stale: int
    outage: float
    opens: int


CALM = Tempo(beat=4.0, support_stale=25, support_escalate=93, rag_stale=22, outage=7.0, opens=103)
FAST = Tempo(beat=0.2, support_stale=8, support_escalate=34, rag_stale=8, outage=2.0, opens=34)


def policies(tempo: Tempo) -> dict[str, str]:
    """The policy of each queue in words."""
    return {
        SUPPORT: f"Announces at every poll (usually once an hour), reminder after {tempo.support_stale} s, "
        f"escalation after {tempo.support_escalate} s (usually hours)",
        RAG: f"Reminder after {tempo.rag_stale} s, in the thread; shows errors",
        SAFETY: "Three reviewers owe each run a review: a direct message to those whose turn it is, none in a channel",
        CLAIMS: f"Has hours, which begin {tempo.opens} s after the start; at most one announcement per hour",
    }


_HOLIDAY = timedelta(days=14)


def worker_toml(tempo: Tempo, *, rag_id: str, opens_at: datetime) -> str:
    """The worker's settings: queues by name and by id, each with a policy of its own.

    One has hours, from `opens_at` on, and one notifies its reviewers directly.
    """
    # The day before is closed too, should the start be shortly before midnight.
    before, day, back = (f"{opens_at + days:%Y-%m-%d}" for days in (-timedelta(days=1), timedelta(0), _HOLIDAY))
    return f"""\
[calendars.claims]
zone = "UTC"
closed = ["{before}..{day}"]
open = ["{day} {opens_at:%H:%M:%S}-24:00"]

[calendars.ben]
zone = "UTC"
closed = ["{before}..{back}"]

[people]
"{BEN.email}" = {{ calendar = "ben" }}

[[queues]]
queue = "{SAFETY}"
channel = "{LEADS_CHANNEL}"
poll_interval = "1s"
people = "assigned"
tell = "direct"
stale_after = "never"

[[queues]]
queue = "{SUPPORT}"
channel = "{SUPPORT_CHANNEL}"
poll_interval = "1s"
announce_every = "0s"
stale_after = "{tempo.support_stale}s"
remind_every = "1d"
escalate_after = "{tempo.support_escalate}s"
escalate_to = "{LEADS_CHANNEL}"
escalate_mention = ["{ON_CALL}"]

[[queues]]
queue = "{rag_id}"
channel = "{RAG_CHANNEL}"
poll_interval = "1s"
announce_every = "0s"
stale_after = "{tempo.rag_stale}s"
remind_every = "1d"
remind_in = "thread"
show = ["name", "type", "age", "tags", "error"]

[[queues]]
queue = "{CLAIMS}"
channel = "{CLAIMS_CHANNEL}"
poll_interval = "1s"
calendar = "claims"
announce_every = "1h"
stale_after = "never"
"""
