"""The jobs that the systems run. Their own Python loads these files, not this project's."""
