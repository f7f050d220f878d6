"""What Job Monitor decides, without I/O and without a clock."""
