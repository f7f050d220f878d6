"""The language that describes a job system: requests, answers, presets, and their faults."""
