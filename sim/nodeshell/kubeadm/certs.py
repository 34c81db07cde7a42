"""kubeadm certs: when the control plane's certificates end, and new ones in their place.

Source: k8s.io/kubernetes/cmd/kubeadm/app/cmd/certs.go, phases/certs/renewal. What is shown is read from the files.
"""

from __future__ import annotations

import datetime
import re
from base64 import b64decode
from collections.abc import Iterator

from seatrial.sim.kernel.stamps import datetime_of
from seatrial.sim.nodeshell import ages, files, pki
from seatrial.sim.nodeshell.crictl.base import table
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.nodeshell.pki import AUTHORITIES, ROWS, Row
from seatrial.sim.workloads.process import Proc

BASE = "/etc/kubernetes/pki"
ABOUT = {
    "admin.conf": "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself",
    "apiserver": "certificate for serving the Kubernetes API",
    "apiserver-etcd-client": "certificate the apiserver uses to access etcd",
    "apiserver-kubelet-client": "certificate for the API server to connect to kubelet",
    "controller-manager.conf": "certificate embedded in the kubeconfig file for the controller manager to use",
    "etcd-healthcheck-client": "certificate for liveness probes to healthcheck etcd",
    "etcd-peer": "certificate for etcd nodes to communicate with each other",
    "etcd-server": "certificate for serving etcd",
    "front-proxy-client": "certificate for the front proxy client",
    "scheduler.conf": "certificate embedded in the kubeconfig file for the scheduler manager to use",
    "super-admin.conf": "certificate embedded in the kubeconfig file for the super-admin",
}


def reading(verb: str) -> str:
    """How most of kubeadm's commands begin."""
    return (
        f'[{verb}] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...\n'
        f"[{verb}] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.\n\n"
    )


def end_of(machine: Machine, path: str, conf: bool) -> datetime.datetime | None:
    """When the certificate in a file ends; None when there is none."""
    from cryptography import x509

    try:
        text = machine.userland.fs.read(path)
        if conf:
            found = re.search(rb"client-certificate-data: (\S+)", text)
            text = b64decode(found.group(1)) if found else b""
        return x509.load_pem_x509_certificate(text).not_valid_after_utc
    except (OSError, ValueError):
        return None


def _path(row: Row) -> str:
    return f"/etc/kubernetes/{row.name}" if row.conf else f"{BASE}/{row.path}.crt"


def _ends(machine: Machine, end: datetime.datetime) -> tuple[str, str]:
    now = datetime_of(machine.clock.now)
    left = round((end - now).total_seconds() * 1_000_000)
    return f"{end:%b %d, %Y %H:%M} UTC", ages.residual(left)


def check(proc: Proc, machine: Machine, words: list[str]) -> int:
    """kubeadm certs check-expiration"""
    proc.out(reading("check-expiration"))
    proc.out("".join(_tables(machine)))
    return 0


def _tables(machine: Machine) -> Iterator[str]:
    lines = []
    for row in ROWS:
        end = end_of(machine, _path(row), row.conf)
        if end is None:
            lines.append([f"!MISSING! {row.name}", "", "", "", ""])
        else:
            authority = row.authority
            lines.append([row.name, *_ends(machine, end), authority, "no"])
    yield table(["CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"], lines)
    lines = []
    for name, (_, path) in AUTHORITIES.items():
        end = end_of(machine, f"{BASE}/{path}.crt", False)
        lines.append([f"!MISSING! {name}", "", "", ""] if end is None else [name, *_ends(machine, end), "no"])
    yield "\n" + table(["CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"], lines)


def renew(proc: Proc, machine: Machine, words: list[str]) -> int:
    """kubeadm certs renew all|NAME"""
    wanted = words[0] if words else ""
    rows = [row for row in ROWS if wanted in ("all", row.name)]
    if not rows:
        proc.err(f"unknown certificate {wanted!r}: there are all, {', '.join(row.name for row in ROWS)}\n")
        return 1
    missing = [row for row in rows if end_of(machine, _path(row), row.conf) is None]
    if missing and not machine.is_control_plane:
        proc.err(f"error: certificate {missing[0].name} is not on this machine: it is not a control plane\n")
        return 1
    proc.out(reading("renew"))
    fs, now, authority = proc.fs, machine.clock.now, machine.site.certificates
    for row in rows:
        if row in missing:
            proc.out(f"MISSING! {ABOUT[row.name]}\n")
            continue
        if row.conf:
            fs.put(_path(row), files.conf_file(machine, row, now))
        else:
            for path, file in pki.pair(f"{BASE}/{row.path}", authority, row, now):
                fs.put(path, file)
        proc.out(f"{ABOUT[row.name]} renewed\n")
    proc.out(
        "\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler "
        "and etcd, so that they can use the new certificates.\n"
    )
    return 0
