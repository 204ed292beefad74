"""Under which account a server runs that refuses to run as root.

Root steps down into a user namespace in which it is nobody: the files stay its own, and nothing has to be made
readable for others. Where namespaces are forbidden (a container without CAP_SYS_ADMIN), the server becomes the user
``nobody`` instead; then its binaries must be readable for all. Anybody else just stays who they are.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Account", "unprivileged_account"]

NOBODY_IN_A_NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@dataclass(frozen=True)
class Account:
    """Who runs the server: words before each command, or another user for the process."""

    prefix: tuple[str, ...] = ()
    user: pwd.struct_passwd | None = None

    def give(self, path: Path) -> None:
        """Make the path this account's own."""
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def popen(self, home: Path) -> dict[str, Any]:
        """Keyword arguments for ``subprocess``. The caller's ``PG*`` variables must not reach the server."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        arguments: dict[str, Any] = {"cwd": home, "env": environment | {"HOME": str(home), "LC_ALL": "C.UTF-8"}}
        if self.user:
            arguments |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return arguments


def unprivileged_account() -> Account:
    """The account to run such a server under, from here."""
    if os.geteuid() != 0:
        return Account()
    if shutil.which("unshare"):
        probe = subprocess.run([*NOBODY_IN_A_NAMESPACE, "true"], capture_output=True, check=False)
        if probe.returncode == 0:
            return Account(prefix=NOBODY_IN_A_NAMESPACE)
    return Account(user=pwd.getpwnam("nobody"))
