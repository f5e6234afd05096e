"""Where queue runs come from."""
