"""Telling people and programs: notices, messages, channels."""
