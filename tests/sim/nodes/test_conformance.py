"""What Kubernetes' conformance tests have containers do, as the pods that they make (see docs/conformance.md)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import ADMIN, Cluster
from seatrial.sim.config import ClusterSpec, S

BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"
WORK = [{"name": "work", "emptyDir": {}}]


def env(name: str, value: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value}]


def shell(text: str, **more: Any) -> dict[str, Any]:
    return {"image": BUSYBOX, "command": ["sh", "-c", text], **more}


def agnhost(*args: str, **more: Any) -> dict[str, Any]:
    return {"image": AGNHOST, "args": list(args), **more}


def on_work(path: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "work", "mountPath": path, **more}]


def from_map(name: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "v", "configMap": {"name": name, **more}}]


ON_V = [{"name": "v", "mountPath": "/v"}]
SHOWN = 'mode of file "/v/data-1": {}\ncontent of file "/v/data-1": value-1\n'

PODS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    # name: container, pod, phase, a part of the log
    "arguments are expanded": (
        {"image": BUSYBOX, "command": ["sh", "-c"], "args": ['A=wrong echo "$(A)"'], "env": env("A", "test-value")},
        {},
        "Succeeded",
        "test-value\n",
    ),
    "the root file system is read-only": (
        shell("echo test > /file", securityContext={"readOnlyRootFilesystem": True}),
        {},
        "Failed",
        "sh: can't create /file: Read-only file system\n",
    ),
    "the root file system is writable": (
        shell("touch checkfile", securityContext={"readOnlyRootFilesystem": False}),
        {},
        "Succeeded",
        "",
    ),
    "the container's user": (shell("id -u", securityContext={"runAsUser": 65534}), {}, "Succeeded", "65534\n"),
    "the pod's user and group": (
        shell("id"),
        {"securityContext": {"runAsUser": 1001, "runAsGroup": 2002}},
        "Succeeded",
        "uid=1001 gid=2002",
    ),
    "a safe sysctl": (
        {"image": BUSYBOX, "command": ["/bin/sysctl", "kernel.shm_rmid_forced"]},
        {"securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}},
        "Succeeded",
        "kernel.shm_rmid_forced = 1\n",
    ),
    "an unsafe sysctl": (
        shell("true"),
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "10000"}]}},
        "Failed",
        "",
    ),
    "a sub-path from a variable": (
        shell(
            "test -d /all/here && echo yes",
            env=env("D", "here"),
            volumeMounts=[
                *on_work("/part", subPathExpr="$(D)"),
                *on_work("/all"),
            ],
        ),
        {"volumes": WORK},
        "Succeeded",
        "yes\n",
    ),
    "a sub-path that leads out": (
        shell("true", env=env("D", ".."), volumeMounts=on_work("/part", subPathExpr="$(D)")),
        {"volumes": WORK},
        "Pending",
        "",
    ),
    "a sub-path that is absolute": (
        shell("true", env=env("D", "/tmp"), volumeMounts=on_work("/part", subPathExpr="$(D)")),
        {"volumes": WORK},
        "Pending",
        "",
    ),
    "entries of the hosts file": (
        agnhost("etc-hosts"),
        {"hostAliases": [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]},
        "Succeeded",
        "# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n",
    ),
    "a ConfigMap with a mode, not as root": (
        agnhost("mounttest", "--file_content=/v/data-1", "--file_mode=/v/data-1", volumeMounts=ON_V),
        {"volumes": from_map("texts", defaultMode=0o400), "securityContext": {"runAsUser": 1000, "fsGroup": 1001}},
        "Succeeded",
        SHOWN.format("-r--r-----"),
    ),
    "a key of a ConfigMap elsewhere": (
        agnhost("mounttest", "--file_content=/v/path/to/it", volumeMounts=ON_V),
        {"volumes": from_map("texts", items=[{"key": "data-1", "path": "path/to/it"}])},
        "Succeeded",
        'content of file "/v/path/to/it": value-1\n',
    ),
    "a set-uid program": (
        {"image": "registry.k8s.io/e2e-test-images/nonewprivs:1.4", "securityContext": {"runAsUser": 1000}},
        {},
        "Succeeded",
        "Effective uid: 0\n",
    ),
    "a set-uid program without new privileges": (
        {
            "image": "registry.k8s.io/e2e-test-images/nonewprivs:1.4",
            "securityContext": {"runAsUser": 1000, "allowPrivilegeEscalation": False},
        },
        {},
        "Succeeded",
        "Effective uid: 1000\n",
    ),
    "memory as a volume": (
        agnhost("mounttest", "--fs_type=/v", "--file_perm=/v", volumeMounts=ON_V),
        {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]},
        "Succeeded",
        'mount type of "/v": tmpfs\nperms of file "/v": -rwxrwxrwx\n',
    ),
}
REASONS = {
    "an unsafe sysctl": "SysctlForbidden",
    "a sub-path that leads out": "CreateContainerConfigError",
    "a sub-path that is absolute": "CreateContainerConfigError",
}


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=1, addons=False))
    made.run(3 * S)
    metadata = {"name": "texts", "namespace": "default"}
    made.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"data-1": "value-1"}})
    for name, (container, spec, _, _) in PODS.items():
        whole = {"restartPolicy": "Never", "containers": [{"name": "c", **container}], **spec}
        metadata = {"name": name.replace(" ", "-").replace("'", "").replace(",", "").lower(), "namespace": "default"}
        made.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole})
    made.run(60 * S)
    return made


@pytest.mark.parametrize("name", PODS)
def test_a_pod_of_the_suite(cluster: Cluster, name: str) -> None:
    _, _, phase, text = PODS[name]
    key = name.replace(" ", "-").replace("'", "").replace(",", "").lower()
    status = cluster.get("pod", key)["status"]
    assert status["phase"] == phase, status
    if name in REASONS:
        containers = status.get("containerStatuses") or [{"state": {"waiting": {"reason": status.get("reason")}}}]
        assert containers[0]["state"]["waiting"]["reason"] == REASONS[name]
        return
    body = cluster.request(Request("GET", f"/api/v1/namespaces/default/pods/{key}/log", user=ADMIN)).body
    assert text in (body if isinstance(body, bytes) else body.read()).decode()


def test_a_container_reads_its_own_control_group(cluster: Cluster) -> None:
    limited = {"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "250m", "memory": "64Mi"}}}
    text = "cd /sys/fs/cgroup; mount -t cgroup2; head -n 1 cpu.max cpu.weight memory.max pids.max; echo 1 > cpu.max"
    for name, more in (("limited", limited), ("free", {})):
        container = {"name": "c", **shell(f"{text}; sleep 600", **more)}
        spec = {"containers": [container]}
        metadata = {"name": f"cgroup-{name}", "namespace": "default"}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.run(10 * S)
    parts = "==> cpu.max <==\n{} 100000\n\n==> cpu.weight <==\n{}\n\n==> memory.max <==\n{}\n\n==> pids.max <==\n4915\n"
    mounted = "cgroup on /sys/fs/cgroup type cgroup2 (ro,relatime)\n"
    refused = "sh: can't create cpu.max: Read-only file system\n"
    assert logs_of(cluster, "cgroup-limited") == mounted + parts.format(25000, 17, 67108864) + refused
    assert logs_of(cluster, "cgroup-free") == mounted + parts.format("max", 1, "max") + refused


def test_a_resize_is_in_the_control_group(cluster: Cluster) -> None:
    text = "sleep 20; head -n 1 /sys/fs/cgroup/cpu.max; head -n 1 /sys/fs/cgroup/memory.max; sleep 600"
    figures = {"cpu": "100m", "memory": "64Mi"}
    container = {"name": "c", **shell(text, resources={"requests": figures, "limits": figures})}
    metadata = {"name": "resized", "namespace": "default"}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    cluster.run(5 * S)
    more = {"cpu": "200m", "memory": "128Mi"}
    patch = {"spec": {"containers": [{"name": "c", "resources": {"requests": more, "limits": more}}]}}
    path = "/api/v1/namespaces/default/pods/resized/resize"
    kind = "application/strategic-merge-patch+json"
    assert cluster.request(Request("PATCH", path, {}, orjson.dumps(patch), kind, user=ADMIN)).code == 200
    cluster.run(30 * S)
    assert logs_of(cluster, "resized") == "20000 100000\n134217728\n"


def logs_of(cluster: Cluster, name: str) -> str:
    body = cluster.request(Request("GET", f"/api/v1/namespaces/default/pods/{name}/log", user=ADMIN)).body
    return (body if isinstance(body, bytes) else body.read()).decode()


def test_an_image_is_mounted_as_a_volume(cluster: Cluster) -> None:
    text = "grep -c kitten /volume/data.json; head -n 1 /volume/etc/os-release; echo x > /volume/x; ls /part"
    mounts = [{"name": "v", "mountPath": "/volume"}, {"name": "v", "mountPath": "/part", "subPath": "etc"}]
    for name, image, policy in (("pictured", "kitten:1.8", ""), ("unpictured", "nautilus:1.7", "Never")):
        source = {"reference": f"registry.k8s.io/e2e-test-images/{image}", **({"pullPolicy": policy} if policy else {})}
        volume = {"name": "v", "image": source}
        spec = {"containers": [{"name": "c", **shell(text, volumeMounts=mounts)}], "restartPolicy": "Never"}
        metadata = {"name": name, "namespace": "default"}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "volumes": [volume]}})
    cluster.run(20 * S)
    said = logs_of(cluster, "pictured")
    assert said.startswith('1\nNAME="Alpine Linux"\nsh: can\'t create /volume/x: Read-only file system\n')
    assert "os-release\n" in said
    waiting = cluster.get("pod", "unpictured")["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ErrImageNeverPull"
