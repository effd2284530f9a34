"""Asking the daemon: a small JSON API over HTTP on a Unix socket, answered from snapshots."""
