"""How the worker itself stands, and what is wrong with that. Pure."""
