"""The story that the demo plays: scene by scene, each with what happens, what is said of it, what must be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from worker.demo.story import cast
from worker.demo.story.stage import LANGSMITH, Control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from worker.demo.story.cast import TracedRun
    from worker.demo.story.stage import Stage

EXPECTED: Mapping[tuple[str, str], int] = {
    (cast.SUPPORT_CHANNEL, "baseline"): 1,
    (cast.SUPPORT_CHANNEL, "announcement"): 3,
    (cast.SUPPORT_CHANNEL, "reminder"): 1,
    (cast.RAG_CHANNEL, "baseline"): 1,
    (cast.RAG_CHANNEL, "announcement"): 1,
    (cast.RAG_CHANNEL, "reminder"): 1,
    (cast.CLAIMS_CHANNEL, "baseline"): 1,
    (cast.LEADS_CHANNEL, "escalation"): 2,
    (cast.CLEO_DIRECT, "direct"): 1,
}
"""The exact number of messages of each kind that the whole story has in each channel, and to each person."""


class Scene(Struct, frozen=True):
    """One step. `act` makes it happen, `until` says whether its outcome has been seen, `then` ends it.

    `hold` is how long to let it be before `then`, in seconds.
    """

    title: str
    text: str
    until: Callable[[Stage], bool]
    act: Callable[[], None] = lambda: None
    then: Callable[[], None] = lambda: None
    hold: float = 0.0


class Scenario(Struct):
    """The whole story on one stage. Runs are put where the first scene finds them when it is made."""

    stage: Stage
    support: list[UUID] = field(default_factory=list)
    rag: list[UUID] = field(default_factory=list)
    first: list[UUID] = field(default_factory=list)
    board: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Let runs wait from the beginning."""
        self.first = self.stage.arrive(cast.SUPPORT, cast.SUPPORT_WAITING)
        self.stage.arrive(cast.RAG, cast.RAG_WAITING)
        self.stage.arrive(cast.CLAIMS, cast.CLAIMS_WAITING)

    def scenes(self) -> list[Scene]:
        """Every scene in its order."""
        return [*self._begin(), *self._wait(), *self._ask_one(), *self._fail(), *self._open(), *self._end()]

    def _begin(self) -> list[Scene]:
        return [
            Scene(
                "First start",
                "Runs have waited in two queues for days. The worker sums them up, one message per channel, and from "
                "now on announces only what is new.",
                _posted((cast.SUPPORT_CHANNEL, "baseline"), (cast.RAG_CHANNEL, "baseline")),
            ),
            Scene(
                "Outside hours",
                "The claims desk has not begun its day. Its first message is held until then, and a run that comes "
                "meanwhile waits with it: no message goes out at night.",
                _said("Holds the baseline of Claims desk"),
                act=lambda: self._arrive_at_claims(cast.CLAIMS_NIGHT),
            ),
            Scene(
                "Long overdue",
                "Runs of the support assistant have waited past its limit. The people on call hear of them once.",
                _posted((cast.LEADS_CHANNEL, "escalation")),
            ),
            Scene(
                "Three new runs",
                "One message for all three, not three messages. One run has a hostile name: it stays text.",
                _posted((cast.SUPPORT_CHANNEL, "announcement")),
                act=lambda: self.support.extend(self.stage.arrive(cast.SUPPORT, cast.SUPPORT_NEW)),
            ),
            Scene(
                "A reviewer opens one",
                "LangSmith reserves it. The announcement is edited to say so, and no reminder of this run will follow.",
                _edited(cast.SUPPORT_CHANNEL, "announcement"),
                act=lambda: self.stage.reserve(self.support[0]),
            ),
            Scene(
                "A review is done",
                "The first message is edited: it always shows how many are left.",
                _edited(cast.SUPPORT_CHANNEL, "baseline"),
                act=lambda: self.stage.complete(self.first[0]),
            ),
            Scene(
                "Another queue, other rules",
                "Two runs of the RAG bot. This queue has its own channel, shows errors, and reminds in the thread.",
                _posted((cast.RAG_CHANNEL, "announcement")),
                act=self._bring_rag,
            ),
        ]

    def _wait(self) -> list[Scene]:
        return [
            Scene(
                "They wait too long",
                "Two runs of the support assistant are stale now: one reminder for both. The reserved one is spared.",
                _posted((cast.SUPPORT_CHANNEL, "reminder")),
                act=lambda: self.stage.lose_answer(cast.RAG_CHANNEL),
            ),
            Scene(
                "Slack's answer gets lost",
                "The reminder in the thread is posted, but the connection breaks before Slack says so. The worker "
                "looks for its message instead of posting it twice.",
                _all(_posted((cast.RAG_CHANNEL, "reminder")), _looked_up),
            ),
            Scene(
                "All reviewed",
                "Both runs of the RAG bot are done: its messages are edited to say so.",
                _edited(cast.RAG_CHANNEL, "announcement"),
                act=lambda: self.stage.complete(*self.rag),
            ),
            Scene(
                "One of two",
                "One of the stale runs is reviewed. The reminder shows the one that is left.",
                _edited(cast.SUPPORT_CHANNEL, "reminder"),
                act=lambda: self.stage.complete(self.support[2]),
            ),
        ]

    def _ask_one(self) -> list[Scene]:
        return [
            Scene(
                "Whose turn it is",
                "Three people owe this run a review. Ada has done hers, Ben is on holiday: only Cleo gets a direct "
                "message. The channel stays quiet.",
                _posted((cast.CLEO_DIRECT, "direct")),
                act=self.bring_board,
            ),
            Scene(
                "Her part is done",
                "Cleo reviews the run, and her message says so. Ben hears of it when he is back.",
                _edited(cast.CLEO_DIRECT, "direct"),
                act=lambda: self.stage.complete(*self.board),
            ),
        ]

    def _fail(self) -> list[Scene]:
        return [
            Scene(
                "LangSmith is down",
                "It answers 503. The worker concludes nothing from that, tries again less and less often, and forgets "
                "nothing. Meanwhile another run arrives.",
                lambda stage: not stage.is_up(LANGSMITH),
                act=lambda: self.stage.fail(LANGSMITH),
                then=self._end_outage,
                hold=self.stage.tempo.outage,
            ),
            Scene(
                "LangSmith is back",
                "The run that arrived meanwhile is announced once. Nothing else is said twice.",
                _posted((cast.SUPPORT_CHANNEL, "announcement"), times=2),
            ),
        ]

    def _open(self) -> list[Scene]:
        return [
            Scene(
                "The day begins",
                "The claims desk opens. The worker looks at its queue once more; what was held comes as one message.",
                _posted((cast.CLAIMS_CHANNEL, "baseline")),
            ),
            Scene(
                "One more, without a ping",
                "A run comes soon after that message, and enters it by an edit: everybody can see it, and no "
                "notification goes out. If it still waits in an hour, it is announced once, with all others.",
                _edited(cast.CLAIMS_CHANNEL, "baseline"),
                act=lambda: self._arrive_at_claims(cast.CLAIMS_MORNING),
            ),
            Scene(
                "I take it",
                "Ada and Ben press the menu of the same run at the same moment. The first has it, the other is shown "
                "who. The message says so within two seconds, and nobody is reminded of the run.",
                _all(_answered(cast.ADA.user), _answered(cast.BEN.user), _shows(cast.CLAIMS_CHANNEL, "has it")),
                act=lambda: self._take(cast.ADA.user, cast.BEN.user),
            ),
        ]

    def _end(self) -> list[Scene]:
        return [
            Scene(
                "Put back",
                "A reviewed run is put back into its queue, for a second opinion: it is announced as back.",
                _posted((cast.SUPPORT_CHANNEL, "announcement"), times=3),
                act=lambda: self.stage.requeue(self.first[0], reserved=True),
            ),
            Scene(
                "Escalation",
                "One run still waits for its first reviewer. It has reached the limit, too, and the people on call "
                "hear of it.",
                _posted((cast.LEADS_CHANNEL, "escalation"), times=2),
            ),
        ]

    def _arrive_at_claims(self, trace: TracedRun) -> None:
        self.stage.arrive(cast.CLAIMS, [trace])

    def _take(self, *users: str) -> None:
        """Let people press the first item of the menu of the first run that the claims desk's message has one for."""
        message = self.stage.messages()[cast.CLAIMS_CHANNEL][-1]
        block, menu = next((block, block["accessory"]) for block in message["blocks"] if "accessory" in block)
        control = Control(menu["action_id"], block["block_id"], menu["options"][0]["value"])
        for user in users:
            self.stage.press(user, cast.CLAIMS_CHANNEL, message["ts"], control)

    def _bring_rag(self) -> None:
        self.rag.extend(self.stage.arrive(cast.RAG, cast.RAG_NEW))

    def bring_board(self) -> None:
        """Bring a run that three people owe a review, of which the first has done hers."""
        # At once: no listing shows the run before Ada's review.
        with self.stage.langsmith.at_once():
            self.board.extend(self.stage.arrive(cast.SAFETY, [cast.SAFETY_NEW]))
            self.stage.complete(*self.board)

    def _end_outage(self) -> None:
        self.stage.arrive(cast.SUPPORT, [cast.SUPPORT_LATE], reserved=True)
        self.stage.heal(LANGSMITH)


def _posted(*messages: tuple[str, str], times: int = 1) -> Callable[[Stage], bool]:
    return lambda stage: all(stage.seen("post", channel, kind) >= times for channel, kind in messages)


def _edited(channel: str, kind: str) -> Callable[[Stage], bool]:
    return lambda stage: stage.seen("edit", channel, kind) > 0


def _answered(user: str) -> Callable[[Stage], bool]:
    return lambda stage: bool(stage.slack.personal.ephemerals(user))


def _shows(channel: str, words: str) -> Callable[[Stage], bool]:
    return lambda stage: any(words in str(message.get("blocks")) for message in stage.messages()[channel])


def _said(beginning: str) -> Callable[[Stage], bool]:
    return lambda stage: any(said.text.startswith(beginning) for said in stage.said())


def _all(*conditions: Callable[[Stage], bool]) -> Callable[[Stage], bool]:
    return lambda stage: all(condition(stage) for condition in conditions)


def _looked_up(stage: Stage) -> bool:
    """Whether the worker has searched for a message of its own."""
    return any(call.method in {"conversations.history", "conversations.replies"} for call in stage.slack.attempts)
