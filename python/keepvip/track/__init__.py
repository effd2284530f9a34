"""Finds out how tracked things are, and tells the engine (vrrp-behaviour.md 9).

    ScriptTracker ──▶ Judge ──▶ Trackers ──▶ the engine decides what it means
    runs, time-outs    rise, fall   ▲        (weights, faults, priorities)
    FileTracker ─────────────────── │
    ProcessWatch ────────────────── ┘

A tracker reports values; it decides nothing about mastership. Interfaces are watched by the engine itself.
"""
