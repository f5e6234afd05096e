"""A simulated LangSmith: an ASGI application over a state in memory, with the faults that it plays."""
