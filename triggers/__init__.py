"""The edges of the app: HTTP routes and timers."""
