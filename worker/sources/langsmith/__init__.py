"""LangSmith: annotation queues over its HTTP API, read-only."""
