"""Where an SQLite file may live: a local, writable directory. Every finding is a ConfigError that says the remedy."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from worker.core.ports import DATABASE_URL, ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

# fmt: off
NETWORK = frozenset({
    "9p", "afpfs", "afs", "alluxio", "alluxio-fuse", "beegfs", "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "cifs",
    "cosfs", "curlftpfs", "davfs", "davfs2", "drvfs", "fakeowner", "gcsfuse", "geesefs", "glusterfs", "goofys",
    "gpfs", "grpcfuse", "gvfsd-fuse", "juicefs", "lizardfs", "lustre", "mfs", "moosefs", "mount-s3",
    "mountpoint-s3", "ncpfs", "nfs", "nfs4", "obsfs", "orangefs", "osxfs", "ossfs", "panfs", "prl_fs", "prl_fsd",
    "pvfs2", "quobyte", "rclone", "s3fs", "seaweedfs", "smb2", "smb3", "smbfs", "sshfs", "vboxsf", "virtiofs",
    "vmhgfs", "vmhgfs-fuse", "weed", "wekafs",
})
# fmt: on
"""File systems that keep the files of another machine or of a bucket, or a folder that a virtual machine shares with
its host: shared memory is not the same for everybody there. A name stands for itself and behind `fuse.`."""

PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What may be over at the next try: a full disk, or a machine short of something."""

MOUNTS = Path("/proc/self/mounts")


def follow(path: Path) -> Path:
    """The file that a path leads to, over every link; refuses one that leads nowhere, or to no file."""
    try:
        found = path.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            if not stat.S_ISREG(found.stat().st_mode):
                raise ConfigError(f"{DATABASE_URL}: {found} is no file: name another, or move what is there away")
    except OSError as error:
        raise refusal(error, f"the path {path} cannot be followed", "name a file that this user can reach") from error
    except (RuntimeError, ValueError) as error:  # a circle of links, a NUL
        raise ConfigError(f"{DATABASE_URL}: the path cannot be followed ({error}): name another file") from error
    return found


def check_directory(path: Path, mounts: str | None = None) -> None:
    """Refuse a directory that is not there, or that is on another machine.

    `mounts` is what is mounted where, as /proc/mounts says it; None: ask the system.
    """
    directory = path.parent
    if not directory.is_dir():
        raise ConfigError(
            f"{DATABASE_URL}: the directory {directory} of the database does not exist: create it, or name another"
        )
    said = _mounts() if mounts is None else mounts
    if kind := not_local(directory, said):
        raise ConfigError(
            f"{DATABASE_URL}: {directory} is on a shared folder or network file system ({kind}),"
            " where SQLite loses data: use a local disk (in a container a named volume), or PostgreSQL"
        )
    if str(path) in (point for point, _, _ in _entries(said)):
        raise ConfigError(
            f"{DATABASE_URL}: {path} is mounted as a single file, so that its log would lie elsewhere and be lost:"
            " mount the folder that it lies in"
        )
    _check_beside(path)


def _check_beside(path: Path) -> None:
    """Refuse what lies where SQLite keeps its log, and is none: SQLite would say that the disk fails."""
    for ending in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + ending)
        with suppress(OSError):  # not there, mostly
            if not stat.S_ISREG(beside.lstat().st_mode):
                raise ConfigError(
                    f"{DATABASE_URL}: {beside} is no file, and SQLite keeps its log there: remove what is there"
                )


def check_writable(path: Path) -> None:
    """Refuse a file or directory that may not be written. Opens the file, changes nothing."""
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise ConfigError(
            f"{DATABASE_URL}: the directory {path.parent} may not be written, and SQLite needs to:"
            f" make it writable for user {os.geteuid()}"
        )
    remedy = f"make it a file that user {os.geteuid()} may write, on a file system that is not mounted read-only"
    try:
        with suppress(FileNotFoundError):
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        raise refusal(error, f"the database {path} may not be written", remedy) from error


def not_local(directory: Path, mounts: str) -> str:
    """The kind of the file system that holds a directory, where SQLite would lose data on it; else empty."""
    source, kind = _holding(directory, mounts)
    plain = kind.lower().removeprefix("fuse.")
    # Some helpers leave the kind at `fuse` and are known by what they mount alone: `s3fs`, `JuiceFS:volume`.
    name = source.lower().partition(":")[0] if plain == "fuse" else plain
    return f"{kind} {name}" if plain == "fuse" and name in NETWORK else kind if name in NETWORK else ""


def file_system(directory: Path, mounts: str) -> str:
    """The kind of file system that holds a directory; empty where `mounts` (as in /proc/mounts) does not name it."""
    return _holding(directory, mounts)[1]


def _holding(directory: Path, mounts: str) -> tuple[str, str]:
    """What is mounted, and as which kind, at the nearest point above a directory; of several there the newest."""
    above = {str(directory.resolve()), *map(str, directory.resolve().parents)}
    holding = [
        (len(point), order, source, kind)
        for order, (point, source, kind) in enumerate(_entries(mounts))
        if point in above
    ]
    return max(holding)[2:] if holding else ("", "")


def _entries(mounts: str) -> Iterator[tuple[str, str, str]]:
    """The point, the source and the kind of each mount."""
    # The kernel ends a line with a line feed alone, and leaves every other odd character in a name as it is.
    for line in filter(None, mounts.split("\n")):
        source, point, kind = line.split(" ")[:3]
        yield _unescaped(point), _unescaped(source), kind


def _unescaped(point: str) -> str:
    """What the kernel writes as an octal number: blanks, tabs, line ends and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def _mounts() -> str:
    with suppress(OSError):
        return os.fsdecode(MOUNTS.read_bytes())
    return ""


def refusal(error: OSError, what: str, remedy: str = "name a directory that exists and may be written") -> Exception:
    """What it means that a file cannot be opened: a full disk passes (StoreError), else it is a matter of settings."""
    if error.errno in PASSING:
        free = "Free some space, or whatever it lacks; it works then"
        return StoreError(f"{what}: {error.strerror}. {free}")
    return ConfigError(f"{DATABASE_URL}: {what} ({error.strerror}): {remedy}")
