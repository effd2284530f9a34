"""Checks of real servers."""
