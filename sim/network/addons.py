"""What a fresh cluster with machines holds beside the API server's own objects: kube-proxy, CoreDNS, and the accounts
of the network plug-in; and the manifests of the control plane's static pods.

Source: kubeadm's phases ``addon`` and ``control-plane``. Not modelled: kubeadm's own ConfigMaps, and the certificates
and volumes that the static pods mount.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml

from seatrial.sim.apiserver.client import prefix_of
from seatrial.sim.apiserver.request import Request, User
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.kinds import Kinds

Object = Mapping[str, Any]
INSTALLER = User("kubernetes-admin", ("system:masters", "system:authenticated"))
USER_AGENT = "kubeadm/v1.37.2 (linux/amd64)"
ETCD_VERSION = "3.6.6-0"


def dns_address(service_cidr: str) -> str:
    """The tenth address of the services' range."""
    head, _, last = service_cidr.partition("/")[0].rpartition(".")
    return f"{head}.{int(last) + 10}"


def objects(spec: ClusterSpec) -> list[Object]:
    """The add-ons with the specification's addresses."""
    files = ["addons.yaml", "metrics-server.yaml"] if spec.metrics_server else ["addons.yaml"]
    text = "---\n".join(resources.files(__package__).joinpath("data", file).read_text() for file in files)
    for name, value in {
        "POD_CIDR": spec.network.pod_cidr,
        "DNS_IP": dns_address(spec.network.service_cidr),
        "DOMAIN": spec.network.dns_domain,
        "VERSION": spec.kubernetes_version,
    }.items():
        text = text.replace(name, value)
    return list(yaml.load_all(text, yaml.CSafeLoader))


def sample_apiserver() -> list[Object]:
    """The kinds that sample-apiserver serves, as definitions."""
    text = resources.files(__package__).joinpath("data", "sample-apiserver.yaml").read_text()
    return list(yaml.load_all(text, yaml.CSafeLoader))


def install(server: Apiserver, spec: ClusterSpec, kinds: Kinds) -> None:
    """Creates the add-ons, as kubeadm does at the end of ``init``; where kube-proxy's account is there, all is."""
    if server.store.get("serviceaccounts", "kube-system", "kube-proxy") is not None:
        return
    for obj in objects(spec):
        resource = kinds.of(obj)
        assert resource is not None, obj["kind"]
        path = prefix_of(resource).path(obj["metadata"].get("namespace", ""))
        answer = server.handle(Request("POST", path, body=obj, user=INSTALLER, user_agent=USER_AGENT))
        assert answer.code == 201, (path, obj["metadata"]["name"], answer.body)


def static_pods(spec: ClusterSpec, address: str) -> dict[str, Object]:
    """The control plane's manifests: file name → pod."""
    version, network = spec.kubernetes_version, spec.network
    first, last = network.node_port_range
    rows: dict[str, tuple[str, list[str], str, int, str]] = {
        "etcd": (
            f"registry.k8s.io/etcd:{ETCD_VERSION}",
            [f"--advertise-client-urls=https://{address}:2379", "--data-dir=/var/lib/etcd"],
            "100m",
            2381,
            "100Mi",
        ),
        "kube-apiserver": (
            f"registry.k8s.io/kube-apiserver:{version}",
            [
                f"--advertise-address={address}",
                "--authorization-mode=Node,RBAC",
                "--etcd-servers=https://127.0.0.1:2379",
                "--secure-port=6443",
                f"--service-cluster-ip-range={network.service_cidr}",
                f"--service-node-port-range={first}-{last}",
            ],
            "250m",
            6443,
            "",
        ),
        "kube-controller-manager": (
            f"registry.k8s.io/kube-controller-manager:{version}",
            ["--leader-elect=true", f"--cluster-cidr={network.pod_cidr}", "--use-service-account-credentials=true"],
            "200m",
            10257,
            "",
        ),
        "kube-scheduler": (f"registry.k8s.io/kube-scheduler:{version}", ["--leader-elect=true"], "100m", 10259, ""),
    }
    return {f"{name}.yaml": _static(name, *row) for name, row in rows.items()}


def images(spec: ClusterSpec) -> list[str]:
    """All images that the control plane's machine needs."""
    found: dict[str, None] = {}
    for obj in (*objects(spec), *static_pods(spec, "").values()):
        template = obj if obj["kind"] == "Pod" else (obj.get("spec") or {}).get("template") or {}
        for container in (template.get("spec") or {}).get("containers") or ():
            found[container["image"]] = None
    return list(found)


PATHS: Mapping[str, Mapping[str, str]] = {
    "etcd": {"etcd-certs": "/etc/kubernetes/pki/etcd", "etcd-data": "/var/lib/etcd"}
}
"""Directories of the machine that a static pod sees at the same place, by volume."""


def _static(name: str, image: str, flags: list[str], cpu: str, port: int, memory: str) -> Object:
    requests = {"cpu": cpu, "memory": memory} if memory else {"cpu": cpu}
    paths = PATHS.get(name, {})
    mounts = [{"mountPath": path, "name": volume} for volume, path in paths.items()]
    volumes = [{"hostPath": {"path": path, "type": "DirectoryOrCreate"}, "name": each} for each, path in paths.items()]
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [name, *flags],
        "ports": [{"containerPort": port, "hostPort": port, "name": "probe-port", "protocol": "TCP"}],
        "resources": {"requests": requests},
        **({"volumeMounts": mounts} if mounts else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "labels": {"component": name, "tier": "control-plane"},
        },
        "spec": {
            "containers": [container],
            **({"volumes": volumes} if volumes else {}),
            "hostNetwork": True,
            "priority": 2_000_001_000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "enableServiceLinks": True,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
        },
    }
