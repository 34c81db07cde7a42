"""hostPath volumes: what a pod sees of its machine's disk is what a shell on the machine sees."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

NODE = "w1-k8s"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=1), seed=3)
    made.settle()
    return made


def pod(name: str, script: str, *paths: str, kind: str = "", **mount: Any) -> dict[str, Any]:
    """A pod that runs a script with paths of the machine at /m0, /m1, ..."""
    at = range(len(paths))
    mounts = [{"name": f"v{i}", "mountPath": f"/m{i}", **mount} for i in at]
    volumes = [{"name": f"v{i}", "hostPath": {"path": paths[i], "type": kind}} for i in at]
    container = {"name": "c", "image": "busybox:1", "command": ["sh", "-c", script], "volumeMounts": mounts}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "volumes": volumes, "restartPolicy": "Never"},
    }


def logs(cluster: Cluster, name: str) -> str:
    body: bytes = cluster.request(Request("GET", f"/api/v1/namespaces/default/pods/{name}/log")).body
    return body.decode()


class TestOneTree:
    def test_what_a_pod_writes_is_on_the_machine(self, cluster: Cluster) -> None:
        cluster.apply(pod("a", "mkdir /m0/deep; echo hi > /m0/deep/f", "/data/of/pods"))
        cluster.run(10 * S)
        assert cluster.ssh(NODE, "cat /data/of/pods/deep/f").stdout == "hi\n"

    def test_what_somebody_writes_on_the_machine_is_in_the_pod(self, cluster: Cluster) -> None:
        cluster.ssh(NODE, "mkdir /data; echo before > /data/f")
        cluster.apply(pod("a", "cat /m0/f; sleep 20; cat /m0/f /m0/g", "/data"))
        cluster.run(10 * S)
        cluster.ssh(NODE, "echo after > /data/f; echo new > /data/g")
        cluster.run(20 * S)
        assert logs(cluster, "a") == "before\nafter\nnew\n"

    def test_paths_within_each_other_are_one_tree(self, cluster: Cluster) -> None:
        cluster.apply(pod("a", "echo 1 > /m1/f; cat /m0/below/f; echo 2 > /m0/below/f; cat /m1/f", "/d", "/d/below"))
        cluster.apply(pod("b", "sleep 5; cat /m0/f", "/d/below"))
        cluster.run(20 * S)
        assert (logs(cluster, "a"), logs(cluster, "b")) == ("1\n2\n", "2\n")

    def test_a_file_of_the_machine(self, cluster: Cluster) -> None:
        cluster.apply(pod("a", "cat /m0; echo 1.2.3.4 more >> /m0", "/etc/hosts", kind="File"))
        cluster.run(10 * S)
        hosts = cluster.ssh(NODE, "cat /etc/hosts").stdout
        assert hosts == logs(cluster, "a") + "1.2.3.4 more\n"

    def test_logs_of_pods_are_where_collectors_look(self, cluster: Cluster) -> None:
        cluster.apply(pod("speaker", "echo something", "/tmp"))
        cluster.run(10 * S)
        cluster.apply(pod("a", "cat /m0/default_speaker_*/c/0.log", "/var/log/pods"))
        cluster.run(10 * S)
        assert logs(cluster, "a").endswith(" stdout F something\n")

    def test_a_manifest_that_a_pod_writes_becomes_a_static_pod(self, cluster: Cluster) -> None:
        text = "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: main, image: nginx}]}}"
        cluster.apply(pod("a", f"echo '{text}' > /m0/web.yaml", "/etc/kubernetes/manifests"))
        cluster.run(60 * S)
        assert cluster.get("pod", f"web-{NODE}")["status"]["phase"] == "Running"

    def test_read_only_is_read_only(self, cluster: Cluster) -> None:
        cluster.apply(pod("a", "echo x > /m0/f", "/data", readOnly=True))
        cluster.run(10 * S)
        assert "Read-only file system" in logs(cluster, "a")

    def test_a_part_of_it(self, cluster: Cluster) -> None:
        cluster.apply(pod("a", "echo x > /m0/f", "/data", subPath="one/two"))
        cluster.run(10 * S)
        assert cluster.ssh(NODE, "cat /data/one/two/f").stdout == "x\n"

    def test_an_exported_directory_is_the_servers(self, cluster: Cluster) -> None:
        address = cluster.get("node", "m-k8s")["status"]["addresses"][0]["address"]
        made = pod("a", "echo x > /m0/f", "/none")
        made["spec"]["volumes"] = [{"name": "v0", "nfs": {"server": address, "path": "/nfs_shared"}}]
        cluster.apply(made)
        cluster.run(10 * S)
        assert cluster.ssh("m-k8s", "cat /nfs_shared/f").stdout == "x\n"


class TestTypes:
    @pytest.mark.parametrize(
        ("kind", "path", "refused"),
        [
            ("Directory", "/etc", ""),
            ("Directory", "/nope", "directory"),
            ("Directory", "/etc/hosts", "directory"),
            ("File", "/etc/hosts", ""),
            ("File", "/etc", "file"),
            ("FileOrCreate", "/new", ""),
            ("DirectoryOrCreate", "/new/dir", ""),
            ("Socket", "/run/containerd/containerd.sock", ""),
            ("Socket", "/run/nope.sock", "socket file"),
            ("CharDevice", "/dev/null", ""),
            ("CharDevice", "/etc", "character device"),
            ("BlockDevice", "/dev/null", "block device"),
        ],
    )
    def test_a_path_has_to_be_of_its_type(self, cluster: Cluster, kind: str, path: str, refused: str) -> None:
        cluster.apply(pod("a", "true", path, kind=kind))
        cluster.run(20 * S)
        phase = cluster.get("pod", "a")["status"]["phase"]
        said = [e["message"] for e in cluster.list("events", "default") if e["reason"] == "FailedMount"]
        if not refused:
            assert (phase, said) == ("Succeeded", [])
            return
        assert phase == "Pending"
        assert (
            said[0]
            == f'MountVolume.SetUp failed for volume "v0" : hostPath type check failed: {path} is not a {refused}'
        )

    def test_what_is_made_is_there_although_nobody_looked(self, cluster: Cluster) -> None:
        cluster.apply(pod("a", "sleep 600", "/made/dir", kind="DirectoryOrCreate"))
        cluster.apply(pod("b", "sleep 600", "/made/file", kind="FileOrCreate"))
        cluster.run(10 * S)
        assert cluster.ssh(NODE, "stat -c %F /made/dir /made/file").stdout == "directory\nregular file\n"


def test_a_machine_whose_disk_nobody_looks_at_has_none() -> None:
    made = Cluster(ClusterSpec(nodes=2), seed=3)
    made.settle()
    made.apply(pod("a", "sleep 600", "/data", kind="DirectoryOrCreate"))
    made.run(10 * S)
    assert not any(machine.looked_at for machine in made.shells.machines.values())
