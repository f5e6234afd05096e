#!/bin/sh
# Since typer 0.26 what click raises in a command of typer's is a crash of the program, and no longer its way to end.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check typer==0.29.2 click==8.5.1
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$place/0.25.1" typer==0.25.1 click==8.5.1
cat <<'END'
Version:  typer 0.29.2 and, for comparison, 0.25.1, both with click 8.5.1.
Expected: in a command one may ask with click.prompt, look at click's context and end with click.UsageError or click's Exit, as
          libraries for click do: the program ends with click's message and status. With 0.25 it does.
Seen:     since 0.26 typer carries a click of its own, and the one that is installed beside it is a stranger. A wrong use ends with
          1 and a traceback in place of 2 and the usage, Exit(3) with 1, and there is no context. Where input ends at a question,
          a traceback stands in place of "Aborted.". Nothing says so when the program is loaded: typer's own Exit works as before.
END
cat >"$place/program.py" <<'END'
import click
import typer

app = typer.Typer()


@app.command()
def misused():
    raise click.UsageError("name a queue")


@app.command()
def ends_with_3():
    raise click.exceptions.Exit(3)


@app.command()
def looks_around():
    click.get_current_context()


@app.command()
def asks():
    click.prompt("Which queue")


@app.command()
def ends_by_typer():
    raise typer.Exit(3)


app()
END
"$place/venv/bin/python" - "$place" <<'END'
import os
import subprocess
import sys

place = sys.argv[1]
seen = {}
for version in ("0.25.1", "0.29.2"):
    for command in ("misused", "ends-with-3", "looks-around", "asks", "ends-by-typer"):
        ended = subprocess.run(
            [sys.executable, f"{place}/program.py", command],
            env=os.environ | {"PYTHONPATH": f"{place}/{version}"},  # 0.29.2 has no folder there, but is installed
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        seen[version, command] = ended.returncode, "Traceback" in ended.stderr
        print(f"typer {version}, {command}: status {ended.returncode}{', with a traceback' * ('Traceback' in ended.stderr)}")
BEFORE = [(2, False), (3, False), (0, False), (1, False), (3, False)]
SINCE = [(1, True), (1, True), (1, True), (1, True), (3, False)]
sys.exit(0 if list(seen.values()) == BEFORE + SINCE else 1)
END
