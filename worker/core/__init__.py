"""The pure rules: what is new, what is due, what is owed. Pure."""
