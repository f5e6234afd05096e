"""A simulated Slack: the Web API methods that the worker uses, over HTTP, with the faults that it plays."""
