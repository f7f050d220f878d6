"""The activities: each parses its input, calls an adapter, returns JSON."""
