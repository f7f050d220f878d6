"""The command `jobmon`."""
