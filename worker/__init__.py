"""Watches LangSmith annotation queues and notifies the right people in Slack."""
