"""A model's networks as graphs that run without torch; see docs/export.md."""
