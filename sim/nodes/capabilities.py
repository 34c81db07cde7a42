"""Linux capabilities of a container.

Source: linux/capability.h; containerd's defaults (oci.defaultUnixCaps), to which the pod adds and from which it drops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""By their number."""
ALL = (1 << len(NAMES)) - 1


def mask_of(names: Iterable[str]) -> int:
    """The bits of some, with or without CAP_ before them; ALL means each. Strange ones have none."""
    found = 0
    for name in names:
        bare = name.upper().removeprefix("CAP_")
        found |= ALL if bare == "ALL" else 1 << NAMES.index(bare) if bare in NAMES else 0
    return found


DEFAULT = mask_of(
    ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
     "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")
)  # fmt: skip


def capabilities_of(container: Mapping[str, Any]) -> int:
    """What root may do in a container."""
    context = container.get("securityContext") or {}
    if context.get("privileged"):
        return ALL
    wanted = context.get("capabilities") or {}
    add, drop = wanted.get("add") or (), wanted.get("drop") or ()
    if mask_of(drop) == ALL:
        return mask_of(add)
    return (DEFAULT | mask_of(add)) & ~mask_of(drop)
