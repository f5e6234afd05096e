"""Where memory lives."""
