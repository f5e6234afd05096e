"""The story of the demo: who plays in it, its scenes, and how page and terminal show it."""
