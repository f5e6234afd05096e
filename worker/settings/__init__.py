"""The settings: every name, where it is read from, what it may say. The one reader of environment and files."""

from worker.settings.loading import findings, load, secrets
from worker.settings.model import LangsmithApi, LogFormat, LogLevel, PerQueue, Settings
from worker.settings.names import ALL, Need

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
