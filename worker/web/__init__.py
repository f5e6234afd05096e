"""What others see of the worker, over HTTP."""
