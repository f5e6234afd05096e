"""Slack: posting, looking up and editing through its Web API, and its Block Kit rendering."""
