"""The demo's page in a real browser: what people see of the worker's messages, and what the buttons do.

`pytest tests/system/test_demo_page.py -k screenshot --demo-screenshot docs/demo.png` makes the README's picture.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from rich.console import Console

from tests.system.demo_page import Demo, browsing, chromium, raised
from tests.system.picture import reduced
from tests.system.process import wait_for
from worker.demo.story import cast
from worker.demo.story.cast import TracedRun
from worker.demo.story.play import YOUR_TURN, Performance
from worker.demo.story.stage import LANGSMITH, SLACK, Control
from worker.demo.story.terminal import Terminal
from worker.process import STOP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.together, pytest.mark.long(50)]
expect.set_options(timeout=180_000)

LARGEST_PICTURE = 200_000
WIDE: Any = {"width": 1280, "height": 900}
NARROW: Any = {"width": 400, "height": 820}


@pytest.fixture(scope="module")
def demo(request: pytest.FixtureRequest) -> Iterator[Demo]:
    picture = request.config.getoption("--demo-screenshot", default=None)
    with raised(cast.FAST) if picture else raised() as demo:
        yield demo


@pytest.fixture(scope="module")
def window() -> Iterator[Page]:
    """One for all tests: a new one costs more than most of them."""
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium is installed: install the package `chromium` to test the demo's page")
    with browsing(executable) as browser, browser.new_context(locale="en-GB") as context:
        context.set_default_timeout(180_000)
        yield context.new_page()


@pytest.fixture
def page(window: Page, demo: Demo) -> Iterator[Page]:
    """The page at 1280 pixels. Whatever the browser complains of fails the test."""
    with opened(window, demo) as page:
        yield page
    for service in (LANGSMITH, SLACK):
        demo.stage.heal(service)


@contextmanager
def opened(window: Page, demo: Demo, viewport: Any = WIDE, scheme: Any = "light") -> Iterator[Page]:
    complaints: list[str] = []
    listeners: dict[Any, Any] = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "dialog": lambda dialog: complaints.append(f"a dialog: {dialog.message}"),
    }
    window.set_viewport_size(viewport)
    # What moves is drawn by the processor here, sixty times a second.
    window.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for event, listener in listeners.items():
        window.on(event, listener)
    try:
        window.goto(demo.address)
        expect(window.locator("#channels button").first).to_be_visible()
        window.evaluate("window.neverReloaded = true")
        yield window
        window.goto("about:blank")
    finally:
        for event, listener in listeners.items():
            window.remove_listener(event, listener)
    assert not complaints


def message(page: Page, text: str) -> Any:
    return page.locator("#feed > .message", has_text=text)


def row(page: Page, name: str) -> Any:
    return page.locator("#queues .run", has_text=name)


def test_messages_appear_as_slack_shows_them(page: Page) -> None:
    baseline = message(page, "4 runs are waiting in Support assistant")
    expect(baseline).to_have_count(1)
    expect(baseline.locator("h4.header")).to_have_text("4 runs are waiting in Support assistant")
    expect(baseline.locator("code").first).to_have_text("billing")
    expect(baseline.locator(".section time").first).to_have_text("3 days ago")
    expect(baseline.locator(".kind")).to_have_count(0)
    expect(baseline.locator(".where")).to_have_text("#support-reviews")
    assert "/langsmith/o/" in str(baseline.locator(".section a").first.get_attribute("href"))
    expect(baseline.locator(".context").first).to_contain_text("4 waiting, the oldest since")
    expect(baseline.locator(".context").last).to_contain_text("From now on only new runs are announced")


def test_a_new_run_is_announced_and_its_review_changes_the_message_without_a_reload(page: Page) -> None:
    waiting = page.locator("#queues .queue", has_text="Support assistant").locator("ul.runs").first.locator(".run")
    before = waiting.count()
    page.get_by_role("button", name="Add a run to Support assistant").click()
    expect(waiting).to_have_count(before + 1)
    name = str(waiting.last.locator("b").text_content())
    expect(message(page, name)).to_have_count(1)
    expect(message(page, name).locator("h4.header")).to_have_text("1 new run to review in Support assistant")
    page.get_by_role("button", name=f"Complete: {name}").click()
    expect(message(page, name).locator("h4.header")).to_have_text("Reviewed in Support assistant ✓")
    expect(message(page, name).locator("s")).to_have_text(name)
    expect(message(page, name).locator(".edited")).to_have_text("(edited)")
    assert page.evaluate("window.neverReloaded")


def test_a_run_is_reserved_and_released(page: Page, demo: Demo) -> None:
    demo.arrive(cast.RAG, TracedRun("Which form for sick leave?"))
    expect(message(page, "Which form for sick leave?")).to_be_visible()
    page.get_by_role("button", name="Reserve: Which form for sick leave?").click()
    expect(row(page, "Which form for sick leave?").locator(".mark")).to_have_text("reserved")
    expect(message(page, "Which form for sick leave?")).to_contain_text("· reserved")
    page.get_by_role("button", name="Release: Which form for sick leave?").click()
    expect(row(page, "Which form for sick leave?").locator(".mark")).to_have_count(0)


def test_a_reviewed_run_is_put_back(page: Page, demo: Demo) -> None:
    run = demo.arrive(cast.RAG, TracedRun("Who approves travel?"))
    expect(message(page, "Who approves travel?")).to_have_count(1)
    demo.stage.complete(run)
    expect(message(page, "Reviewed in RAG bot").filter(has_text="Who approves travel?")).to_have_count(1)
    queue = page.locator("#queues .queue", has_text="RAG bot")
    queue.locator("summary").click()
    page.get_by_role("button", name="Put back: Who approves travel?").click()
    back = message(page, "1 run is back in RAG bot: grounding")
    expect(back.filter(has_text="Who approves travel?")).to_have_count(1)
    expect(queue.locator("ul.runs").first).to_contain_text("Who approves travel?")


def test_hostile_text_stays_text(page: Page, demo: Demo) -> None:
    name = "<!channel> *x* <img src=x onerror=alert(1)> <script>alert(2)</script>"
    demo.arrive(cast.SUPPORT, TracedRun(name, tags=("<@U0EVERYONE>", "<b>bold</b>"), error="</li><h1>broken"))
    shown = message(page, "<script>alert(2)</script>")
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("<img src=x onerror=alert(1)>")
    expect(shown.locator("img, script, b:not(.byline b), .mention, strong")).to_have_count(0)
    expect(row(page, name).locator("b")).to_have_text(name)
    expect(page.locator("#feed script, #feed img, #queues img, #queues script, #queues h1")).to_have_count(0)


def test_the_renderer_draws_slacks_markup_and_links_only_to_the_web(page: Page, demo: Demo) -> None:
    text = (
        "*bold* _it_ ~old~ `co*d*e` a_b_c <https://example.com/?a=1&amp;b=2|a *label*> <javascript:alert(1)|no> "
        f"<!subteam^{cast.ON_CALL}> <@U0X> <!here> <#{cast.LEADS_CHANNEL}> <!date^0^{{nonsense}}|then> "
        "1 &lt; 2 &amp;lt;"
    )
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    demo.call("chat.postMessage", channel=cast.LEADS_CHANNEL, text="rendered", blocks=[block])
    section = page.locator(".section", has_text="a_b_c")
    expect(section).to_have_text(
        "bold it old co*d*e a_b_c a *label* no @review-on-call @U0X @here #review-leads then 1 < 2 &lt;"
    )
    expect(section.locator("strong")).to_have_text("bold")
    expect(section.locator("em")).to_have_text("it")
    expect(section.locator("s")).to_have_text("old")
    expect(section.locator("code")).to_have_text("co*d*e")
    assert [link.get_attribute("href") for link in section.locator("a").all()] == ["https://example.com/?a=1&b=2"]
    assert section.locator("a").get_attribute("rel") == "noopener noreferrer"
    assert section.locator(".mention").all_text_contents() == ["@review-on-call", "@U0X", "@here", "#review-leads"]


def test_replies_stand_in_their_thread(page: Page, demo: Demo) -> None:
    root = demo.call("chat.postMessage", channel=cast.LEADS_CHANNEL, text="the root of it")
    demo.call("chat.postMessage", channel=cast.LEADS_CHANNEL, text="an answer", thread_ts=root["ts"])
    thread = message(page, "the root of it").locator(".thread")
    expect(thread).to_contain_text("1 reply in the thread")
    expect(thread.locator(".message")).to_contain_text("an answer")
    expect(message(page, "an answer")).to_have_count(1)


def test_a_channel_shows_its_own_messages_alone(page: Page) -> None:
    page.get_by_role("button", name="# rag-quality").click()
    expect(message(page, "3 runs are waiting in RAG bot")).to_be_visible()
    expect(message(page, "Support assistant")).to_have_count(0)
    page.get_by_role("button", name="All channels").click()
    expect(message(page, "4 runs are waiting in Support assistant")).to_have_count(1)


def test_a_direct_message_stands_beside_the_channels(page: Page, demo: Demo) -> None:
    expect(page.locator("#channels .heading")).to_have_count(0)
    demo.story.bring_board()
    direct = message(page, "1 new run for you to review in Safety board")
    expect(direct.locator(".where")).to_have_text("Cleo Haddad")
    expect(page.locator("#channels .heading")).to_have_text("Direct messages")
    expect(page.locator("#channels button").last).to_have_text("Cleo Haddad")
    page.get_by_role("button", name="Cleo Haddad").click()
    expect(page.locator("#feed > .message")).to_have_count(1)
    assert page.evaluate(WIDER) == []
    page.get_by_role("button", name=f"Complete: {cast.SAFETY_NEW.name}").click()
    expect(message(page, "Nothing left for you to review in Safety board ✓")).to_have_count(1)
    page.get_by_role("button", name="All channels").click()


def test_of_two_who_take_a_run_the_first_has_it_and_the_other_is_shown_who(page: Page, demo: Demo) -> None:
    demo.arrive(cast.RAG, TracedRun("Taken by one of two"))
    shown = message(page, "Taken by one of two")
    expect(shown).to_have_count(1)
    posted = next(m for m in demo.stage.messages()[cast.RAG_CHANNEL] if "Taken by one of two" in str(m["blocks"]))
    menu = next(block for block in posted["blocks"] if "accessory" in block)
    page.locator("#who").select_option(label=cast.CLEO.name)
    shown.locator(".menu summary").first.click()
    shown.get_by_role("button", name="I take it").click()
    expect(message(page, "you have it until")).to_contain_text("Only visible to you")
    expect(shown.filter(has_text=f"{cast.CLEO.name} has it")).to_have_count(1)
    # The menu as the other one still has it open.
    stale = Control(menu["accessory"]["action_id"], menu["block_id"], menu["accessory"]["options"][0]["value"])
    demo.stage.press(cast.ADA.user, cast.RAG_CHANNEL, posted["ts"], stale)
    page.locator("#who").select_option(label=cast.ADA.name)
    refused = message(page, f"{cast.CLEO.name} has it already")
    expect(refused).to_have_count(1)
    expect(message(page, "you have it until")).to_have_count(0)
    refused.get_by_role("button", name="Dismiss").click()
    expect(refused).to_have_count(0)


def test_what_somebody_writes_and_opens_is_answered_to_this_person_alone(page: Page) -> None:
    page.locator("#who").select_option(label=cast.CLEO.name)
    page.locator("#written").fill("/reviews Claims desk")
    page.get_by_role("button", name="Send").click()
    expect(message(page, "2 runs wait in Claims desk")).to_contain_text("Only visible to you")
    page.get_by_role("button", name="Home of the app").click()
    expect(page.locator("#feed > .message")).to_contain_text("for your review")
    page.get_by_role("button", name="All channels").click()


def mutes_of(demo: Demo) -> int:
    return sum(said.text.startswith("Somebody asked for mute") for said in demo.stage.said())


def test_a_mute_asks_first(page: Page, demo: Demo) -> None:
    page.locator("#who").select_option(label=cast.CLEO.name)
    footer = message(page, "3 runs are waiting in RAG bot").locator(".controls").last
    for answer, mutes in (("deny", 0), ("confirm", 1)):
        footer.locator(".menu summary").click()
        footer.get_by_role("button", name="Mute 1 h").click()
        dialog = page.locator("dialog")
        expect(dialog).to_be_visible()
        buttons = dialog.get_by_role("button")
        buttons.nth(0 if answer == "deny" else 1).click()
        expect(dialog).to_have_count(0)
        if mutes:
            expect(message(page, "muted until")).to_have_count(1)
        wait_for(lambda mutes=mutes: mutes_of(demo) == mutes, "the worker says what it did")
    demo.stage.write(cast.CLEO.user, cast.RAG_CHANNEL, f"/reviews unmute {cast.RAG}")
    expect(message(page, "not muted any more")).to_have_count(1)


def test_langsmith_breaks_and_heals(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="Break LangSmith").click()
    expect(page.locator("#langsmith-up")).to_have_text("broken")
    expect(page.locator("#log")).to_contain_text("Cannot poll Support assistant")
    demo.arrive(cast.SUPPORT, TracedRun("Came while nobody could look"))
    page.get_by_role("button", name="Heal LangSmith").click()
    expect(page.locator("#langsmith-up")).to_have_text("works")
    expect(message(page, "Came while nobody could look")).to_have_count(1)
    expect(page.locator("#log")).to_contain_text("Polls Support assistant again")


def test_slack_breaks_and_heals(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="Break Slack").click()
    expect(page.locator("#slack-up")).to_have_text("broken")
    demo.arrive(cast.RAG, TracedRun("Came while Slack was away"))
    # A message of the test before may find the trouble first, and spare this one the attempt.
    expect(page.locator("#log")).to_contain_text(
        re.compile("Could not post an announcement of .* to #(rag-quality|support-reviews)")
    )
    page.get_by_role("button", name="Heal Slack").click()
    expect(message(page, "Came while Slack was away")).to_have_count(1)


def test_a_lost_answer_does_not_post_twice(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="Lose next answer").click()
    demo.arrive(cast.SUPPORT, TracedRun("Its answer got lost"))
    # A message of the test before may be the one whose answer is lost.
    after_the_loss = 'li:has-text("Does not know whether an announcement of") ~ li'
    posted = re.compile("Posted an announcement of .* to #support-reviews")
    expect(page.locator(after_the_loss, has_text=posted).first).to_be_attached()
    expect(message(page, "Its answer got lost")).to_have_count(1)


def test_news_are_told_to_those_who_do_not_see_them(page: Page, demo: Demo) -> None:
    expect(page.locator("#live")).to_have_attribute("aria-live", "polite")
    demo.arrive(cast.RAG, TracedRun("Tell me aloud"))
    expect(page.locator("#live")).to_contain_text("New in #rag-quality: 1 new run to review in RAG bot: grounding")


def test_news_out_of_sight_are_pointed_to(page: Page, demo: Demo) -> None:
    feed = page.locator("#feed")
    demo.call("chat.postMessage", channel=cast.LEADS_CHANNEL, text="a long one\n" + "line\n" * 80)
    expect(message(page, "a long one")).to_have_count(1)
    feed.evaluate("feed => feed.scrollTop = 0")
    demo.arrive(cast.RAG, TracedRun("Below what is seen"))
    expect(page.locator("#jump")).to_have_text("↓ New: 1 new run to review in RAG bot: grounding")
    expect(message(page, "Below what is seen")).not_to_be_in_viewport()
    page.locator("#jump").click()
    expect(message(page, "Below what is seen")).to_be_in_viewport()
    expect(page.locator("#jump")).to_be_hidden()


def test_news_behind_another_tab_are_counted(window: Page, demo: Demo) -> None:
    with opened(window, demo, NARROW) as page:
        page.get_by_role("button", name="Queues").click()
        demo.arrive(cast.RAG, TracedRun("Counted on the tab"))
        expect(page.locator("#unread")).to_have_text("1")
        page.locator("[data-tab=slack]").click()
        expect(message(page, "Counted on the tab")).to_be_visible()
        expect(page.locator("#unread")).to_be_empty()


def test_the_keyboard_reaches_a_button_and_keeps_its_place(page: Page, demo: Demo) -> None:
    first = demo.arrive(cast.SUPPORT, TracedRun("Reached by keyboard"))
    demo.arrive(cast.SUPPORT, TracedRun("And the next one"))
    button = page.get_by_role("button", name="Complete: Reached by keyboard")
    button.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    assert button.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(row(page, "Reached by keyboard").first).to_be_hidden()
    assert page.evaluate("document.activeElement.closest('.queue') !== null"), "the focus got lost with its row"
    assert first not in {place.queue_run_id for place in demo.stage.waiting(demo.stage.queues[cast.SUPPORT])}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_wider_than_the_window(window: Page, demo: Demo, viewport: Any, scheme: Any) -> None:
    with opened(window, demo, viewport, scheme) as page:
        for tab in ("worker", "langsmith", "slack"):
            if viewport["width"] < 860:
                page.locator(f"[data-tab={tab}]").click()
            expect(page.locator(f".panel.{tab}")).to_be_visible()
            assert page.evaluate(WIDER) == []
        light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (light == "rgb(243, 244, 248)") == (scheme == "light")


WIDER = """() => [...document.querySelectorAll("body *")]
  .filter((element) => element.checkVisibility() && !element.closest(".aside, .run .name"))
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5
    || (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX === "auto"))
  .map((element) => element.outerHTML.slice(0, 120))"""


def test_the_page_loads_nothing_from_elsewhere(window: Page, demo: Demo) -> None:
    asked: list[str] = []
    with opened(window, demo) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        expect(page.locator("#feed .message").first).to_be_visible()
    assert asked
    assert all(url.startswith(demo.address) for url in asked)


def test_a_screenshot_for_the_readme(window: Page, demo: Demo, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    picture = request.config.getoption("--demo-screenshot", default=None)
    with opened(window, demo) as page:
        if picture:
            play_all(demo)
            expect(page.locator("#step")).to_have_text("Your turn")
        expect(page.locator("#feed .message").first).to_be_visible()
        taken = reduced(page.context, page.screenshot(animations="disabled"))
    Path(picture or tmp_path / "demo.png").write_bytes(taken)
    assert 20_000 < len(taken) < LARGEST_PICTURE


def play_all(demo: Demo) -> None:
    """The whole story, so that the picture shows every kind of message."""
    terminal = Terminal(Console(quiet=True))
    story = Performance(demo.stage, terminal, demo.stage.clock, STOP, demo.worker.ended, demo.happenings)
    story.play(demo.story.scenes())
    assert not story.missed
    demo.stage.chapter = YOUR_TURN
