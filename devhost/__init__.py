"""A local host for Durable Functions apps in Python, for development and tests."""
