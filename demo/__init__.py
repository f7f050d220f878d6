"""A job system to watch, and the commands behind `make demo` and `make run`."""

import time

STARTED = time.monotonic()
"""When the command began; read here, before the imports, because they take their time too."""
