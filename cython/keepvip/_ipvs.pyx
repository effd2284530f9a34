"""Placeholder to be replaced at once."""
