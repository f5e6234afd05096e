"""Which databases are opened, which are refused, and that those are left as they were."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import NOON, deciding, notice, queue, review
from worker.clock import SystemClock
from worker.core.ports import DATABASE_URL, ConfigError, StoreError
from worker.stores import files
from worker.stores.opening import back_up_database, database_path, database_revision, migrate_database, open_store
from worker.stores.sqlite import APPLICATION_ID, check_directory, file_system, set_up_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
QUEUE = queue()


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def ask(path: Path, *questions: str) -> list[object]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(question).fetchone()[0] for question in questions]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker.db"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with something in it, closed, to copy: making one costs more than most tests."""
    path = tmp_path_factory.mktemp("template") / "worker.db"
    with closing(open_store(url(path), migrate=True)) as store:
        told = [review(number) for number in range(300)]
        store.update(QUEUE, [], deciding(*told, notices=[notice(*told)]), NOON)
    return path


@pytest.fixture
def used(path: Path, template: Path) -> Path:
    """A database with something in it, closed."""
    return Path(shutil.copy(template, path))


class TestUrls:
    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("", "not a database URL"),
            ("worker.db", "not a database URL"),
            ("mysql://root:hunter2@host/x", "'mysql' without a file that we could use"),
            ("sqlite://", "without a file"),
            ("sqlite:///:memory:", "without a file"),
            ("sqlite:///file:x?mode=memory&uri=true", "without a file"),
            ("postgresql+psycopg://user:hunter2@host:port/x", "not a database URL"),
        ],
    )
    @pytest.mark.parametrize("how", [lambda at: open_store(at, migrate=True), migrate_database, database_path])
    def test_are_refused(self, how: Callable[[str], object], given: str, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason) as caught:
            how(given)
        assert DATABASE_URL in str(caught.value)
        assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"

    def test_name_the_file_whose_lock_is_held(self, tmp_path: Path) -> None:
        (tmp_path / "alias").symlink_to(tmp_path)
        assert database_path(f"sqlite:///{tmp_path}/alias/worker.db") == tmp_path / "worker.db"
        assert database_path("postgresql://host/x") is None


class TestANewDatabase:
    def test_is_made_where_asked(self, path: Path) -> None:
        open_store(url(path), migrate=True).close()
        questions = [f"PRAGMA {name}" for name in ("journal_mode", "application_id", "auto_vacuum", "integrity_check")]
        assert ask(path, *questions) == ["wal", APPLICATION_ID, 2, "ok"]

    def test_is_for_its_owner_alone(self, path: Path) -> None:
        open_store(url(path), migrate=True).close()
        assert path.stat().st_mode & 0o777 == 0o600

    def test_is_never_seen_half_made(self, path: Path) -> None:
        files.make_file(path)
        transactions = int.from_bytes(path.read_bytes()[24:28])  # SQLite's file format: the change counter
        assert (transactions, *ask(path, "PRAGMA application_id")) == (1, APPLICATION_ID)

    def test_may_take_an_empty_file_over(self, path: Path) -> None:
        path.touch()
        open_store(url(path), migrate=True).close()
        assert ask(path, "PRAGMA auto_vacuum") == [2]

    def test_may_go_on_where_a_crash_left_it_without_tables(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        open_store(url(path), migrate=True).close()

    @pytest.mark.parametrize("left", ["nothing", "an empty file"])
    def test_is_not_made_by_who_only_looks(self, path: Path, left: str) -> None:
        if left == "an empty file":
            path.touch()
        with pytest.raises(ConfigError, match=re.escape(f"no database at {path} yet: start `review-notifier run`")):
            open_store(url(path), migrate=False)
        assert not path.exists() or path.stat().st_size == 0

    @pytest.mark.parametrize("migrating", [True, False])
    def test_needs_a_directory(self, tmp_path: Path, *, migrating: bool) -> None:
        with pytest.raises(ConfigError, match=r"directory .*missing of the database does not exist: create it"):
            open_store(url(tmp_path / "missing" / "worker.db"), migrate=migrating)
        assert not (tmp_path / "missing").exists()


class TestAConnection:
    def test_is_durable_and_checks_references(self, path: Path) -> None:
        with closing(open_store(url(path), migrate=True)) as store, store._database.engine.connect() as connection:  # noqa: SLF001
            pragmas = ("synchronous", "foreign_keys", "journal_mode", "temp_store")
            said = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        assert said == [2, 1, "wal", 2]

    def test_needs_a_place_where_a_write_ahead_log_can_be_kept(self) -> None:
        with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(ConfigError, match="use a local disk"):
            set_up_connection(connection, 1.0, foreign_keys=True)


class TestADatabaseThatCannotBeUsed:
    """Status 78: one clear message with the fix, and not a byte changed."""

    def garbage(self, path: Path) -> None:
        path.write_bytes(b"This is no database at all. " * 500)

    def truncated(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def overwritten_inside(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        for place in range(4096 * 3, len(content) - 4096, 4096 * 2):
            content[place : place + 1000] = b"\xff" * 1000
        path.write_bytes(content)

    def foreign(self, path: Path) -> None:
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("CREATE TABLE reviews (x); CREATE TABLE alembic_version (version_num)")

    def newer(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE review_notifier_version SET version_num = '9999'")
        ask(path, "PRAGMA wal_checkpoint(TRUNCATE)")

    def without_version(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DROP TABLE review_notifier_version")

    @pytest.mark.parametrize("how", [True, False], ids=["to work", "to look"])
    @pytest.mark.parametrize(
        ("harm", "said"),
        [
            (garbage, "is not a database.*Restore a backup: stop the service; mv"),
            (truncated, "damaged. Restore a backup: stop the service; mv"),
            (overwritten_inside, "damaged.*Restore a backup: stop the service; mv"),
            (foreign, "belongs to another program"),
            (
                newer,
                "newer than this program: install the version that wrote it.*Restore a backup: stop the service; mv",
            ),
            (without_version, "tables of another program"),
        ],
        ids=lambda value: getattr(value, "__name__", "message").replace("_", " "),
    )
    def test_is_refused(self, used: Path, harm: Callable[[object, Path], None], said: str, *, how: bool) -> None:
        harm(self, used)
        before = used.read_bytes()
        with pytest.raises(ConfigError, match=re.compile(said, re.DOTALL)) as caught:
            open_store(url(used), migrate=how)
        assert str(used) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert used.read_bytes() == before

    @pytest.mark.parametrize("harm", [garbage, foreign, newer], ids=["garbage", "foreign", "newer"])
    def test_is_not_migrated_or_backed_up(self, used: Path, harm: Callable[[object, Path], None]) -> None:
        harm(self, used)
        before = used.read_bytes()
        with pytest.raises(ConfigError):
            migrate_database(url(used))
        assert used.read_bytes() == before

    def closed(self, path: Path) -> None:
        """As every connection leaves it that ends in order."""

    def killed(self, path: Path) -> None:
        """With the log of a process that was killed."""
        kill = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)"
        kill += "; c.execute('CREATE TABLE more (x)'); os._exit(0)"
        subprocess.run([sys.executable, "-c", kill, path], check=True)

    def copied(self, path: Path) -> None:
        """The same, copied without the log's index."""
        self.killed(path)
        path.with_name("worker.db-shm").unlink(missing_ok=True)

    def cut_off(self, path: Path) -> None:
        """In the middle of a transaction, whose pages are written already."""
        kill = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)"
        kill += "; c.executescript('PRAGMA cache_size = 5; BEGIN; CREATE TABLE more (x)')"
        kill += "; c.executemany('INSERT INTO more VALUES (zeroblob(500))', [()] * 1000); os._exit(0)"
        subprocess.run([sys.executable, "-c", kill, path], check=True)

    @pytest.mark.parametrize("how", [True, False], ids=["to work", "to look"])
    @pytest.mark.parametrize("journal", ["wal", "delete"])
    @pytest.mark.parametrize("left", [closed, killed, copied, cut_off], ids=lambda left: left.__name__)
    @pytest.mark.parametrize("harm", [newer, foreign], ids=lambda harm: harm.__name__)
    def test_is_left_as_it_is_with_everything_beside_it(
        self,
        used: Path,
        harm: Callable[[object, Path], None],
        left: Callable[[object, Path], None],
        journal: str,
        *,
        how: bool,
    ) -> None:
        harm(self, used)
        ask(used, f"PRAGMA journal_mode = {journal}")
        left(self, used)
        before = everything(used.parent)
        with pytest.raises(ConfigError, match=r"newer than this program|another program"):
            open_store(url(used), migrate=how)
        assert everything(used.parent) == before

    @pytest.mark.parametrize("left", [closed, killed, copied, cut_off], ids=lambda left: left.__name__)
    @pytest.mark.parametrize("journal", ["wal", "delete"])
    def test_is_not_one_that_was_left_in_a_hurry(
        self, used: Path, left: Callable[[object, Path], None], journal: str
    ) -> None:
        ask(used, f"PRAGMA journal_mode = {journal}")
        left(self, used)
        with closing(open_store(url(used), migrate=True)) as store:
            assert store.standing(QUEUE.queue_id, None).waiting == 300

    def torn(self, path: Path) -> None:
        """In the middle of a change of the schema: its first page is written, those that this one names are not."""
        kill = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)"
        kill += "; c.executescript('PRAGMA cache_size = 5; BEGIN')"
        kill += "; [c.execute(f'CREATE TABLE more_{n} (x{n:0500})') for n in range(90)]; os._exit(0)"
        subprocess.run([sys.executable, "-c", kill, path], check=True)

    def half_folded_in(self, path: Path) -> None:
        """With half of the log in the file, and without its index: as copied while the service runs."""
        before = path.read_bytes()
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for number in range(90):
                connection.execute(f"CREATE TABLE more_{number} (x{number:0500})")
            with_log = path.with_name("worker.db-wal").read_bytes()
        path.write_bytes(path.read_bytes()[:4096] + before[4096:])
        path.with_name("worker.db-wal").write_bytes(with_log)

    @pytest.mark.parametrize("how", [True, False], ids=["to work", "to look"])
    @pytest.mark.parametrize(("left", "journal"), [(torn, "delete"), (half_folded_in, "wal")])
    def test_is_not_one_whose_schema_was_just_being_written(
        self, used: Path, left: Callable[[object, Path], None], journal: str, *, how: bool
    ) -> None:
        ask(used, f"PRAGMA journal_mode = {journal}")
        left(self, used)
        with closing(open_store(url(used), migrate=how)) as store:
            assert store.standing(QUEUE.queue_id, None).waiting == 300

    def test_is_not_touched_where_it_is_torn_and_of_another_program(self, used: Path) -> None:
        with closing(sqlite3.connect(used)) as connection:
            connection.executescript("PRAGMA journal_mode = delete; PRAGMA application_id = 7")
        self.torn(used)
        before = everything(used.parent)
        with pytest.raises(ConfigError, match="another program"):
            open_store(url(used), migrate=True)
        assert everything(used.parent) == before

    def test_is_not_one_that_is_too_large_to_be_looked_through(self, used: Path) -> None:
        files.check_file(used, within=0)

    def test_keeps_its_log_where_another_process_opens_it_while_it_is_looked_at(self, used: Path) -> None:
        log = used.with_name(f"{used.name}-wal")

        def look(opened: sqlite3.Connection, _whole: object) -> sqlite3.Connection:
            opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
            other = sqlite3.connect(used, isolation_level=None)
            other.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return other

        with closing(files.undisturbed(used, look)):
            assert log.exists()

    def test_is_looked_at_again_where_another_process_closed_it_meanwhile(self, used: Path) -> None:
        others = [sqlite3.connect(used, isolation_level=None)]
        others[0].execute("SELECT count(*) FROM sqlite_master").fetchone()

        def look(_opened: sqlite3.Connection, _whole: object) -> str:
            if others:
                others.pop().close()
                raise StoreError("its log was gone")
            return "seen"

        assert files.undisturbed(used, look) == "seen"

    def test_is_behind_for_who_only_looks(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        with pytest.raises(ConfigError, match="older schema than this program: run `review-notifier migrate`"):
            open_store(url(path), migrate=False)

    def test_may_be_a_directory(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(ConfigError, match="is not a file: name another"):
            open_store(url(path), migrate=True)

    @pytest.mark.parametrize("how", [True, False], ids=["to work", "to look"])
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("pipe", "is not a file"),
            ("circle", "cannot be followed"),
            ("n" * 300, "File name too long"),
            ("a%00b", "cannot be followed"),
        ],
    )
    def test_may_be_no_file_at_all(self, tmp_path: Path, name: str, said: str, *, how: bool) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "circle").symlink_to("circle")
        with pytest.raises(ConfigError, match=said) as caught:
            open_store(url(tmp_path / name).replace("%00", "\0"), migrate=how)
        assert DATABASE_URL in str(caught.value)


def everything(directory: Path) -> dict[str, tuple[object, ...]]:
    """Every file with what is in it, and what the system notes of it."""
    noted = {path.name: path.stat() for path in directory.iterdir()}
    return {
        name: (one.st_ino, one.st_mode, one.st_mtime_ns, (directory / name).read_bytes()) for name, one in noted.items()
    }


@contextmanager
def as_nobody() -> Iterator[None]:
    """Lay down the superuser's rights, to whom nothing is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class TestAPlaceThatMayNotBeWritten:
    @pytest.fixture
    def elsewhere(self) -> Iterator[Path]:
        """A directory that everybody may enter: pytest's own are closed to others."""
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o755)
            yield Path(name)

    def test_keeps_a_new_database_from_being_made(self, elsewhere: Path) -> None:
        elsewhere.chmod(0o555)
        with as_nobody(), pytest.raises(ConfigError, match=r"directory .* may not be written, and SQLite needs to"):
            open_store(url(elsewhere / "worker.db"), migrate=True)
        assert list(elsewhere.iterdir()) == []

    def test_keeps_a_database_from_being_worked_on(self, elsewhere: Path, used: Path) -> None:
        shutil.copy(used, elsewhere / "worker.db")
        (elsewhere / "worker.db").chmod(0o444)
        elsewhere.chmod(0o777)
        before = (elsewhere / "worker.db").read_bytes()
        with as_nobody(), pytest.raises(ConfigError, match=r"worker.db may not be written \(Permission denied\)"):
            open_store(url(elsewhere / "worker.db"), migrate=True)
        assert (elsewhere / "worker.db").read_bytes() == before

    def test_keeps_a_database_from_being_looked_at(self, elsewhere: Path, used: Path) -> None:
        shutil.copy(used, elsewhere / "worker.db")
        (elsewhere / "worker.db").chmod(0o000)
        with as_nobody(), pytest.raises(ConfigError, match="cannot be opened: check"):
            open_store(url(elsewhere / "worker.db"), migrate=False)


class TestFileSystems:
    MOUNTS = r"""
overlay / overlay rw 0 0
fileserver:/export /data nfs4 rw,relatime 0 0
/dev/sdb1 /data/local ext4 rw 0 0
tmpfs /data/local tmpfs rw 0 0
//nas/x /mnt/a\040share cifs rw 0 0
""".lstrip()

    @pytest.mark.parametrize(
        ("directory", "kind"),
        [
            ("/srv", "overlay"),
            ("/data", "nfs4"),
            ("/data/x", "nfs4"),
            ("/datax", "overlay"),
            ("/data/local/x", "tmpfs"),
            ("/mnt/a share/x", "cifs"),
        ],
    )
    def test_are_those_of_the_nearest_and_newest_mount(self, directory: str, kind: str) -> None:
        assert file_system(Path(directory), self.MOUNTS) == kind

    def test_are_unknown_where_the_system_does_not_tell(self) -> None:
        assert not file_system(Path("/srv"), "")

    def test_of_other_machines_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"network file system \(nfs4\), where SQLite loses data"):
            check_directory(tmp_path / "worker.db", f"server:/x {tmp_path} nfs4 rw 0 0")

    @pytest.mark.parametrize(
        ("source", "kind", "said"),
        [
            (r"C:\134", "9p", "9p"),
            (r"C:\134", "drvfs", "drvfs"),
            ("host", "virtiofs", "virtiofs"),
            ("host", "fuse.virtiofs", "fuse.virtiofs"),
            ("grpcfuse", "fuse.grpcfuse", "fuse.grpcfuse"),
            ("/run/host_mark/Users", "fakeowner", "fakeowner"),
            ("shared", "vboxsf", "vboxsf"),
            ("bucket", "fuse.gcsfuse", "fuse.gcsfuse"),
            ("gcsfuse", "fuse", "fuse gcsfuse"),
            ("blobfuse2", "fuse", "fuse blobfuse2"),
            ("blobfuse2", "fuse.blobfuse2", "fuse.blobfuse2"),
            ("JuiceFS:volume", "fuse.juicefs", "fuse.juicefs"),
            ("JuiceFS:volume", "fuse", "fuse juicefs"),
            ("s3fs", "fuse.s3fs", "fuse.s3fs"),
            ("", "nfs", "nfs"),
        ],
    )
    def test_shared_with_a_host_or_kept_in_a_bucket_are_refused(
        self, tmp_path: Path, source: str, kind: str, said: str
    ) -> None:
        with pytest.raises(ConfigError, match=rf"network file system \({re.escape(said)}\), where SQLite loses data"):
            check_directory(tmp_path / "worker.db", f"/dev/x / ext4 rw 0 0\n{source} {tmp_path} {kind} rw 0 0\n")

    @pytest.mark.parametrize("kind", ["ext4", "overlay", "zfs", "fuseblk", "fuse.fuse-overlayfs", "tmpfs"])
    def test_of_this_machine_are_taken(self, tmp_path: Path, kind: str) -> None:
        check_directory(tmp_path / "worker.db", f"nfs {tmp_path} {kind} rw 0 0\n")

    def test_that_hold_a_single_file_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"worker.db is mounted as a single file.*: mount the folder"):
            check_directory(tmp_path / "worker.db", f"/dev/x {tmp_path}/worker.db ext4 rw 0 0\n")

    @pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
    @pytest.mark.parametrize("lay", [Path.mkdir, os.mkfifo, lambda beside: beside.symlink_to("elsewhere")])
    @pytest.mark.parametrize("how", [lambda at: open_store(at, migrate=True), migrate_database, database_revision])
    def test_that_hold_something_else_in_the_place_of_the_log_are_refused(
        self, used: Path, how: Callable[[str], object], lay: Callable[[Path], object], ending: str
    ) -> None:
        beside = used.with_name(used.name + ending)
        lay(beside)
        with pytest.raises(ConfigError, match=re.escape(f"{beside} is not a file") + ".*: remove what is there"):
            how(url(used))

    def test_may_have_names_that_end_lines_elsewhere(self) -> None:
        assert file_system(Path("/a\x1cb/c"), "/dev/x / ext4 rw 0 0\n/dev/y /a\x1cb xfs rw 0 0\n") == "xfs"


class TestBackups:
    def test_are_one_complete_file_while_the_database_is_in_use(self, used: Path, tmp_path: Path) -> None:
        with closing(open_store(url(used), migrate=False)) as store:
            store.update(QUEUE, [], deciding(review("late")), NOON)
            back_up_database(url(used), tmp_path / "copy.db")
            store.update(QUEUE, [], deciding(review("too late")), NOON)
        assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "worker.db"]
        assert ask(tmp_path / "copy.db", "PRAGMA journal_mode", "SELECT count(*) FROM reviews") == ["delete", 301]
        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600

    def test_are_put_in_the_place_of_a_broken_database_by_the_steps_of_the_message(
        self, used: Path, tmp_path: Path
    ) -> None:
        back_up_database(url(used), tmp_path / "copy.db")
        used.write_bytes(b"broken")
        with pytest.raises(ConfigError) as caught:
            open_store(url(used), migrate=True)
        steps = str(caught.value).partition("stop the service; ")[2].replace("BACKUP", str(tmp_path / "copy.db"))
        subprocess.run(["/bin/sh", "-ec", steps], check=True)
        assert used.with_name("worker.db.broken").read_bytes() == b"broken"
        with closing(open_store(url(used), migrate=True)) as store:
            assert store.standing(QUEUE.queue_id, None).waiting == 300
            store.update(QUEUE, [], deciding(review("new")), NOON)
        assert ask(used, "PRAGMA journal_mode", "PRAGMA auto_vacuum") == ["wal", 2]

    def test_that_were_killed_are_cleared_away_by_the_next(self, used: Path, tmp_path: Path) -> None:
        killed = "import os; from pathlib import Path; from worker.stores import files\n"
        killed += f"with files._beside(Path({str(tmp_path / 'copy.db')!r})) as draft:\n"
        killed += "    draft.with_name(draft.name + '-wal').touch(); os._exit(0)"
        for _ in range(2):
            subprocess.run([sys.executable, "-c", killed], check=True)
        assert len(list(tmp_path.glob(".*"))) == 2
        with files._beside(tmp_path / "in the making") as draft:  # noqa: SLF001  nothing outside can hit that moment
            back_up_database(url(used), tmp_path / "other.db")
            assert list(tmp_path.glob(".*")) == [draft]
        assert not list(tmp_path.glob(".*"))

    def test_leave_a_link_of_that_name_alone(self, used: Path, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("precious")
        (tmp_path / f"{files.DRAFT}link").symlink_to(tmp_path / "precious")
        back_up_database(url(used), tmp_path / "copy.db")
        assert (tmp_path / "precious").read_text() == "precious"

    def test_never_replace_a_file(self, used: Path, tmp_path: Path) -> None:
        (tmp_path / "copy.db").write_text("precious")
        with pytest.raises(StoreError, match=r"copy.db exists already: name another file"):
            back_up_database(url(used), tmp_path / "copy.db")
        assert (tmp_path / "copy.db").read_text() == "precious"

    def test_need_a_directory(self, used: Path, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"missing does not exist"):
            back_up_database(url(used), tmp_path / "missing" / "copy.db")

    def test_need_a_place_that_may_be_written(self, used: Path) -> None:
        with pytest.raises(StoreError, match="no backup was made"):
            back_up_database(url(used), Path("/proc/copy.db"))

    def test_need_a_database(self, path: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no database at"):
            back_up_database(url(path), tmp_path / "copy.db")

    def test_of_postgres_are_left_to_its_own_tools(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="pg_dump"):
            back_up_database("postgresql://host/x", tmp_path / "copy.db")


@contextmanager
def writing_all_the_time(path: Path) -> Iterator[list[float]]:
    """Take the write lock again and again; how many seconds each time took."""
    clock, over, waits = SystemClock(), Event(), [0.0]

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            while not over.is_set():
                began = clock.monotonic()
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
                waits.append(clock.monotonic() - began)

    writer = Thread(target=write)
    writer.start()
    try:
        yield waits
    finally:
        over.set()
        writer.join()


class TestMaintenance:
    def test_gives_space_back_and_keeps_the_log_short(self, used: Path) -> None:
        wal = used.with_name("worker.db-wal")
        with closing(open_store(url(used), migrate=False)) as store:
            many = [review(number, closed_at=NOON) for number in range(5000)]
            store.update(QUEUE, [], deciding(*many), NOON)
            store.maintain()
            full = used.stat().st_size
            assert wal.stat().st_size == 0
            store.prune(settled_before=NOON, closed_before=NOON + timedelta(days=1))
            store.maintain()
            assert used.stat().st_size < full / 4

    def test_never_keeps_the_write_lock_while_somebody_reads(self, used: Path) -> None:
        wal = used.with_name("worker.db-wal")
        patience = timedelta(seconds=2)
        with (
            closing(open_store(url(used), migrate=False, patience=patience)) as store,
            closing(sqlite3.connect(used, isolation_level=None)) as reader,
        ):
            store.remember("a", "b")
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM reviews").fetchone()
            store.remember("a", "c")
            with writing_all_the_time(used) as waits:
                store.maintain()
            assert max(waits) < patience.total_seconds() / 2
            assert wal.stat().st_size > 0
            reader.execute("ROLLBACK")
            store.maintain()
            assert wal.stat().st_size == 0

    def test_of_a_tidy_database_is_nothing(self, used: Path) -> None:
        with closing(open_store(url(used), migrate=False)) as store:
            store.maintain()
            store.ping()


def test_a_usual_start_on_sqlite_loads_neither_alembic_nor_the_driver_of_postgresql(used: Path) -> None:
    begin = f"from worker.stores.opening import open_store; open_store({url(used)!r}, migrate=True).polls()\n"
    begin += "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules} & {'alembic', 'psycopg'}))"
    done = subprocess.run([sys.executable, "-c", begin], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
