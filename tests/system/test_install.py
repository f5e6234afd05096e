"""The installer of the systemd unit, with an interpreter and a systemctl that only note what they are asked."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.settings_place import KEY, TOKEN
from worker.commands.files import write_files
from worker.version import release

REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEMD = REPOSITORY / "deploy" / "systemd"
INSTALLER = SYSTEMD / "install.sh"
UNIT = SYSTEMD / "review-notifier.service"

PYTHON = """#!/bin/sh
# `-m venv DIR` makes a version whose program says its own number; whatever else is asked is done.
[ "$1" = -I ] && exec "{python}" "$@"
[ "$1 ${2-}" = "-m venv" ] || { echo "$*" >> "{root}/asked"; exit 0; }
number=$(cat "{root}/number")
mkdir -p "$3/bin"
cp "$0" "$3/bin/python"
cat > "$3/bin/review-notifier" <<PROGRAM
#!/bin/sh
case \\$1 in
--version) echo "review-notifier $number" ;;
backup) pwd > "{root}/backed-up-from" && cp "{root}/var/lib/review-notifier/worker.db" "\\$2" ;;
esac
PROGRAM
chmod +x "$3/bin/review-notifier"
"""

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "{root}/systemctl"
[ "$1" = --version ] && echo "systemd {version} (252)"
exit 0
"""


class Machine:
    """A folder that stands for a machine."""

    def __init__(self, root: Path, *, systemd: int = 255) -> None:
        self.root = root
        self.database = root / "var/lib/review-notifier/worker.db"
        self.settings = root / "etc/review-notifier"
        for name, text in {"python.sh": PYTHON, "systemctl.sh": SYSTEMCTL}.items():
            program = root / name
            program.write_text(
                text.replace("{root}", str(root)).replace("{python}", sys.executable).replace("{version}", str(systemd))
            )
            program.chmod(0o755)

    def install(
        self,
        *arguments: str,
        number: int = 1,
        umask: int = 0o022,
        installer: Path = INSTALLER,
        dotenv: str = "/nowhere/.env",
    ) -> subprocess.CompletedProcess[str]:
        """Run the installer of release `number`."""
        (self.root / "number").write_text(str(number))
        tools = {"PYTHON": "python.sh", "SYSTEMCTL": "systemctl.sh", "ROOT": ""}
        return subprocess.run(
            [installer, *arguments],
            env={"PATH": "/usr/bin:/bin", "DOTENV": dotenv}
            | {name: str(self.root / file) for name, file in tools.items()},
            capture_output=True,
            text=True,
            check=False,
            umask=umask,
        )

    def write_secrets(self) -> None:
        for name in ("langsmith_api_key", "slack_bot_token"):
            (self.settings / name).write_text("made up")

    def running(self) -> str:
        program = self.root / "opt/review-notifier/current/bin/review-notifier"
        return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def versions(self) -> int:
        return len(list((self.root / "opt/review-notifier/versions").iterdir()))

    def asked(self) -> list[str]:
        return (self.root / "systemctl").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_first_installation_says_what_is_missing_and_starts_nothing(machine: Machine) -> None:
    done = machine.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert "langsmith_api_key" in done.stdout
    assert machine.running() == "review-notifier 1"
    assert not any(asked.startswith(("restart", "start", "enable")) for asked in machine.asked())


def test_the_database_has_its_folder_before_the_first_start(machine: Machine) -> None:
    machine.install()
    assert machine.database.parent.stat().st_mode & 0o777 == 0o700
    assert not machine.database.exists()


def test_secrets_are_for_root_alone_and_the_rest_can_be_read(machine: Machine) -> None:
    machine.install()
    modes = {path.name: path.stat().st_mode & 0o777 for path in machine.settings.iterdir()}
    assert modes["langsmith_api_key"] == modes["slack_bot_token"] == 0o600
    assert modes["worker.toml"] & 0o044 == 0o044
    (version,) = (machine.root / "opt/review-notifier/versions").iterdir()
    assert version.stat().st_mode & 0o777 == 0o755


def test_the_service_reaches_its_program_whatever_roots_umask_is(machine: Machine) -> None:
    machine.install(umask=0o077)
    (version,) = (machine.root / "opt/review-notifier/versions").iterdir()
    program = version / "bin/review-notifier"
    for path in (version.parent.parent, version.parent, version, program.parent, program):
        assert path.stat().st_mode & 0o055 == 0o055, path
    assert (machine.settings / "worker.toml").stat().st_mode & 0o044 == 0o044
    assert (machine.settings / "slack_bot_token").stat().st_mode & 0o777 == 0o600


def test_an_upgrade_keeps_settings_and_saves_the_database_first(machine: Machine) -> None:
    machine.install()
    machine.write_secrets()
    (machine.settings / "worker.toml").write_text("mine")
    machine.database.write_text("before")
    done = machine.install(number=2)
    assert done.returncode == 0, done.stderr
    assert machine.running() == "review-notifier 2"
    assert (machine.settings / "worker.toml").read_text() == "mine"
    assert (machine.settings / "slack_bot_token").read_text() == "made up"
    (saved,) = (machine.root / "opt/review-notifier/backups").iterdir()
    assert saved.read_text() == "before"
    assert machine.asked()[-1] == "restart review-notifier"


def test_the_copy_obeys_no_settings_of_the_folder_the_installer_is_started_in(machine: Machine) -> None:
    machine.install()
    machine.database.write_text("before")
    machine.install(number=2)
    assert (machine.root / "backed-up-from").read_text() == "/\n"


def test_a_database_that_cannot_be_saved_leaves_everything_as_it_was(machine: Machine) -> None:
    machine.install()
    machine.database.write_text("before")
    (machine.root / "opt/review-notifier/current/bin/review-notifier").write_text("#!/bin/sh\nexit 78\n")
    unit = machine.root / "etc/systemd/system/review-notifier.service"
    unit.write_text("of version 1")
    current = (machine.root / "opt/review-notifier/current").readlink()
    assert machine.install(number=2).returncode != 0
    assert unit.read_text() == "of version 1"
    assert (machine.root / "opt/review-notifier/current").readlink() == current
    assert machine.versions() == 1


def test_a_rollback_brings_back_program_and_database(machine: Machine) -> None:
    machine.install()
    machine.write_secrets()
    machine.database.write_text("before")
    machine.install(number=2)
    machine.database.write_text("of the new schema")
    machine.database.with_name("worker.db-wal").write_text("of the new schema")
    done = machine.install("rollback")
    assert done.returncode == 0, done.stderr
    assert machine.running() == "review-notifier 1"
    assert machine.database.read_text() == "before"
    assert not machine.database.with_name("worker.db-wal").exists()
    assert machine.asked()[-2:] == ["stop review-notifier", "start review-notifier"]


def test_a_rollback_puts_the_copy_back_where_the_database_is_gone(machine: Machine) -> None:
    machine.install()
    machine.database.write_text("before")
    machine.install(number=2)
    machine.database.unlink()
    done = machine.install("rollback")
    assert done.returncode == 0, done.stderr
    assert "with the database as it was before the upgrade" in done.stdout
    assert machine.database.read_text() == "before"
    assert machine.database.stat().st_mode & 0o777 == 0o600
    assert machine.asked()[-1] == "start review-notifier"


def test_a_rollback_that_cannot_be_done_stops_nothing(machine: Machine) -> None:
    machine.install()
    machine.database.write_text("before")
    machine.install(number=2)
    (machine.root / "opt/review-notifier/previous/bin/review-notifier").unlink()
    assert machine.install("rollback").returncode != 0
    assert "stop review-notifier" not in machine.asked()
    assert machine.running() == "review-notifier 2"


def test_a_rollback_without_a_copy_says_that_the_program_alone_went_back(machine: Machine) -> None:
    machine.install()
    machine.install(number=2)
    done = machine.install("rollback")
    assert done.returncode == 0, done.stderr
    assert "as it was before" not in done.stdout
    assert "PostgreSQL" in done.stdout


def test_there_is_no_way_back_from_the_first_version(machine: Machine) -> None:
    machine.install()
    done = machine.install("rollback")
    assert done.returncode == 1
    assert "no version before" in done.stderr
    assert "stop review-notifier" not in machine.asked()


def test_only_the_version_before_is_kept(machine: Machine) -> None:
    for number in range(1, 4):
        machine.install(number=number)
    assert machine.versions() == 2
    assert machine.running() == "review-notifier 3"


def test_copies_go_with_the_versions_that_made_them(machine: Machine) -> None:
    machine.install()
    machine.database.write_text("precious")
    for number in range(2, 5):
        machine.install(number=number)
    backups = machine.root / "opt/review-notifier/backups"
    previous = (machine.root / "opt/review-notifier/previous").readlink()
    assert [copy.name for copy in backups.iterdir()] == [f"{previous.name}.db"]
    machine.install("rollback")
    machine.install(number=5)
    assert (backups / "replaced.db").exists()


def test_a_version_that_does_not_run_is_none(machine: Machine) -> None:
    machine.install()
    (machine.root / "python.sh").write_text("#!/bin/sh\n[ $2 = venv ] && exit 1\nexit 0\n")
    done = machine.install(number=2)
    assert done.returncode != 0
    assert machine.running() == "review-notifier 1"
    assert machine.versions() == 1


@pytest.mark.parametrize(("systemd", "there"), [(252, False), (254, True)])
def test_growing_pauses_are_for_a_systemd_that_knows_them(tmp_path: Path, systemd: int, *, there: bool) -> None:
    Machine(tmp_path, systemd=systemd).install()
    assert (tmp_path / "etc/systemd/system/review-notifier.service.d/50-backoff.conf").exists() == there


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: the unit cannot be verified here"
)


def analyze(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd about the unit and PostgreSQL's part, with a program that exists in place of the installed one."""
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    beside = tmp_path / f"{UNIT.name}.d"
    beside.mkdir()
    shutil.copy(SYSTEMD / "postgresql.conf", beside)
    return subprocess.run(
        ["systemd-analyze", *arguments, str(unit)],  # noqa: S607 - wherever it is installed
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )


@needs_systemd
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    done = analyze(tmp_path, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_exposed_no_more_than_it_must_be(tmp_path: Path) -> None:
    done = analyze(tmp_path, "security", "--offline=true", "--threshold=12", "--no-pager")
    assert done.returncode == 0, done.stdout


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@needs_root
def test_a_rollback_follows_no_link_of_the_folder(machine: Machine) -> None:
    machine.install()
    machine.database.write_text("before")
    machine.install(number=2)
    precious = machine.root / "precious"
    precious.write_text("precious")
    state = machine.database.parent
    for name in ("worker.db.restored", "worker.db-wal", "worker.db-shm"):
        (state / name).symlink_to(precious)
    machine.database.unlink()
    machine.database.symlink_to(precious)
    for path in (state, *state.iterdir()):
        os.chown(path, 61_234, 61_234, follow_symlinks=False)
    done = machine.install("rollback")
    assert done.returncode == 0, done.stderr
    assert (precious.read_text(), precious.stat().st_uid) == ("precious", 0)
    assert (machine.database.read_text(), machine.database.is_symlink()) == ("before", False)
    assert (machine.database.stat().st_uid, machine.database.stat().st_mode & 0o777) == (61_234, 0o600)
    assert not (machine.root / "opt/review-notifier/backups/replaced.db").exists()


DOTENV = """# mine
LANGSMITH_API_KEY='lsv2_sk_0123456789abcdef'
SLACK_BOT_TOKEN="xoxb-123-456-abcdef"
SLACK_APP_TOKEN=xapp-1-A-2-b
WORKER_QUEUES=Support QA, "Rag" # two
WORKER_HOURS=Mon-Thu 09:00-17:30; Fri 09:00-15:00
WORKER_DATABASE_URL=sqlite:///worker.db
HTTPS_PROXY=http://proxy:3128
"""


def test_the_env_of_the_trial_is_carried_over_once(machine: Machine) -> None:
    mine = machine.root / "mine.env"
    mine.write_text(DOTENV)
    done = machine.install(dotenv=str(mine))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Left where they are: WORKER_DATABASE_URL" in done.stdout
    assert "systemctl enable --now" in done.stdout
    assert TOKEN not in done.stdout
    secrets = {name: (machine.settings / name).read_text() for name in ("langsmith_api_key", "slack_bot_token")}
    assert secrets == {"langsmith_api_key": f"{KEY}\n", "slack_bot_token": f"{TOKEN}\n"}
    assert {(machine.settings / name).stat().st_mode & 0o777 for name in (*secrets, "slack_app_token")} == {0o600}
    part = machine.root / "etc/systemd/system/review-notifier.service.d/60-slack_app_token.conf"
    assert part.read_text() == "[Service]\nLoadCredential=slack_app_token:/etc/review-notifier/slack_app_token\n"
    wrapper = runpy.run_path(str(SYSTEMD / "review-notifier"))
    environment = (machine.settings / "environment").read_text()
    assert wrapper["parse"](environment) == {
        "WORKER_QUEUES": 'Support QA, "Rag"',
        "WORKER_HOURS": "Mon-Thu 09:00-17:30; Fri 09:00-15:00",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    mine.write_text("LANGSMITH_API_KEY=another\n")
    machine.install(number=2, dotenv=str(mine))
    assert (machine.settings / "environment").read_text() == environment
    assert (machine.settings / "langsmith_api_key").read_text() == f"{KEY}\n"


def test_no_queue_of_the_example_is_live(machine: Machine) -> None:
    machine.install()
    text = (machine.settings / "worker.toml").read_text()
    assert tomllib.loads(text) == {}
    assert "# [[queues]]" in text


def test_without_a_checkout_the_release_is_installed_with_what_lies_beside_the_installer(machine: Machine) -> None:
    write_files("systemd", machine.root, force=False)
    (machine.root / ".env").write_text(DOTENV)
    (machine.root / "worker.toml").write_text('zone = "UTC"\n')
    done = machine.install(installer=machine.root / "systemd" / "install.sh", dotenv="")
    assert (done.returncode, done.stderr) == (0, "")
    asked = (machine.root / "asked").read_text()
    assert f"-c {machine.root}/systemd/constraints.txt langsmith-review-notifier=={release()}" in asked
    assert (machine.settings / "langsmith_api_key").read_text() == f"{KEY}\n"
    assert (machine.settings / "worker.toml").read_text() == 'zone = "UTC"\n'
