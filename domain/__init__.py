"""The decisions of Job Monitor, without I/O and without a clock."""
