"""Watches LangSmith annotation queues and tells the right people in Slack."""
