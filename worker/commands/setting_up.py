"""The commands by which one sets up: `init`, `files`, `test`. A part of `worker.cli`, which has the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.commands.exits import Exit, fail, reported

commands = typer.Typer()

_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@commands.command("init")
def _init(
    *,
    key: Annotated[
        str,
        typer.Option(
            metavar="KEY", help="LangSmith API key; safer in LANGSMITH_API_KEY or …_FILE, as `ps` shows options."
        ),
    ] = "",
    endpoint: Annotated[
        str, typer.Option(metavar="URL", help="LangSmith's API root, for another region or your own server.")
    ] = "",
    workspace: Annotated[
        str, typer.Option(metavar="ID", help="The workspace's id, for a key of an organisation.")
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            metavar="TOKEN", help="Slack bot token; safer in SLACK_BOT_TOKEN or …_FILE, as `ps` shows options."
        ),
    ] = "",
    queues: Annotated[str, typer.Option(metavar="LIST", help="Ids or names, separated by commas, or all.")] = "",
    channel: Annotated[str, typer.Option(metavar="C", help="The Slack channel's id or name.")] = "",
    zone: Annotated[str, typer.Option(metavar="ZONE", help="Time zone of the hours, such as Europe/Berlin.")] = "",
    hours: Annotated[
        str, typer.Option(metavar="HOURS", help="Working hours, such as `Mon-Fri 09:00-17:30`, or always.")
    ] = "",
    holidays: Annotated[
        str, typer.Option(metavar="CODES", help="Whose public holidays are days off: `DE-BE; FR`, or none.")
    ] = "",
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write into.")] = Path(),
    toml: Annotated[bool, typer.Option("--toml", help="Write all but the secrets to worker.toml.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: use the options, the environment and the defaults.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Rename existing files without asking, and write new ones.")
    ] = False,
    test: Annotated[
        bool | None, typer.Option("--test/--no-test", help="Post a test message at the end, or not.")
    ] = None,
) -> None:
    """Ask for what is needed, try each answer at once, write .env, check it, and post a test message."""
    from worker.commands import init as command

    given = {
        "LANGSMITH_API_KEY": key,
        "LANGSMITH_ENDPOINT": endpoint,
        "LANGSMITH_WORKSPACE_ID": workspace,
        "SLACK_BOT_TOKEN": token,
        "WORKER_QUEUES": queues,
        "WORKER_CHANNEL": channel,
        "WORKER_ZONE": zone,
        "WORKER_HOURS": hours,
        "WORKER_HOLIDAYS": holidays,
    }
    wishes = command.Wishes(given, to, is_toml=toml, is_unattended=yes, is_forced=force, test=test)
    with reported():
        try:
            well = command.init(wishes)
        except command.MissingError as error:
            raise typer.BadParameter(str(error)) from None
        except command.UnfinishedError as error:
            fail(f"{error}. Nothing was written", Exit.FAILED)
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


@commands.command("test")
def _test(
    *,
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="C", help="Only there: a channel's id or name; can be given several times."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Post a test message to each channel, edit it, look it up and delete it, to prove every right that is needed."""
    from worker.commands import trial

    with reported():
        try:
            well = trial.test(channel or (), as_json=as_json)
        except trial.PlaceError as error:
            raise typer.BadParameter(str(error), param_hint="--channel") from None
        raise SystemExit(Exit.DONE if well else Exit.FAILED)


@commands.command("files")
def _files(
    name: Annotated[
        str | None, typer.Argument(help="A file, or a folder of files; without it, all are listed.")
    ] = None,
    *,
    to: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder to write into; - prints the file instead.")
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    as_json: _Json = False,
) -> None:
    """Write files that come with the program: Slack manifests, systemd unit, compose, examples, alerts, dashboard."""
    from worker.commands import files
    from worker.commands.writing import UnwrittenError

    with reported():
        if name is None:
            files.print_list(as_json=as_json)
            return
        try:
            files.write_files(name, to, force=force)
        except files.UnknownFileError as error:
            raise typer.BadParameter(str(error), param_hint="NAME") from None
        except UnwrittenError as error:
            fail(str(error), Exit.FAILED)
