"""Evidence that a gradient is right."""
