"""The commands: parse, call, print."""

from __future__ import annotations

import contextlib
import gc
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.core.owed import State
from worker.core.ports import ConfigError, RefusedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(
    name="review-notifier",
    help="Watch LangSmith annotation queues and notify reviewers in Slack of runs that are new, stale and done.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_LONGEST_PATH = 200

_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class Exit(IntEnum):
    """Exit statuses, the same everywhere; 2 (wrong usage) comes from the parser of arguments."""

    DONE = 0
    FAILED = 1
    BUSY = 75
    UNUSABLE = 78


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn an error that ends a command into one clear message and its exit status."""
    from worker.stores.lock import Busy

    gc.freeze()  # modules stay for as long as the process, so the garbage collector need not search them
    gc.enable()
    try:
        yield
    except (ConfigError, RefusedError) as error:
        from worker.settings.advice import named

        _fail(named(str(error)), Exit.UNUSABLE)
    except Busy as error:
        _fail(str(error), Exit.BUSY)
    except StoreError as error:
        _fail(str(error), Exit.FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(Exit.DONE) from None
    except (OSError, MemoryError) as error:
        if _is_output_lost():
            raise SystemExit(Exit.FAILED) from None  # the message is printed at the end of the program
        _fail(_of_machine(error), Exit.FAILED)
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        _fail(_TOO_LITTLE, Exit.FAILED)


_TOO_LITTLE = (
    "the machine gives this process no more memory or threads: raise the limit "
    "(`ulimit -a`; MemoryMax and TasksMax in systemd, mem_limit and pids_limit in compose)"
)


def _is_output_lost() -> bool:
    """Whether the rest of the result cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _of_machine(error: OSError | MemoryError) -> str:
    """The message about something that the machine refuses, for errors that no other code has explained."""
    if not isinstance(error, OSError):
        return _TOO_LITTLE
    if error.filename is None:
        return f"the result cannot be written: {error.strerror or error}"
    return f"{str(error.filename)[:_LONGEST_PATH]}: {error.strerror}; correct the path, or the rights to it"


def _fail(text: str, status: Exit) -> None:
    from worker.core.text import plain_lines

    with contextlib.suppress(OSError):  # the status says it, too
        sys.stderr.write(f"review-notifier: {plain_lines(text)}\n")
        sys.stderr.flush()
    raise SystemExit(status)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        from worker.version import version_text

        sys.stdout.write(f"{version_text()}\n")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Watch LangSmith annotation queues and notify reviewers in Slack of runs that are new, stale and done."""


@app.command("run")
def _run() -> None:
    """Poll and deliver until SIGTERM or SIGINT."""
    from worker.commands import work

    with reported():
        work.run()


@app.command("poll")
def _poll(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the messages; post nothing, remember nothing.")
    ] = False,
) -> None:
    """Poll every queue once, deliver everything that is due, and end."""
    from worker.commands import work

    with reported():
        well = work.dry_run() if dry_run else work.poll()
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


@app.command("check")
def _check(
    *,
    as_json: _Json = False,
    live: Annotated[
        bool, typer.Option("--live", help="Add facts that only the live service shows; read-only.")
    ] = False,
) -> None:
    """Check settings, database, LangSmith, every queue, Slack and every channel."""
    from worker.commands import check as command

    with reported():
        well = command.check(as_json=as_json, live=live)
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


@app.command("queues")
def _queues(*, as_json: _Json = False) -> None:
    """List the queues that the key can see and how many runs wait in each."""
    from worker.commands import check as command

    with reported():
        raise SystemExit(Exit.DONE if command.queues(as_json=as_json) else Exit.FAILED)


@app.command("status")
def _status(*, as_json: _Json = False) -> None:
    """Show whether a service runs, how each queue stands, and every reason why all is not well."""
    from worker.commands import status as command

    with reported():
        raise SystemExit(Exit.DONE if command.status(as_json=as_json) else Exit.FAILED)


@app.command("deliveries")
def _deliveries(
    *,
    state: Annotated[State | None, typer.Option(help="Only deliveries in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")] = 100,
    as_json: _Json = False,
) -> None:
    """Show the outbox, newest first."""
    from worker.commands import deliveries as command

    with reported():
        command.deliveries(state=state, limit=limit, as_json=as_json)


@app.command("retry")
def _retry(
    key: Annotated[str, typer.Argument(help="The delivery's key, as `deliveries` shows it, or a beginning of it.")],
) -> None:
    """Put a dead or held delivery back to pending."""
    from worker.commands import deliveries as command

    with reported():
        try:
            command.retry(key)
        except command.RetryError as error:
            _fail(str(error), Exit.FAILED)


@app.command("runs")
def _runs(
    queue: Annotated[str | None, typer.Argument(help="A queue's id or name; without it, all queues.")] = None,
    *,
    as_json: _Json = False,
) -> None:
    """List what waits: id, name, age, last notified, next due and why."""
    from worker.commands import runs as command

    with reported():
        raise SystemExit(Exit.DONE if command.runs(queue, as_json=as_json) else Exit.FAILED)


@app.command("why")
def _why(
    what: Annotated[
        str,
        typer.Argument(
            help="A queue run's id, a run's id, a link to a run in LangSmith or a message in Slack, or part of a name."
        ),
    ],
    *,
    as_json: _Json = False,
) -> None:
    """Show the whole story of one run, and what is due next."""
    from worker.commands import runs as command

    with reported():
        if not command.why(what, as_json=as_json):
            _fail(
                f"no run was ever seen that {what!r} could mean; `review-notifier runs` lists what waits", Exit.FAILED
            )


@app.command("hours")
def _hours(
    queue: Annotated[
        str | None, typer.Argument(help="A queue's id or name; without it, the calendar of queues that name none.")
    ] = None,
    *,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As of then, such as 2026-12-24T10:00 on the calendar's clock."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Show when a calendar is open, what one day is, and the next days off."""
    from worker.commands import hours as command

    with reported():
        try:
            well = command.hours(queue, at=at, as_json=as_json)
        except command.TimeError as error:
            raise typer.BadParameter(str(error), param_hint="--at") from None
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


@app.command("migrate")
def _migrate(
    *,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Then copy this SQLite database to the PostgreSQL."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say which revision it has; status 1 where that is not the newest.")
    ] = False,
) -> None:
    """Bring the database to the newest schema."""
    from worker.commands import database

    if check and source is not None:
        raise typer.BadParameter("--check changes nothing, --from copies: give one of them")
    with reported():
        if check:
            raise SystemExit(Exit.DONE if database.is_migrated() else Exit.FAILED)
        if source is None:
            database.migrate()
        else:
            database.move(source)


@app.command("backup")
def _backup(file: Annotated[Path, typer.Argument(help="Where to; must not exist.")]) -> None:
    """Copy an SQLite database consistently while the service runs."""
    from worker.commands import database

    with reported():
        database.backup(file)


@app.command("demo")
def _demo(
    *,
    fast: Annotated[bool, typer.Option("--fast", help="Play the scenario once, without a page, and end.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the page; 0 takes a free one.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """See it work: the real worker against a simulated LangSmith and Slack, on loopback."""
    from worker.demo.story.play import play

    with reported():
        raise SystemExit(play(fast=fast, port=port, open_browser=open_browser))
