"""The right to make networks: root has it; anybody else gets it in a user namespace of their own."""

import os
import shutil
import sys

from keepvip.lab.errors import LabError

_INSIDE = "KEEPVIP_LAB_USERNS"


def enter_user_namespace_if_needed() -> None:
    """Return if this process may build a lab; else run the same command line again as root of a new user namespace.

    In such a namespace the daemons have no real-time scheduling and cannot change to another user; all else is the
    same. Raises `LabError` if the system forbids user namespaces.
    """
    if os.geteuid() == 0:
        return
    if os.environ.get(_INSIDE):
        raise LabError("the user namespace did not make us root")
    unshare = shutil.which("unshare")
    if unshare is None:
        raise LabError("the lab needs root or the program unshare (package util-linux)")
    probe = os.spawnv(os.P_WAIT, unshare, [unshare, "--user", "--map-root-user", "--net", "--mount", "true"])
    if probe != 0:
        raise LabError(
            "this system does not let users make namespaces (see the sysctls kernel.unprivileged_userns_clone,"
            " user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns); run the lab as root"
        )
    os.environ[_INSIDE] = "1"
    os.execv(unshare, [unshare, "--user", "--map-root-user", "--net", "--mount", sys.executable, *sys.argv])


def in_user_namespace() -> bool:
    """Whether we are root only of a user namespace."""
    return bool(os.environ.get(_INSIDE))
