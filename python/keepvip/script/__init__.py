"""Running scripts: what may run and as whom, the process that starts them, and how each of them ended.

Used by everything that runs scripts: notifications and trackers.

    Runner ──▶ Spawner ┄┄▶ spawn_server
    time-outs    socket      fork, exec
"""
