"""Where an SQLite file may live: a local, writable directory. Every finding is a ConfigError that says the remedy."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from worker.core.ports import ConfigError

NETWORK = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "fuse.davfs",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
MOUNTS = Path("/proc/self/mounts")


def check_directory(path: Path, mounts: str | None = None) -> None:
    """Refuse a directory that is not there, or that is on another machine.

    `mounts` is what is mounted where, as /proc/mounts says it; None: ask the system.
    """
    directory = path.parent
    if not directory.is_dir():
        raise ConfigError(
            f"WORKER_DATABASE_URL: the directory {directory} of the database does not exist: create it, or name another"
        )
    if (kind := file_system(directory, _mounts() if mounts is None else mounts)) in NETWORK:
        raise ConfigError(
            f"WORKER_DATABASE_URL: {directory} is on a network file system ({kind}), where SQLite loses data:"
            " use a local disk, or PostgreSQL"
        )


def check_writable(path: Path) -> None:
    """Refuse a file or directory that may not be written. Opens the file, changes nothing."""
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise ConfigError(
            f"WORKER_DATABASE_URL: the directory {path.parent} may not be written, and SQLite needs to:"
            f" make it writable for user {os.geteuid()}"
        )
    try:
        with suppress(FileNotFoundError):
            os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        raise ConfigError(
            f"WORKER_DATABASE_URL: the database {path} may not be written ({error.strerror}):"
            f" make it a file that user {os.geteuid()} may write, on a file system that is not mounted read-only"
        ) from error


def file_system(directory: Path, mounts: str) -> str:
    """The kind of file system that holds a directory; empty where `mounts` (as in /proc/mounts) does not tell."""
    points = ((_unescaped(line.split()[1]), line.split()[2]) for line in mounts.splitlines())
    above = {str(directory.resolve()), *map(str, directory.resolve().parents)}
    holding = [(len(point), order, kind) for order, (point, kind) in enumerate(points) if point in above]
    return max(holding)[2] if holding else ""


def _unescaped(point: str) -> str:
    """What the kernel writes as an octal number: blanks, tabs, line ends and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def _mounts() -> str:
    with suppress(OSError):
        return MOUNTS.read_text(errors="replace")
    return ""
