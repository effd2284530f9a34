"""keepvip keeps virtual IP addresses alive: VRRP fail-over from the keepalived.conf you already have.

This module holds the version and imports nothing: the daemon's first advertisement must not wait for an import.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
