"""What lies on a machine's disk: what its packages brought, what kubeadm wrote, and what its runtime keeps there.

Source: the Debian packages of Kubernetes and containerd, kubeadm's phases. Logs below /var/log are made from the
runtime's when somebody looks. Not modelled: what nobody looks for; programs are names without contents.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
import yaml

from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.network import addons
from seatrial.sim.nodeshell import pki
from seatrial.sim.nodeshell.pki import LazyFile
from seatrial.sim.workloads.filesystem import Dir, File, FileSystem, Link, Node

if TYPE_CHECKING:
    from seatrial.sim.nodeshell.machine import Machine

MANIFESTS: Final = "/etc/kubernetes/manifests"
KUBELET_CONFIG: Final = "/var/lib/kubelet/config.yaml"
KUBELET_CONF: Final = "/etc/kubernetes/kubelet.conf"
CLIENT_CERTIFICATE: Final = "/var/lib/kubelet/pki/kubelet-client-current.pem"
DROP_IN: Final = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
CA: Final = "/etc/kubernetes/pki/ca.crt"
RESOLVER: Final = "10.0.2.3"

INSTALLED: Final[Mapping[str, Any]] = {
    "/etc/os-release": (
        'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\n'
        'VERSION="13 (trixie)"\nVERSION_CODENAME=trixie\nID=debian\nHOME_URL="https://www.debian.org/"\n'
    ),
    "/etc/debian_version": "13.2\n",
    "/usr/lib/systemd/system/kubelet.service": (
        "[Unit]\nDescription=kubelet: The Kubernetes Node Agent\nDocumentation=https://kubernetes.io/docs/\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n[Service]\nExecStart=/usr/bin/kubelet\n"
        "Restart=always\nStartLimitInterval=0\nRestartSec=10\n\n[Install]\nWantedBy=multi-user.target\n"
    ),
    DROP_IN: (
        "# Note: This dropin only works with kubeadm and kubelet v1.11+\n[Service]\n"
        'Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf '
        '--kubeconfig=/etc/kubernetes/kubelet.conf"\n'
        'Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"\n'
        '# This is a file that "kubeadm init" and "kubeadm join" generates at runtime, populating the '
        "KUBELET_KUBEADM_ARGS variable dynamically\n"
        "EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n"
        "EnvironmentFile=-/etc/default/kubelet\nExecStart=\n"
        "ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS "
        "$KUBELET_EXTRA_ARGS\n"
    ),
    "/usr/lib/systemd/system/containerd.service": (
        "[Unit]\nDescription=containerd container runtime\nDocumentation=https://containerd.io\n"
        "After=network.target local-fs.target dbus.service\n\n[Service]\nExecStart=/usr/bin/containerd\n"
        "Type=notify\nDelegate=yes\nKillMode=process\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n"
    ),
    "/etc/containerd/config.toml": (
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\n"
        "  sandbox = 'registry.k8s.io/pause:3.10.1'\n"
        "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"
    ),
    "/etc/crictl.yaml": "runtime-endpoint: unix:///run/containerd/containerd.sock\n",
    "/etc/default/kubelet": "KUBELET_EXTRA_ARGS=\n",
    "/etc/fstab": "/dev/vda1 / ext4 errors=remount-ro 0 1\n",
    "/etc/modules-load.d/k8s.conf": "overlay\nbr_netfilter\n",
    "/etc/sysctl.d/k8s.conf": "net.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n",
    "/proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    "/proc/sys/net/ipv4/ip_forward": "1\n",
    "/root/.bashrc": "export KUBECONFIG=/etc/kubernetes/admin.conf\n",
    "/var/lib/containerd/": None,
    "/var/lib/kubelet/pki/": None,
    "/run/containerd/containerd.sock": "",
    **{f"/opt/cni/bin/{name}": File(b"\x7fELF", 0o755) for name in ("bridge", "host-local", "loopback", "portmap")},
}
"""The same on every machine."""


def install(machine: Machine, fs: FileSystem) -> None:
    """Writes what is the machine's own."""
    site, name = machine.site, machine.name
    at = site.begins_us
    hosts = "".join(f"{node.spec.address} {other}\n" for other, node in site.nodes.items())
    _write(fs, "/etc/hostname", f"{name}\n")
    _write(fs, "/etc/hosts", f"127.0.0.1 localhost\n{hosts}")
    _write(fs, "/etc/resolv.conf", f"nameserver {RESOLVER}\n")
    _write(fs, "/etc/machine-id", f"{machine.node.registration.machine_id}\n")
    fs.make_dir("/var/log/pods", parents=True)
    fs.put("/var/log/pods", Generated(lambda: pod_logs(machine)))
    fs.put("/var/log/containers", Generated(lambda: container_links(machine)))
    range_ = machine.node.spec.pod_cidr
    if range_:
        _write(fs, "/etc/cni/net.d/10-bridge.conflist", network_plugin(range_))
    joined(machine, fs, at)
    if machine.is_control_plane:
        control_plane(machine, fs, at)


def joined(machine: Machine, fs: FileSystem, at: int) -> None:
    """What ``kubeadm join`` (and ``init``) leave on every machine."""
    site, name = machine.site, machine.name
    fs.make_dir("/etc/kubernetes/pki", parents=True)
    fs.make_dir(MANIFESTS, parents=True)
    fs.put(CA, LazyFile(lambda: site.certificates.authority("ca").certificate, 0o644, at))
    _write(fs, KUBELET_CONFIG, kubelet_config(machine))
    _write(fs, "/var/lib/kubelet/kubeadm-flags.env", f'KUBELET_KUBEADM_ARGS="--node-ip={machine.address}"\n')
    user = {"client-certificate": CLIENT_CERTIFICATE, "client-key": CLIENT_CERTIFICATE}
    fs.put(KUBELET_CONF, _kubeconfig_file(machine, "default-auth", lambda: user, at))

    def pem() -> bytes:
        made = site.certificates.node(name, at)
        return made.certificate + made.key

    fs.make_dir("/var/lib/kubelet/pki", parents=True)
    fs.put(CLIENT_CERTIFICATE, LazyFile(pem, 0o600, at))


def control_plane(machine: Machine, fs: FileSystem, at: int) -> None:
    """What ``kubeadm init`` leaves on the control plane's machine."""
    site = machine.site
    fs.make_dir("/etc/kubernetes/pki/etcd", parents=True)
    for path, made in pki.of_control_plane(site.certificates, at):
        if path != CA:
            fs.put(path, made)
    for row in pki.ROWS:
        if row.conf:
            fs.put(f"/etc/kubernetes/{row.name}", conf_file(machine, row, at))
    fs.make_dir("/root/.kube", parents=True)
    fs.link("/etc/kubernetes/admin.conf", "/root/.kube/config")
    site.etcd.install(fs, at)
    if site.spec.addons:
        for file, pod in addons.static_pods(site.spec, machine.address).items():
            _write(fs, f"{MANIFESTS}/{file}", yaml.safe_dump(dict(pod), sort_keys=True), 0o600)


def conf_file(machine: Machine, row: pki.Row, at: int) -> LazyFile:
    """A kubeconfig of the control plane, with a certificate made at ``at``."""

    def user() -> Mapping[str, str]:
        made = machine.site.certificates.leaf(row, at)
        return {"client-certificate-data": _text(made.certificate), "client-key-data": _text(made.key)}

    return _kubeconfig_file(machine, row.common_name, user, at)


def _kubeconfig_file(machine: Machine, name: str, user: Callable[[], Mapping[str, str]], at: int) -> LazyFile:
    site = machine.site

    def text() -> bytes:
        authority = _text(site.certificates.authority("ca").certificate)
        cluster = {"certificate-authority-data": authority, "server": f"https://{site.api_address}:6443"}
        context = f"{name}@kubernetes"
        value = {
            "apiVersion": "v1",
            "clusters": [{"cluster": cluster, "name": "kubernetes"}],
            "contexts": [{"context": {"cluster": "kubernetes", "user": name}, "name": context}],
            "current-context": context,
            "kind": "Config",
            "users": [{"name": name, "user": dict(user())}],
        }
        return yaml.safe_dump(value, sort_keys=True).encode()

    return LazyFile(text, 0o600, at)


def kubelet_config(machine: Machine) -> str:
    """The KubeletConfiguration that kubeadm writes."""
    network = machine.site.spec.network
    value = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"cacheTTL": "0s", "enabled": True},
            "x509": {"clientCAFile": CA},
        },
        "authorization": {"mode": "Webhook", "webhook": {"cacheAuthorizedTTL": "0s", "cacheUnauthorizedTTL": "0s"}},
        "cgroupDriver": "systemd",
        "clusterDNS": [addons.dns_address(network.service_cidr)],
        "clusterDomain": network.dns_domain,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cpuManagerReconcilePeriod": "0s",
        "evictionPressureTransitionPeriod": "0s",
        "fileCheckFrequency": "0s",
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "httpCheckFrequency": "0s",
        "imageMinimumGCAge": "0s",
        "kind": "KubeletConfiguration",
        "memorySwap": {},
        "nodeStatusReportFrequency": "0s",
        "nodeStatusUpdateFrequency": "0s",
        "rotateCertificates": True,
        "runtimeRequestTimeout": "0s",
        "shutdownGracePeriod": "0s",
        "shutdownGracePeriodCriticalPods": "0s",
        "staticPodPath": MANIFESTS,
        "streamingConnectionIdleTimeout": "0s",
        "syncFrequency": "0s",
        "volumeStatsAggPeriod": "0s",
    }
    spec = machine.node.spec
    if spec.pods != 110:
        value["maxPods"] = spec.pods
    return yaml.safe_dump(value, sort_keys=True)


UNIT_PLACES: Final = ("/usr/lib/systemd/system", "/etc/systemd/system")


def unit_text(fs: FileSystem) -> str:
    """The kubelet's unit: its file, then the drop-ins by name; what lies under /etc wins."""
    main, drop_ins = "", {}
    for place in UNIT_PLACES:
        if fs.exists(f"{place}/kubelet.service"):
            main = fs.read(f"{place}/kubelet.service").decode(errors="replace")
        directory = f"{place}/kubelet.service.d"
        for name in sorted(fs.directory(directory)) if fs.exists(directory) else ():
            if name.endswith(".conf"):
                drop_ins[name] = fs.read(f"{directory}/{name}").decode(errors="replace")
    return "\n".join([main, *(drop_ins[name] for name in sorted(drop_ins))])


def network_plugin(cidr: str) -> str:
    """The machine's network configuration: a bridge with addresses from its own range."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": cidr}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    value = {"cniVersion": "1.0.0", "name": "bridge", "plugins": [bridge, ports]}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


def _write(fs: FileSystem, path: str, text: str, mode: int = 0o644) -> None:
    parent = path.rpartition("/")[0]
    if not fs.exists(parent):
        fs.make_dir(parent, parents=True)
    fs.write(path, text.encode(), mode=mode)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# Logs


class Generated(Dir):
    """A directory whose entries are made when somebody looks."""

    def __init__(self, make: Callable[[], dict[str, Node]]) -> None:
        self._make = make
        super().__init__()

    @property
    def entries(self) -> dict[str, Node]:
        return self._make()

    @entries.setter
    def entries(self, entries: dict[str, Node]) -> None: ...

    def copy(self) -> Dir:
        return Generated(self._make)


def _log_file(log: Any) -> File:
    def text() -> bytes:
        lines = []
        for at, stream, data in log.lines:
            whole = data.endswith(b"\n")
            stamp = f"{micro_stamp_of(at)[:-1]}000Z"
            lines.append(f"{stamp} {stream} {'F' if whole else 'P'} ".encode() + (data if whole else data + b"\n"))
        return b"".join(lines)

    return File(mode=0o640, source=text)


def pod_logs(machine: Machine) -> dict[str, Node]:
    """/var/log/pods: NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log."""
    runtime = machine.node.runtime
    found: dict[str, Node] = {}
    for uid, record in runtime.pods.items():
        sandbox = runtime.sandboxes.get(uid)
        if sandbox is None:
            continue
        pod = Dir()
        for container in record.containers:
            live = runtime.live.get(container.id)
            if live is None or live.log is None:
                continue
            below = pod.entries.setdefault(container.name, Dir())
            assert isinstance(below, Dir)
            below.entries[f"{container.attempt}.log"] = _log_file(live.log)
        found[f"{sandbox.namespace}_{sandbox.name}_{uid}"] = pod
    return found


def container_links(machine: Machine) -> dict[str, Node]:
    """/var/log/containers: POD_NAMESPACE_CONTAINER-ID.log."""
    runtime = machine.node.runtime
    found: dict[str, Node] = {}
    for uid, record in runtime.pods.items():
        sandbox = runtime.sandboxes.get(uid)
        for container in record.containers if sandbox is not None else ():
            assert sandbox is not None
            name = f"{sandbox.name}_{sandbox.namespace}_{container.name}-{container.id}.log"
            at = f"/var/log/pods/{sandbox.namespace}_{sandbox.name}_{uid}/{container.name}/{container.attempt}.log"
            found[name] = Link(at)
    return found
