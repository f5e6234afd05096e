"""What people see, kept as JSON, and the laws that hold for every message."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests import golden_slack as golden
from tests.support import slack_reader as reader
from worker.core.message import Line, Message, Shares, fingerprint
from worker.core.model import TEXT_ONLY, Facts, Fate, Kind, Queue, QueueTotals, Show
from worker.core.owed import QueueShare, Receipt
from worker.demo.slack import limits
from worker.notifiers.rows import DETAILS, entries
from worker.notifiers.slack import blocks
from worker.notifiers.slack.markup import target

if TYPE_CHECKING:
    from collections.abc import Sequence

MICROSECOND = timedelta(microseconds=1)
NASTY = (
    "<!channel>",
    "<@U0EVIL0000>",
    "<!subteam^S0EVIL0000>",
    "<https://evil.example|click>",
    "https://evil.example/x",
    "|b>c<d&",
    "&lt;!here&gt;",
    "\n• fake · reviewed",
    "\u202egnp\u2066",
    "\ud800",
    "~struck~",
    "`code` ```",
    "*bold* _italic_",
    ":white_check_mark:",
    "@everyone #general",
    "<!date^1^{ago}|x>",
    "&" * 400,
    "😀" * 300,
    "x" * 5_000,
    "",
)
# Each is made by few draws: drawing costs more than the message that is made of it.
outside = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(), max_size=60),
    st.integers(0, 3 * len(NASTY) ** 4 - 1).map(lambda number: joined(*divmod(number, 3))),
)
urls = st.one_of(outside, st.text(max_size=700).map("https://smith.langchain.com/".__add__))
FIRST, LAST = (datetime(year, 1, 1, tzinfo=golden.AS_OF.tzinfo) for year in (1, 9999))
instants = st.integers(0, (LAST - FIRST) // MICROSECOND).map(lambda number: FIRST + number * MICROSECOND)


def joined(number: int, more: int) -> str:
    """Two to four of them, as the number says in digits of their count."""
    return " ".join(NASTY[number // len(NASTY) ** place % len(NASTY)] for place in range(2 + more))


def dealt(texts: list[str], number: int, url: str, tokens: int | None) -> Facts:
    """A run's facts of a few texts, which the number deals out: any text in any field."""
    left = number

    def text() -> str:
        nonlocal left
        left, chosen = divmod(left, len(texts))
        return texts[chosen]

    return Facts(
        name=text(),
        run_type=text(),
        url=url,
        tags=tuple(text() for _ in range(number % 9)),
        error=text(),
        inputs_preview=text(),
        outputs_preview=text(),
        thread=text(),
        tokens=tokens,
        cost=text(),
    )


facts = st.builds(
    dealt,
    st.lists(outside, min_size=1, max_size=4),
    st.integers(0, 9 * 4**16 - 1),
    urls,
    st.none() | st.integers(0, 10**12),
)
# As often as any other fate or purpose, there is none.
STAYS = [*product((False, True), (False, True), (*[None] * len(Fate), *Fate), range(4), range(1, 4))]
DUES = [*product((False, True), (*[None] * len(Kind), *Kind))]
lines = st.builds(
    lambda facts, run_id, since, stay, due_at, due: Line(facts, run_id, since, *stay, due_at, *due),
    facts,
    st.none() | st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)),
    instants,
    st.sampled_from(STAYS),
    st.none() | instants,
    st.sampled_from(DUES),
)
# By lambdas: Hypothesis asks a Struct for its signature, and that needs every type at hand that it names.
totals = st.builds(
    lambda *counted: QueueTotals(*counted[:3], oldest_since=counted[3]),
    *[st.integers(0, 10**6)] * 3,
    st.none() | instants,
)
standings = st.builds(
    lambda *counts, along_by, queue: Shares(*counts, along_by=along_by, queue=queue),
    *[st.integers(0, 10**6)] * 4,
    along_by=st.none() | instants,
    queue=st.none() | totals,
)
queue_lines = st.builds(
    lambda queue, counts, since: QueueShare(queue, *counts, since),
    st.builds(golden.queue, outside, url=urls, queue_id=outside | st.uuids()),
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    st.none() | instants,
)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    listed = tuple(draw(st.lists(lines, max_size=10)))
    unlisted = draw(st.integers(0, 100_000)) if len(listed) == 10 else 0
    waiting = sum(line.fate is None for line in listed)
    kind = draw(st.sampled_from(Kind))
    return golden.message(
        kind,
        listed,
        queue=draw(st.builds(golden.queue, outside, url=urls)),
        total=len(listed) + unlisted,
        waiting=waiting + draw(st.integers(0, unlisted)),
        mention=("U0LEAD00000", "S0ONCALL000") if kind is Kind.ESCALATION else (),
        text=draw(outside),
        plain=draw(st.booleans()),
        show=draw(st.frozensets(st.sampled_from(Show))),
        successor=draw(st.none() | st.just(Receipt("C1", "1.2"))),
        standing=draw(standings),
        is_edit=draw(st.booleans()),
        queue_lines=tuple(draw(st.just([]) | st.lists(queue_lines, max_size=25))) if kind is Kind.BASELINE else (),
    )


def rows(rendered: dict[str, Any]) -> list[str]:
    return [
        row for block in rendered["blocks"] if block["type"] == "section" for row in block["text"]["text"].split("\n")
    ]


def header(message: Message) -> str:
    rendered = blocks.render(message)
    assert rendered["text"].split("\n")[0] == rendered["blocks"][0]["text"]["text"]
    return rendered["blocks"][0]["text"]["text"]


@pytest.mark.parametrize("name", golden.CASES)
def test_it_looks_as_it_was_approved(name: str) -> None:
    """After a wanted change: python -m tests.golden_slack, and read the difference."""
    assert golden.path_of(name).read_text(encoding="utf-8") == golden.written(name)


def test_every_approved_file_has_its_case() -> None:
    assert {path.stem for path in golden.FOLDER.glob("*.json")} == golden.CASES.keys()


@pytest.mark.parametrize("name", golden.CASES)
def test_every_approved_message_keeps_slacks_limits(name: str) -> None:
    rendered = json.loads(golden.path_of(name).read_text(encoding="utf-8"))
    assert reader.limits_broken(rendered) == []
    _assert_harmless(rendered, golden.CASES[name])


@settings(max_examples=150, deadline=None)
@example(replace(golden.message(Kind.REMINDER), queue=Queue(UUID(int=1), ":0"), successor=Receipt("C1", "1.2")))
@given(messages())
def test_no_outside_text_breaks_a_limit_calls_links_or_formats(message: Message) -> None:
    rendered = blocks.render(message, team_url=golden.TEAM_URL)
    assert reader.limits_broken(rendered) == []
    _assert_harmless(rendered, message)


@settings(max_examples=100, deadline=None)
@given(messages())
def test_outside_text_adds_no_row_and_takes_none_away(message: Message) -> None:
    previews = {Show.ERROR, Show.INPUTS_PREVIEW, Show.OUTPUTS_PREVIEW}
    quiet = replace(message, show=message.show - previews, plain=False, successor=None)
    if quiet.kind in TEXT_ONLY or quiet.queue_lines:
        return
    shown = rows(blocks.render(quiet))
    extra = bool(quiet.mention) + (quiet.total > len(quiet.lines))
    assert len(shown) == len(quiet.lines) + extra


@settings(max_examples=50, deadline=None)
@given(messages())
def test_reviewed_lines_are_struck_and_no_others(message: Message) -> None:
    if message.plain or message.successor or message.kind in TEXT_ONLY or message.queue_lines:
        return
    struck = [span for text in reader.mrkdwn(blocks.render(message)) for span in reader.struck(text)]
    assert len(struck) == sum(line.fate is not None for line in message.lines)


@settings(max_examples=50, deadline=None)
@given(messages(), st.integers(0, 10**8))
def test_time_alone_changes_no_fingerprint(message: Message, seconds: int) -> None:
    later = replace(message, as_of=message.as_of + timedelta(seconds=seconds))
    assert fingerprint(message) == fingerprint(later)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        pytest.param(
            golden.message(Kind.BASELINE, (), total=5_000, waiting=5_000),
            "5,000 runs are waiting in Support QA",
            id="baseline",
        ),
        pytest.param(golden.message(lines=(golden.line(),)), "1 new run to review in Support QA", id="one"),
        pytest.param(
            golden.message(lines=(golden.line(fate=Fate.REVIEWED), golden.line())),
            "1 of 2 left to review in Support QA",
            id="one is reviewed",
        ),
        pytest.param(golden.message(lines=golden.DONE), "All 3 reviewed in Support QA ✓", id="all are reviewed"),
        pytest.param(golden.message(lines=golden.DONE[:1]), "Reviewed in Support QA ✓", id="the only one is reviewed"),
        pytest.param(
            golden.message(lines=golden.MIXED[:3]),
            "None of 3 left to review in Support QA",
            id="removed is not reviewed",
        ),
        pytest.param(
            golden.message(lines=golden.MIXED[2:3]), "No longer waiting in Support QA", id="nobody knows how it left"
        ),
        pytest.param(
            golden.message(lines=golden.DONE, total=12, waiting=0),
            "All 12 reviewed or no longer waiting in Support QA ✓",
            id="nobody knows how the unlisted left",
        ),
        pytest.param(
            golden.message(lines=(golden.line(),), queue=golden.queue("\u200b")),
            "1 new run to review in 11111111-2222-4333-8444-555555555555",
            id="a queue without a name",
        ),
        pytest.param(
            golden.message(lines=(golden.line(),), queue=golden.queue("R&D <x>")),
            "1 new run to review in R&D ‹x›",  # noqa: RUF001
            id="signs in a queue's name",
        ),
    ],
)
def test_the_header_says(message: Message, said: str) -> None:
    assert blocks.render(message)["blocks"][0]["text"]["text"] == said


@pytest.mark.parametrize(
    ("unlisted", "waiting", "said"),
    [
        (5, 5, "and 5 more in "),
        (5, 2, "and 5 more, 2 of them still waiting in "),
        (5, 0, "and 5 more, no longer waiting in "),
    ],
)
def test_the_rest_is_counted_and_links_to_the_queue(unlisted: int, waiting: int, said: str) -> None:
    message = golden.message(lines=(golden.line(),), total=1 + unlisted, waiting=1 + waiting)
    last = rows(blocks.render(message))[-1]
    assert last == f"{said}<{golden.queue().url}|the queue>"


@pytest.mark.parametrize(
    ("facts", "show", "shown", "hidden"),
    [
        pytest.param({"name": "secret"}, {Show.TYPE}, "run 1a2b3c4d", "secret", id="a hidden name gives way to the id"),
        pytest.param({"run_type": "secret"}, {Show.NAME}, "Refund", "secret", id="a hidden type"),
        pytest.param({"tags": ("secret",)}, {Show.NAME}, "Refund", "secret", id="hidden tags"),
        pytest.param({"error": "secret"}, {Show.NAME}, "Refund", "secret", id="a hidden error"),
        pytest.param({"error": "shown"}, {Show.ERROR}, "error: shown", "Refund", id="an error that may be shown"),
        pytest.param({"inputs_preview": "shown"}, {Show.INPUTS_PREVIEW}, "in: shown", "Refund", id="inputs"),
        pytest.param({"outputs_preview": "shown"}, {Show.OUTPUTS_PREVIEW}, "out: shown", "Refund", id="outputs"),
        pytest.param({"tokens": 1234}, {Show.TOKENS}, "1,234 tokens", "Refund", id="tokens"),
        pytest.param({"cost": "$0.02"}, {Show.COST}, "$0.02", "Refund", id="cost"),
        pytest.param({"thread": "t-1"}, {Show.THREAD}, "t-1", "Refund", id="thread"),
        pytest.param({}, {Show.NAME}, "Refund", "ago", id="a hidden age"),
    ],
)
def test_only_what_may_be_shown_is(facts: dict[str, Any], show: set[Show], shown: str, hidden: str) -> None:
    message = golden.message(Kind.REMINDER, (golden.with_facts(golden.line(), **facts),), show=frozenset(show))
    told = json.dumps(blocks.render(message), ensure_ascii=False)
    assert shown in told
    assert hidden not in told


@pytest.mark.parametrize(
    ("mention", "called"),
    [
        (("U0LEAD00000",), ["@U0LEAD00000"]),
        (("W0LEAD00000", "S0ONCALL000"), ["@W0LEAD00000", "!subteam^S0ONCALL000"]),
        (("<!channel>", "channel", "U0 LEAD", "C0GENERAL00"), []),
    ],
)
def test_only_ids_of_people_and_groups_are_called(mention: Sequence[str], called: list[str]) -> None:
    rendered = blocks.render(golden.message(Kind.ESCALATION, (golden.line(),), mention=tuple(mention)))
    assert [name for text in reader.mrkdwn(rendered) for name in reader.mentions(text)] == called
    assert reader.mentions(rendered["text"]) == called


def test_a_plain_message_is_text_alone() -> None:
    assert blocks.render(golden.message(lines=(golden.line(),), plain=True))["blocks"] == []


def test_a_reminder_that_was_repeated_is_one_line_even_where_the_link_is_unknown() -> None:
    rendered = blocks.render(golden.CASES["reminder_succeeded"])
    assert [element["text"] for element in rendered["blocks"][0]["elements"]] == [
        "↪ 3 runs in Support QA, see a newer reminder below"
    ]
    assert rendered["text"] == "↪ 3 runs in Support QA, see a newer reminder below"


def test_long_stories_lose_their_optional_parts_and_keep_every_run() -> None:
    big = golden.with_facts(golden.EVERYTHING, name="&" * 90, error="&" * 900, tags=("&" * 30,) * 9)
    rendered = blocks.render(golden.message(lines=(big,) * 10, show=frozenset(Show)))
    assert reader.limits_broken(rendered) == []
    assert len([row for row in rows(rendered) if row.startswith("• ")]) == 10
    assert not [row for row in rows(rendered) if "↳" in row]


PREVIEWED = golden.with_facts(
    golden.EVERYTHING,
    name="&" * 90,
    run_type="&" * 30,
    error="<" * 900,
    inputs_preview="😀" * 900,
    outputs_preview="&" * 900,
    tags=("&" * 30,) * 9,
    thread="&" * 50,
    cost="&" * 50,
    url="https://smith.langchain.com/" + "&" * 400,
)


@pytest.mark.parametrize("name", ["&" * 90, "😀" * 90, "x" * 90])
@pytest.mark.parametrize("is_alike", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_slacks_own_limits_are_kept_at_5_000_runs_with_previews(name: str, *, is_alike: bool, plain: bool) -> None:
    lines = tuple(
        dataclasses.replace(
            golden.with_facts(PREVIEWED, name=name if is_alike else f"{number}{name}"),
            overdue=number % 2 == 0,
            due_at=golden.AS_OF + timedelta(days=number) if number % 2 else None,
            purpose=Kind.ANNOUNCEMENT,
            reserved=True,
            done=1,
            of=2,
        )
        for number in range(10)
    )
    message = golden.message(
        Kind.ESCALATION,
        lines,
        total=5_000,
        waiting=5_000,
        show=frozenset(Show),
        queue=golden.queue(name),
        mention=("U0LEAD00000",) * 9,
        plain=plain,
    )
    rendered = blocks.render(golden.queue_has(message, 5_000, 312, 8))
    assert limits.text_error(rendered["text"], rendered["blocks"]) == ""
    assert limits.block_errors(rendered["blocks"]) == []
    assert not limits.is_too_large(rendered["blocks"])
    assert reader.limits_broken(rendered) == []


@pytest.mark.parametrize("name", ["&" * 90, "😀" * 90, "x" * 90])
def test_slacks_own_limits_are_kept_at_1_000_queues(name: str) -> None:
    each = tuple(golden.queue_line(f"{name[:70]}{n}", n, n + 1, url=PREVIEWED.facts.url) for n in range(1_000))
    rendered = blocks.render(golden.message(Kind.BASELINE, queue=None, queue_lines=each))
    assert limits.block_errors(rendered["blocks"]) == []
    assert not limits.is_too_large(rendered["blocks"])
    assert reader.limits_broken(rendered) == []
    assert rows(rendered)[-1].startswith("and 980 more queues with ")


def test_ten_busy_lines_stay_whole_in_the_text() -> None:
    message = golden.message(Kind.REMINDER, golden.MANY_LATE, total=5_000, waiting=5_000)
    assert blocks.render(golden.queue_has(message, 5_000, 312, 8))["text"].count("\n• ") == 10


@settings(max_examples=100, deadline=None)
@given(
    made=st.lists(lines, min_size=2, max_size=10), show=st.frozensets(st.sampled_from(Show)), same_name=st.booleans()
)
def test_no_two_runs_of_a_message_look_alike(made: list[Line], show: frozenset[Show], *, same_name: bool) -> None:
    if same_name:
        made = [golden.with_facts(line, name="LangGraph") for line in made]
    shown = entries(golden.message(lines=tuple(made), show=show), DETAILS[-1], blocks.TEXT)
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize(
    ("case", "names"),
    [
        pytest.param("announcement_alike_ids", 4, id="ids, where they were added in the same minutes"),
        pytest.param("announcement_alike_numbers", 4, id="numbers, where even ids are missing"),
    ],
)
def test_runs_of_one_name_are_made_distinct_by(case: str, names: int) -> None:
    shown = [row.split(" · ")[0] for row in rows(blocks.render(golden.CASES[case]))]
    assert len(set(shown)) == names


def test_no_age_and_no_due_date_shows_where_ages_may_not() -> None:
    message = replace(golden.CASES["reminder_along"], show=frozenset(Show) - {Show.AGE})
    told = json.dumps(blocks.render(message), ensure_ascii=False)
    assert not [word for word in ("date^", "ago", "· due ", " by ", "since", "UTC", "· overdue") if word in told]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"new": 2}, "2 new runs to review in Support QA", id="only what is new, where something is"),
        pytest.param({"new": 2, "escalated": 1}, "1 run needs attention in Support QA", id="what is escalated first"),
        pytest.param({"overdue": 3}, "3 runs are overdue in Support QA", id="what is overdue, where nothing is new"),
        pytest.param({"along": 4}, "4 runs will soon be overdue in Support QA", id="what will be, where nothing is"),
        pytest.param({}, "4 runs are still waiting in Support QA", id="that they wait, where the limit was raised"),
    ],
)
def test_the_header_of_runs_that_come_together_counts(changes: dict[str, int], said: str) -> None:
    message = golden.message(Kind.ANNOUNCEMENT, golden.SOON[:4], standing=Shares(**changes))
    assert header(message) == said


@pytest.mark.parametrize("kind", [Kind.ANNOUNCEMENT, Kind.REMINDER, Kind.ESCALATION, Kind.BASELINE])
def test_no_header_has_an_age_in_it(kind: Kind) -> None:
    message = golden.queue_has(golden.message(kind, golden.LATE), 7, 2)
    assert not [word for word in (" s ", " min", " h", " d ", "ago", "since") if word in header(message)]


def test_what_is_known_of_the_queue_goes_once_all_runs_are_reviewed() -> None:
    assert "waiting" not in blocks.render(golden.CASES["announcement_reviewed"])["text"]


def test_the_key_and_the_kind_travel_in_the_metadata() -> None:
    assert blocks.render(golden.message(Kind.REMINDER))["metadata"] == {
        "event_type": "review_notice",
        "event_payload": {"delivery_key": str(golden.KEY), "kind": "reminder", "v": 1},
    }


def _aims(message: Message) -> set[str]:
    """Where links may lead: the pages that the source named, and messages of the team."""
    urls = {line.facts.url for line in message.lines} | {message.queue.url if message.queue else ""}
    urls |= {line.queue.url for line in message.queue_lines}
    elsewhere = {blocks.permalink(golden.TEAM_URL, message.successor)} if message.successor else set()
    return {target(url) for url in urls} | elsewhere


def _assert_harmless(rendered: dict[str, Any], message: Message) -> None:
    told = [*reader.mrkdwn(rendered), rendered["text"]]
    allowed = set(message.mention)
    for text in told:
        assert {name.removeprefix("!subteam^").removeprefix("@") for name in reader.mentions(text)} <= allowed
        assert reader.formatting(text) == []
        assert set(reader.targets(text)) <= _aims(message)
    assert reader.autolinked(rendered["text"]) == []
