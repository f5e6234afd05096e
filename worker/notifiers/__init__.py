"""Notifiers: the places where messages are shown."""
