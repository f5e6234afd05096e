"""Small loops that act: poll, deliver, keep house."""
