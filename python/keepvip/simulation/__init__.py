"""Would it fail over? The nodes' own files, the real protocol core, simulated networks and virtual time.

`step` says what happens to the nodes, `world` plays it, `outcome` counts what came of it. Nothing of the host is
touched: no thread, no socket, no privileges.
"""
