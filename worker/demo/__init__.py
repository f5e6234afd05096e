"""A simulated LangSmith and a simulated Slack, for the demo and the system tests."""
