"""The edges that people and timers come in by."""
