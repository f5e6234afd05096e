"""Who gets told, and how."""
