"""Which scripts may run, and as whom (vrrp-behaviour.md 13.3): on a made-up host, and with real files."""

from __future__ import annotations

import errno
import os
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from keepvip.config.model import Config, GlobalDefs, NotifyScripts, Script, SyncGroup, VrrpInstance
from keepvip.notify.security import SECURITY_VIOLATION, vet_config
from keepvip.script.host import RealHost, User
from keepvip.script.security import Vetted, vet_script

if TYPE_CHECKING:
    from keepvip.script.command import Command

    from .tools import Scripts

DIRECTORY = stat.S_IFDIR | 0o755
FILE = stat.S_IFREG | 0o755
LINK = stat.S_IFLNK | 0o777
BASE: dict[str, tuple[int, int, int]] = dict.fromkeys(
    ("/", "/etc", "/usr", "/usr/bin", "/usr/local", "/usr/local/bin", "/opt", "/home"), (DIRECTORY, 0, 0)
)


class FakeHost:
    """Files as {path: (mode, uid, gid)}, links as {path: target}."""

    def __init__(
        self, files: dict[str, tuple[int, int, int]], links: dict[str, str] | None = None, uid: int = 0
    ) -> None:
        self.files = BASE | files
        self.links = links or {}
        self.daemon_uid = uid
        self.daemon_gid = uid
        self.search_path: tuple[str, ...] = ("/usr/local/bin", "bin", "", "/usr/bin")
        self.cwd = "/etc"
        self.acls: set[str] = set()

    def lstat(self, path: str) -> Any:
        if path in self.links:
            return SimpleNamespace(st_mode=LINK, st_uid=0, st_gid=0)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "gone", path)
        mode, uid, gid = self.files[path]
        return SimpleNamespace(st_mode=mode, st_uid=uid, st_gid=gid)

    def readlink(self, path: str) -> str:
        return self.links[path]

    def has_acl(self, path: str) -> bool:
        return path in self.acls

    def user(self, name: str) -> User | None:
        return {"bob": User(name="bob", uid=500, gid=500), "root": User(name="root", uid=0, gid=0)}.get(name)

    def group(self, name: str) -> int | None:
        return {"ops": 600, "root": 0}.get(name)

    def groups_of(self, name: str, gid: int) -> tuple[int, ...]:
        return (gid, 600, 700)


def vet(host: FakeHost, text: str, *, defs: GlobalDefs | None = None, **script: Any) -> Vetted:
    return vet_script(Script(argv=tuple(text.split()), text=text, **script), "notify of VI", defs or GlobalDefs(), host)


def command(vetted: Vetted) -> Command:
    assert vetted.command is not None, vetted.findings
    return vetted.command


def why_not(vetted: Vetted) -> str:
    assert vetted.command is None
    assert vetted.findings[-1].disabled
    return vetted.findings[-1].message


def test_daemons_own_user_without_supplementary_groups() -> None:
    found = command(vet(FakeHost({"/etc/x.sh": (FILE, 0, 0)}), "/etc/x.sh a b"))
    assert (found.path, found.argv) == ("/etc/x.sh", ("/etc/x.sh", "a", "b"))
    assert (found.identity.uid, found.identity.gid, found.identity.groups, found.identity.switch) == (0, 0, (), True)


def test_user_and_group() -> None:
    host = FakeHost({"/etc/x.sh": (FILE, 0, 0)})
    found = command(vet(host, "/etc/x.sh", user="bob")).identity
    assert (found.uid, found.gid, found.groups) == (500, 500, ())
    found = command(vet(host, "/etc/x.sh", user="bob", group="ops")).identity
    assert (found.uid, found.gid, found.groups) == (500, 600, ())
    found = command(vet(host, "/etc/x.sh", user="bob", supplementary_groups=True)).identity
    assert found.groups == (500, 600, 700)


def test_unknown_user_or_group() -> None:
    host = FakeHost({"/etc/x.sh": (FILE, 0, 0)})
    assert why_not(vet(host, "/etc/x.sh", user="eve")) == "notify of VI: there is no user `eve`; not run"
    assert "there is no group `wheels`" in why_not(vet(host, "/etc/x.sh", user="bob", group="wheels"))


def test_without_root_no_other_user_is_possible() -> None:
    host = FakeHost({"/etc/x.sh": (FILE, 0, 0)}, uid=500)
    assert not command(vet(host, "/etc/x.sh")).identity.switch
    assert not command(vet(host, "/etc/x.sh", user="bob")).identity.switch
    assert "does not run as root" in why_not(vet(host, "/etc/x.sh", user="root"))


def test_missing_and_unsuitable_files() -> None:
    host = FakeHost({"/etc/plain": (stat.S_IFREG | 0o644, 0, 0), "/etc/dir": (DIRECTORY, 0, 0)})
    assert (
        why_not(vet(host, "/etc/none.sh a")) == "notify of VI: `/etc/none.sh a` (/etc/none.sh) does not exist; not run"
    )
    assert "`/etc/plain` is not executable for user 0" in why_not(vet(host, "/etc/plain"))
    assert "is not a file" in why_not(vet(host, "/etc/dir"))
    assert "cannot be looked at (Too many levels" in why_not(
        vet(FakeHost({}, {"/etc/a": "b", "/etc/b": "a"}), "/etc/a")
    )


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "allowed"),
    [
        (0o100, 500, 0, True),
        (0o011, 500, 0, False),  # the owner's bits count for the owner, whatever others may
        (0o010, 0, 500, True),
        (0o101, 0, 500, False),
        (0o001, 0, 0, True),
        (0o110, 0, 0, False),
    ],
)
def test_executable_for_its_user(mode: int, uid: int, gid: int, allowed: bool) -> None:
    host = FakeHost({"/etc/x": (stat.S_IFREG | mode, uid, gid)})
    assert (vet(host, "/etc/x", user="bob").command is not None) is allowed
    assert vet(host, "/etc/x").command is not None, "root may execute what anybody may"


def test_directories_on_the_way() -> None:
    host = FakeHost({"/home/a": (stat.S_IFDIR | 0o700, 501, 501), "/home/a/x": (FILE, 501, 501)})
    assert why_not(vet(host, "/home/a/x", user="bob")).endswith(
        "cannot be reached by user bob (/home/a may not be entered); not run"
    )
    host.acls.add("/home/a")  # an access control list may allow it: only the attempt can tell
    assert vet(host, "/home/a/x", user="bob").command is not None


def test_search_in_path() -> None:
    host = FakeHost({"/usr/bin/tool": (FILE, 0, 0), "/etc/bin": (DIRECTORY, 0, 0), "/etc/bin/tool": (FILE, 0, 0)})
    vetted = vet(host, "tool x")
    assert command(vetted).path == "/usr/bin/tool"
    assert [finding.code for finding in vetted.findings] == ["script-path-search"]
    assert not vetted.findings[0].disabled
    assert "`nothing` is not in any directory of PATH" in why_not(vet(host, "nothing"))


def test_search_passes_over_what_the_user_may_not_execute() -> None:
    host = FakeHost({"/usr/bin/tool": (FILE, 0, 0), "/usr/local/bin/tool": (stat.S_IFREG | 0o700, 0, 0)})
    assert command(vet(host, "tool", user="bob")).path == "/usr/bin/tool"
    assert command(vet(host, "tool")).path == "/usr/local/bin/tool"
    del host.files["/usr/bin/tool"]
    assert "is not usable as /usr/local/bin/tool: it is not executable for user bob" in why_not(
        vet(host, "tool", user="bob")
    )


def test_symbolic_links() -> None:
    host = FakeHost(
        {"/opt/v2": (DIRECTORY, 0, 0), "/opt/v2/x": (FILE, 0, 0)}, {"/opt/v": "v2", "/usr/bin/x": "../../opt/v/x"}
    )
    found = command(vet(host, "/usr/bin/x"))
    assert (found.path, found.argv[0]) == ("/opt/v2/x", "/usr/bin/x")
    found = command(vet(host, "/usr//bin/../bin/x", defs=GlobalDefs(use_symlink_paths=True)))
    assert found.path == "/usr/bin/x"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"/opt/x": (FILE, 500, 0)}, "/opt/x is owned by user 500"),
        ({"/opt/x": (stat.S_IFREG | 0o757, 0, 0)}, "/opt/x is writable by everybody"),
        ({"/opt/x": (stat.S_IFREG | 0o775, 0, 600)}, "/opt/x is writable by group 600"),
        ({"/opt/x": (FILE, 0, 0), "/opt": (DIRECTORY, 500, 0)}, "/opt is owned by user 500"),
        ({"/opt/x": (FILE, 0, 0), "/opt": (stat.S_IFDIR | 0o777, 0, 0)}, "/opt is writable by everybody"),
        ({"/opt/x": (FILE, 0, 0), "/": (DIRECTORY, 500, 0)}, "/ is owned by user 500"),
    ],
)
def test_what_runs_as_root_must_belong_to_root(files: dict[str, tuple[int, int, int]], complaint: str) -> None:
    host = FakeHost(files)
    vetted = vet(host, "/opt/x")
    assert vetted.command is not None, "without enable_script_security it is run, and said"
    assert vetted.findings[0].message == f"notify of VI: runs as root although {complaint}"
    assert vetted.findings[0].security

    secure = GlobalDefs(enable_script_security=True)
    assert complaint in why_not(vet(host, "/opt/x", defs=secure))
    assert vet(host, "/opt/x", defs=secure).findings[-1].security
    assert vet(host, "/opt/x", defs=secure, user="bob").command is not None, "not as root: not our concern"
    assert vet(host, "/opt/x", defs=secure, user="bob", group="root").command is None, "group root is root, too"


@pytest.mark.parametrize(
    "files",
    [
        {"/opt/x": (stat.S_IFREG | 0o775, 0, 0)},  # group root
        {"/opt/x": (FILE, 0, 0), "/opt": (stat.S_IFDIR | 0o1777, 0, 0)},  # sticky
    ],
)
def test_safe_enough(files: dict[str, tuple[int, int, int]]) -> None:
    assert vet(FakeHost(files), "/opt/x", defs=GlobalDefs(enable_script_security=True)).findings == ()


def test_every_directory_of_a_links_target_counts() -> None:
    host = FakeHost({"/home/eve": (DIRECTORY, 501, 501), "/home/eve/x": (FILE, 0, 0)}, {"/usr/bin/x": "/home/eve/x"})
    for use_symlink_paths in (False, True):
        defs = GlobalDefs(enable_script_security=True, use_symlink_paths=use_symlink_paths)
        assert "/home/eve is owned by user 501" in why_not(vet(host, "/usr/bin/x", defs=defs))


def test_set_uid_programs_run_as_root() -> None:
    host = FakeHost({"/opt": (DIRECTORY, 500, 0), "/opt/x": (stat.S_IFREG | stat.S_ISUID | 0o755, 0, 0)})
    secure = GlobalDefs(enable_script_security=True)
    assert "/opt is owned by user 500" in why_not(vet(host, "/opt/x", defs=secure, user="bob"))
    host.files["/opt/x"] = (stat.S_IFREG | stat.S_ISGID | 0o755, 500, 0)
    assert vet(host, "/opt/x", defs=secure, user="bob").command is None
    host.files["/opt/x"] = (stat.S_IFREG | stat.S_ISUID | 0o755, 501, 0)
    assert vet(host, "/opt/x", defs=secure, user="bob").command is not None


def instance(name: str, **notify: Any) -> VrrpInstance:
    return VrrpInstance(name=name, interface="eth0", family=4, version=2, vrid=1, notify=NotifyScripts(**notify))


def test_whole_configuration() -> None:
    script = Script(argv=("/etc/x.sh",), text="/etc/x.sh")
    missing = Script(argv=("/etc/y.sh",), text="/etc/y.sh")
    host = FakeHost({"/etc/x.sh": (FILE, 0, 0)})
    config = Config(
        instances=(instance("A", master=script, any=script), instance("B", deleted=missing)),
        sync_groups=(SyncGroup(name="G", members=("A", "B"), notify=NotifyScripts(stop=script)),),
    )
    report = vet_config(config, host)
    assert set(report.commands) == {script, missing}
    assert report.commands[script] is not None
    assert report.commands[missing] is None
    assert [finding.code for finding in report.findings] == ["script-not-runnable", SECURITY_VIOLATION]
    assert "notify_deleted of B" in report.findings[0].message
    assert report.findings[1].security

    secure = Config(global_defs=GlobalDefs(enable_script_security=True), instances=(instance("A", master=script),))
    assert vet_config(secure, host).findings == ()
    assert vet_config(Config(instances=(instance("A", deleted=True),)), host).findings == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_real_files(scripts: Scripts) -> None:
    """The temporary directory is sticky, so only the file and its directory decide."""
    host = RealHost()
    defs = GlobalDefs(enable_script_security=True)
    path = scripts.write("x.sh", "")
    link = scripts.directory / "link"
    link.symlink_to("x.sh")

    def verdict(name: object, **script: Any) -> Vetted:
        return vet_script(Script(argv=(str(name),), text=str(name), **script), "t", defs, host)

    assert command(verdict(link)).path == str(path)
    assert command(verdict(path, user="nobody")).identity.uid == 65534
    os.chown(path, 65534, 65534)
    assert "is owned by user 65534" in why_not(verdict(link))
    assert command(verdict(link, user="nobody")).identity.name == "nobody"
    os.chown(path, 0, 0)
    path.chmod(0o777)
    assert "is writable by everybody" in why_not(verdict(path))
    path.chmod(0o700)
    assert "is not executable for user nobody" in why_not(verdict(path, user="nobody"))
    scripts.directory.chmod(0o700)
    assert "may not be entered" in why_not(verdict(path, user="nobody"))
    assert "Not a directory" in why_not(verdict(path / "x"))
    assert "does not exist" in why_not(verdict(scripts.directory / "a\0b"))
    assert command(verdict("true")).path.endswith("/true")
    assert "no user" in why_not(verdict(path, user="no-such-user"))
    assert command(verdict(path, user="0", group="0")).identity.gid == 0
