"""The settings: every name, where it is read from, what it may say. The one reader of environment and files."""

from worker.settings.findings import findings
from worker.settings.loading import load
from worker.settings.model import LangsmithApi, LogFormat, LogLevel, Settings
from worker.settings.names import ALL, Need
from worker.settings.queues import PerQueue
from worker.settings.showing import secrets

__all__ = [
    "ALL",
    "LangsmithApi",
    "LogFormat",
    "LogLevel",
    "Need",
    "PerQueue",
    "Settings",
    "findings",
    "load",
    "secrets",
]
