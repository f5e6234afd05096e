"""What the worker costs, measured."""
