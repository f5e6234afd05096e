"""The names of the services and settings, by which the core reports a trouble and its remedy."""

from __future__ import annotations

from worker.core.advice import Advice
from worker.core.ports import DATABASE_URL, Trouble

DATABASE_SETTING = "WORKER_DATABASE_URL"

QUEUES = "`review-notifier queues` lists what the key can see"

ADVICE = Advice(
    source="LangSmith",
    notifier="Slack",
    notifier_area="slack",
    troubles={
        Trouble.UNREACHABLE: "check LANGSMITH_ENDPOINT, and this machine's way to it",
        Trouble.THROTTLED: "lower WORKER_REQUESTS_PER_SECOND if this goes on",
        Trouble.REFUSED: "check LANGSMITH_ENDPOINT and LANGSMITH_API_KEY, which belong to one region, and for a key of "
        "the organisation LANGSMITH_WORKSPACE_ID",
        Trouble.MISSING: f"correct the queue's id in WORKER_QUEUES; {QUEUES}",
        Trouble.UNLAWFUL: "check that LANGSMITH_ENDPOINT is the root of LangSmith's API, not of its web pages",
    },
    key="put a valid key in LANGSMITH_API_KEY, or its region's address in LANGSMITH_ENDPOINT, and restart",
    token="put a good token in SLACK_BOT_TOKEN and restart the service",  # noqa: S106  a remedy, no secret
    names="correct WORKER_QUEUES or worker.toml",
    ending="Set WORKER_LANGSMITH_API=auto, and update the worker (or a self-hosted LangSmith) if that does not help.",
    stale_after="WORKER_STALE_AFTER",
    remind_every="WORKER_REMIND_EVERY",
    escalate_after="WORKER_ESCALATE_AFTER",
)


def named(text: str) -> str:
    """The text of an error, with the setting that names the database called by its name."""
    return text.replace(DATABASE_URL, DATABASE_SETTING)
