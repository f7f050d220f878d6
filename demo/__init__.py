"""A job system to watch, and the commands behind `make demo` and `make run`."""
