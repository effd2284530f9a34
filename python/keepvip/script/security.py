"""May this script run, and as whom (vrrp-behaviour.md 13.3).

Every script is looked at once per load, before anything runs: its user, where the program is, whether that user
may execute it, and whether somebody other than root could change it although it runs as root. The result is
either a `Command` or the reason why there is none, and always a list of findings for the log or for `keepvip check`.

Nothing here asks the host directly: files, users and the search path come from a `ScriptHost`. Looking at files may
block (a dead network mount), so the daemon does it in a thread.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.source import Span  # noqa: TC001  (msgspec resolves annotations at run time)
from keepvip.script.command import Command, Identity
from keepvip.script.paths import Walk, describe_unsafe, walk

if TYPE_CHECKING:
    from keepvip.config.model import GlobalDefs, Script
    from keepvip.script.host import ScriptHost

__all__ = ["Finding", "Vetted", "may_execute", "vet_script"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing to say about a script."""

    code: str
    """Stable, kebab-case."""
    message: str
    disabled: bool = False
    """The script is not run because of this."""
    security: bool = False
    """Counts for exit status 6 of `keepvipd --config-test`."""
    span: Span | None = None


class Vetted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one script. Without `command` it is never run, and the last finding says why."""

    command: Command | None
    findings: tuple[Finding, ...] = ()


def vet_script(script: Script, label: str, defs: GlobalDefs, host: ScriptHost) -> Vetted:
    """Looks at one script. `label` names it in messages."""
    findings: list[Finding] = []

    def say(code: str, message: str, *, disabled: bool = False, security: bool = False) -> None:
        findings.append(
            Finding(code=code, message=f"{label}: {message}", disabled=disabled, security=security, span=script.span)
        )

    identity = _identity(script, host)
    if isinstance(identity, str):
        say("script-user", f"{identity}; not run", disabled=True)
        return Vetted(command=None, findings=tuple(findings))

    name = script.argv[0]
    if "/" in name:
        found = walk(os.path.normpath(os.path.join(host.cwd, name)), host)  # noqa: PTH118  (pure text)
        trouble = _not_runnable(found, identity, host)
    else:
        found, trouble = _search(name, identity, host)
        if not trouble:
            say("script-path-search", f"`{name}` has no path; found as {found.path}. Better write the whole path")
    if trouble:
        shown = f"`{script.text}` ({name})" if script.text != name else f"`{name}`"
        say("script-not-runnable", f"{shown} {trouble}; not run", disabled=True)
        return Vetted(command=None, findings=tuple(findings))

    if _as_root(found, identity):
        unsafe = describe_unsafe(found)
        if unsafe and defs.enable_script_security:
            say("script-unsafe", f"would run as root, but {unsafe}; not run", disabled=True, security=True)
            return Vetted(command=None, findings=tuple(findings))
        if unsafe:
            say("script-unsafe", f"runs as root although {unsafe}", security=True)
    path = found.path if defs.use_symlink_paths else found.target
    command = Command(path=path, argv=script.argv, text=script.text, identity=identity)
    return Vetted(command=command, findings=tuple(findings))


def _identity(script: Script, host: ScriptHost) -> Identity | str:
    """Who runs it, or why nobody can."""
    own = Identity(uid=host.daemon_uid, gid=host.daemon_gid, switch=host.daemon_uid == 0)
    if script.user is None:
        return own
    user = host.user(script.user)
    if user is None:
        return f"there is no user `{script.user}`"
    gid = user.gid
    if script.group is not None:
        group = host.group(script.group)
        if group is None:
            return f"there is no group `{script.group}`"
        gid = group
    if host.daemon_uid != 0:
        if (user.uid, gid) != (own.uid, own.gid):
            return f"keepvip does not run as root, so it cannot run a script as user `{script.user}`"
        return msgspec.structs.replace(own, name=script.user)
    groups = host.groups_of(user.name, gid) if script.supplementary_groups else ()
    return Identity(uid=user.uid, gid=gid, groups=groups, switch=True, name=script.user)


def _search(name: str, identity: Identity, host: ScriptHost) -> tuple[Walk, str]:
    """The first program of that name in PATH that the user may execute; else what is wrong with the best candidate."""
    best: tuple[Walk, str] | None = None
    for directory in host.search_path:
        if not directory.startswith("/"):
            continue  # relative to wherever the daemon happens to be: never a program that anybody meant
        found = walk(os.path.normpath(os.path.join(directory, name)), host)  # noqa: PTH118  (pure text)
        trouble = _not_runnable(found, identity, host)
        if not trouble:
            return found, ""
        if found.error != errno.ENOENT and best is None:
            best = (found, f"is not usable as {found.path}: it {trouble}")
    return best or (Walk(path=name, target=name, error=errno.ENOENT), "is not in any directory of PATH")


def _not_runnable(found: Walk, identity: Identity, host: ScriptHost) -> str:
    """Why the user cannot execute the file; empty if it can, or if an access control list may allow it."""
    if found.error == errno.ENOENT:
        return "does not exist"
    if found.error:
        return f"cannot be looked at ({os.strerror(found.error)})"
    for step in found.steps:
        if not stat.S_ISDIR(step.mode) or may_execute(step.mode, step.uid, step.gid, identity):
            continue
        if host.has_acl(step.path):
            continue
        return f"cannot be reached by user {identity.name or identity.uid} ({step.path} may not be entered)"
    file = found.steps[-1]
    if not stat.S_ISREG(file.mode):
        return "is not a file"
    if not may_execute(file.mode, file.uid, file.gid, identity) and not host.has_acl(file.path):
        return f"is not executable for user {identity.name or identity.uid}"
    return ""


def may_execute(mode: int, uid: int, gid: int, identity: Identity) -> bool:
    """What the permission bits say about executing a file or entering a directory (access control lists apart)."""
    if identity.uid == 0:
        return stat.S_ISDIR(mode) or bool(mode & 0o111)
    if identity.uid == uid:
        return bool(mode & 0o100)
    if gid == identity.gid or gid in identity.groups:
        return bool(mode & 0o010)
    return bool(mode & 0o001)


def _as_root(found: Walk, identity: Identity) -> bool:
    """Whether the program gets the rights of user or group root."""
    file = found.steps[-1]
    return (
        identity.uid == 0
        or identity.gid == 0
        or bool(file.mode & stat.S_ISUID and file.uid == 0)
        or bool(file.mode & stat.S_ISGID and file.gid == 0)
    )
