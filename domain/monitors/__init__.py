"""The life of a monitor: from its start, over its polls, to its end."""
