"""The commands: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from worker.commands import setting_up
from worker.commands.exits import Exit, fail, reported
from worker.core.owed import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typer._click.core import Command
    from typer.core import TyperCommand

HELP = ["-h", "--help"]

app = typer.Typer(
    name="review-notifier",
    help="Watch LangSmith annotation queues and notify reviewers in Slack of runs that are new, stale and done.",
    epilog="Exit status: 0 done, 1 the work failed, 2 wrong usage, 75 another process has the database, "
    "78 settings or database cannot be used. Start with `demo`; `init` sets up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP},
)

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Set up": ("init", "files", "check", "test", "queues", "config", "migrate", "demo"),
    "Run": ("run", "poll"),
    "Look": ("status", "runs", "why", "deliveries", "hours", "people", "actions", "report", "simulate"),
    "Act": ("claim", "unclaim", "snooze", "mute", "unmute"),
    "Fix": ("retry", "backup"),
}
"""The commands as `--help` shows them; one that is missing here comes below the others."""

app.add_typer(setting_up.commands)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


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
        bool, typer.Option("--live", help="Also report what only the live LangSmith can show; read-only.")
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
def _status(
    *,
    as_json: _Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show whether a service is running, the state of each queue, and everything that is wrong."""
    from worker.commands import status as command

    if watch and as_json:
        raise typer.BadParameter("--watch is for people, --json for programs: give one of them")
    with reported():
        raise SystemExit(Exit.DONE if command.status(as_json=as_json, watch=watch) else Exit.FAILED)


@app.command("deliveries")
def _deliveries(
    *,
    state: Annotated[
        State | None, typer.Option(metavar="STATE", help=f"Only deliveries in this state: {', '.join(State)}.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many at most.")] = 100,
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
            fail(str(error), Exit.FAILED)


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
            fail(f"{what!r} matches no run that was ever seen; `review-notifier runs` lists what waits", Exit.FAILED)


@app.command("hours")
def _hours(
    queue: Annotated[str | None, typer.Argument(help="A queue's id or name; without it, the default calendar.")] = None,
    *,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Show it as of this time, such as 2026-12-24T10:00 on the calendar's clock."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Show when a calendar is open, how long one day counts, and the next days off."""
    from worker.commands import hours as command

    with reported():
        try:
            well = command.hours(queue, at=at, as_json=as_json)
        except command.TimeError as error:
            raise typer.BadParameter(str(error), param_hint="--at") from None
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


@app.command("report")
def _report(
    queue: Annotated[str | None, typer.Argument(help="A queue's id or name; without it, all queues.")] = None,
    *,
    days: Annotated[int, typer.Option(min=1, max=396, help="How many days back.")] = 7,
    as_json: _Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for programs: a row per queue.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it, as .svg or .png; an existing file is replaced.")
    ] = None,
    post: Annotated[
        bool, typer.Option("--post", help="Post it to each queue's channel, at most once per period.")
    ] = False,
) -> None:
    """Show for each queue what came, what was reviewed and what waits, and at which hours of the week runs come."""
    from worker.commands import report as command

    if sum((as_json, as_csv, plot is not None, post)) > 1:
        raise typer.BadParameter("--json, --csv, --plot and --post do different things: give one of them")
    if plot is not None and plot.suffix.lower() not in {".svg", ".png"}:
        raise typer.BadParameter(f"{plot} ends neither with .svg nor with .png", param_hint="--plot")
    with reported():
        try:
            well = command.show_reports(command.ReportAsked(queue, days, as_json, as_csv, plot, post))
        except command.NotDrawnError as error:
            fail(str(error), Exit.FAILED)
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


@app.command("simulate")
def _simulate(
    *,
    days: Annotated[int, typer.Option(min=1, max=400, help="How many days of the past.")] = 30,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A worker.toml whose policy is tried, beside the present one.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Show what a policy would have made of the remembered time: posts, calls, delays. Posts and writes nothing."""
    from worker.commands import simulate as command

    with reported():
        well = command.simulate(days=days, config=config, as_json=as_json)
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


_people = typer.Typer(help="Show every reviewer, and how each is reached.", invoke_without_command=True)
app.add_typer(_people, name="people")


@_people.callback()
def _list_people(context: typer.Context, *, as_json: _Json = False) -> None:
    """Show every reviewer: e-mail, Slack id, runs to review, today's budget, and why somebody is not reached."""
    if context.invoked_subcommand is not None:
        return
    from worker.commands import people

    with reported():
        people.people(as_json=as_json)


@_people.command("forget")
def _forget(
    who: Annotated[str, typer.Argument(metavar="EMAIL", help="The e-mail, in any case, or the Slack id (U…).")],
) -> None:
    """Delete the name, e-mail and Slack id of a person from the database, with what this person did, for good."""
    from worker.commands import people

    with reported():
        raise SystemExit(Exit.DONE if people.forget(who) else Exit.FAILED)


_What = Annotated[str, typer.Argument(help="A run, as `why` takes it.")]
_Queue = Annotated[str, typer.Argument(help="A queue's id or name.")]
_Until = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="A duration (1h), opening (the next after today), monday, or an instant (2026-12-24T10:00).",
    ),
]


@app.command("claim")
def _claim(
    what: _What,
    *,
    by: Annotated[str, typer.Option(metavar="EMAIL", help="Who takes it.")],
) -> None:
    """Take a run for a person: reminders of it stop for a while, escalations still come."""
    _act("claim", what, by=by)


@app.command("unclaim")
def _unclaim(what: _What) -> None:
    """Give a run back, no matter who has it."""
    _act("give_back", what)


@app.command("snooze")
def _snooze(what: _What, *, until: _Until) -> None:
    """Keep silent about a run until a time."""
    _act("snooze", what, until=until)


@app.command("mute")
def _mute(queue: _Queue, *, until: _Until) -> None:
    """Hold the posts and direct messages about a queue until a time; escalations still come."""
    _act("mute", queue, until=until)


@app.command("unmute")
def _unmute(queue: _Queue) -> None:
    """End the mute of a queue."""
    _act("unmute", queue)


@app.command("actions")
def _actions(
    *,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many at most.")] = 100,
    as_json: _Json = False,
) -> None:
    """Show what people did: when, who, what, to which run or queue, by what means, and with what result."""
    from worker.commands import acting

    with reported():
        acting.actions(limit, as_json=as_json)


def _act(act: str, on: str, *, by: str = "", until: str = "") -> None:
    from worker.commands import acting

    with reported():
        try:
            acting.perform(act, on, by=by, until=until)
        except acting.WrittenError as error:
            raise typer.BadParameter(str(error), param_hint="--by" if by else "--until") from None
        except acting.NotDoneError as error:
            fail(str(error), Exit.FAILED)


@app.command("config")
def _config(*, as_json: _Json = False) -> None:
    """Show the settings in force, for each queue, and where each comes from; secrets only as set or not."""
    from worker.commands import config as command

    with reported():
        command.config(as_json=as_json)


@app.command("migrate")
def _migrate(
    *,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Then copy this SQLite database into the PostgreSQL database."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only show its revision; status 1 if that is not the newest.")
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
def _backup(file: Annotated[Path, typer.Argument(help="Where to write the copy; must not exist yet.")]) -> None:
    """Make a consistent copy of an SQLite database, also while the service is running."""
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


def command_line() -> TyperGroup:
    """The commands, in groups, ready to be called."""
    line = cast("TyperGroup", get_command(app))
    places = {name: (number, panel) for number, (panel, name) in enumerate(_grouped())}
    line.commands = dict(sorted(line.commands.items(), key=lambda each: places.get(each[0], (len(places), ""))))
    for name, command in line.commands.items():
        # Those without a group would stand above the others.
        cast("TyperCommand", command).rich_help_panel = places.get(name, (0, "Others"))[1]
    _show_no_types(line)
    return line


def _grouped() -> Iterator[tuple[str, str]]:
    return ((panel, name) for panel, names in GROUPS.items() for name in names)


def _show_no_types(command: Command) -> None:
    """Show no `<bool>` behind options that take no value."""
    asked = command.get_help_option(typer.Context(command, help_option_names=HELP))
    for option in (*command.params, asked):
        if isinstance(option, TyperOption) and option.is_flag:
            option.metavar = ""
        elif isinstance(option, TyperArgument) and option.metavar is None and option.name:
            option.metavar = option.name.upper()
    for each in command.commands.values() if isinstance(command, TyperGroup) else ():
        _show_no_types(each)
