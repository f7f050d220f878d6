"""`python -m job_monitor` is `jobmon`."""

from job_monitor.command.app import main

main()
