"""The state of the worker itself, and everything that is wrong with it. Pure."""
