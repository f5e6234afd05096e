"""What the ports' errors carry."""

from __future__ import annotations

from datetime import timedelta

from worker.core.ports import DeliveryError, Outcome, SourceError, Trouble, always


def test_a_source_error_says_what_happened_and_carries_what_is_decided_on() -> None:
    error = SourceError("asked too often", Trouble.THROTTLED, retry_after=timedelta(seconds=3))
    assert (str(error), error.trouble, error.retry_after) == (
        "asked too often",
        Trouble.THROTTLED,
        timedelta(seconds=3),
    )


def test_a_source_error_carries_no_wish_where_there_is_none() -> None:
    assert SourceError("refused", Trouble.REFUSED).retry_after is None


def test_a_delivery_error_says_what_happened_and_carries_what_is_decided_on() -> None:
    error = DeliveryError("asked too often", Outcome.THROTTLED, code="ratelimited", retry_after=timedelta(seconds=3))
    assert (str(error), error.outcome, error.code, error.retry_after) == (
        "asked too often",
        Outcome.THROTTLED,
        "ratelimited",
        timedelta(seconds=3),
    )


def test_a_delivery_error_without_a_code_is_named_by_its_outcome() -> None:
    assert DeliveryError("refused", Outcome.TOKEN).code == "token"


def test_where_nobody_counts_the_time_it_is_never_too_late() -> None:
    assert always()
