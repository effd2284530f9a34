"""Load balancing: the pool of servers and what the kernel is told about it."""
