"""What the worker costs, measured against what it could cost: `make bench`."""
