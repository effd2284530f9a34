"""Tells people and programs about transitions: scripts and mail (vrrp-behaviour.md 13 and 15).

Everything here runs on the event loop's side and may be slow or fail: the engine never waits for any of it.

    events ──▶ Notifier ──▶ Owner (one instance or group) ──▶ ScriptQueue ──▶ Runner (keepvip.script)
                   │                                             in order      time-outs
                   └──▶ Mailer ──▶ Session (aiosmtplib)

What a script is allowed to be is decided before, once per load: `vetting`.
"""

from keepvip.notify.notifier import Notifier

__all__ = ["Notifier"]
