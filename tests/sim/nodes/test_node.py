"""Machines and their kubelets in a whole cluster."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.kernel.clock import parse_stamp
from tests.sim.nodes.machines import cluster, condition, delete, node_of, phase, pod, pressure, reasons


class TestNodes:
    def test_a_node_registers_with_what_it_is(self) -> None:
        made = cluster()
        node = made.store.get("nodes", "", "w1-k8s")
        assert node is not None
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "w1-k8s"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.37.2"
        assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "192.168.1.101"}
        assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
        control = made.store.get("nodes", "", "m-k8s")
        assert control is not None
        assert control["spec"]["taints"] == [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
        assert control["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] == ""

    def test_workers_have_the_names_that_the_specification_gives_them(self) -> None:
        made = Cluster(ClusterSpec(nodes=2, node_names="node{n}.lab", addons=False))
        made.run(3 * S)
        assert [each["metadata"]["name"] for each in made.list("nodes")] == ["m-k8s", "node1.lab", "node2.lab"]

    def test_its_lease_is_renewed_every_ten_seconds(self) -> None:
        made = cluster()
        renewed = []
        for _ in range(6):
            lease = made.store.get("leases.coordination.k8s.io", "kube-node-lease", "w1-k8s")
            assert lease is not None
            renewed.append(parse_stamp(lease["spec"]["renewTime"]))
            made.run(10 * S)
        assert all(9.9 * S < b - a < 10.1 * S for a, b in pairwise(renewed))
        assert lease["spec"]["leaseDurationSeconds"] == 40

    def test_a_stopped_kubelet_leaves_its_containers_alone(self) -> None:
        made = cluster()
        made.apply(pod("a", "while :; do echo tick; sleep 1; done"))
        made.run(5 * S)
        node = node_of(made)
        uid = made.store.get("pods", "default", "a")["metadata"]["uid"]  # type: ignore[index]
        live = next(iter(node.runtime.live.values()))
        before = len(live.log.lines)
        node.stop()
        made.run(20 * S)
        assert len(live.log.lines) >= before + 19
        node.start()
        made.run(5 * S)
        assert node.runtime.record(uid).latest("c").attempt == 0
        assert phase(made, "a") == "Running"

    def test_only_a_change_of_what_the_node_says_of_being_ready_is_told_of(self) -> None:
        made = cluster()
        node = node_of(made)
        told = reasons(made, "w1-k8s").count("NodeReady")
        ready = condition(made, "w1-k8s", "Ready")
        node.stop()
        made.run(5 * S)
        node.start()
        made.run(30 * S)
        assert condition(made, "w1-k8s", "Ready")["lastTransitionTime"] == ready["lastTransitionTime"]
        assert reasons(made, "w1-k8s").count("NodeReady") == told, "nobody had noticed"
        made.topology.cut("w1-k8s", "m-k8s")
        made.run(70 * S)
        assert condition(made, "w1-k8s", "Ready")["status"] == "Unknown"
        made.topology.mend("w1-k8s", "m-k8s")
        healed = made.clock.now // S * S
        made.run(30 * S)
        ready = condition(made, "w1-k8s", "Ready")
        assert (ready["status"], parse_stamp(ready["lastTransitionTime"]) >= healed) == ("True", True)
        assert reasons(made, "w1-k8s").count("NodeReady") == told + 1, "the kubelet was there all the time"

    def test_pod_that_was_deleted_by_force_takes_no_room_of_the_next_one(self) -> None:
        made = cluster()
        port = {"containerPort": 7472, "hostPort": 7472}
        first = pod("a", "trap '' TERM; sleep 600", nodeName="w1-k8s", terminationGracePeriodSeconds=30)
        first["spec"]["containers"][0]["ports"] = [port]
        second = {**first, "metadata": {"name": "b", "namespace": "default"}}
        made.apply(first)
        made.run(5 * S)
        made.delete("pod", "a", options={"gracePeriodSeconds": 0})
        made.apply(second)
        made.run(1 * S)
        assert "NodePorts" not in reasons(made, "b")
        made.run(5 * S)
        assert phase(made, "b") == "Running"

    @pytest.mark.parametrize("script", ["touch /tmp/ok; sleep 600", "sleep 600"], ids=["ready", "not ready"])
    def test_what_was_known_of_a_container_stays_when_its_kubelet_starts_again(self, script: str) -> None:
        made = cluster()
        probe = {"exec": {"command": ["cat", "/tmp/ok"]}}
        manifest = pod("a", script)
        manifest["spec"]["containers"][0] |= {"readinessProbe": probe, "startupProbe": {"exec": {"command": ["true"]}}}
        made.apply(manifest)
        made.run(30 * S)
        before = made.store.get("pods", "default", "a")["status"]  # type: ignore[index]
        ready = {each["type"]: each["status"] for each in before["conditions"]}["Ready"]
        assert ready == ("True" if "touch" in script else "False")
        since = made.store.revision
        node_of(made).stop()
        made.run(S)
        node_of(made).start()
        made.run(20 * S)
        for change in made.store.watch("pods", since).read(1000):
            status = change.obj["status"]
            assert {each["type"]: each["status"] for each in status["conditions"]}["Ready"] == ready
            assert status["containerStatuses"][0]["started"]

    def test_a_machine_that_lost_power_starts_its_pods_again(self) -> None:
        made = cluster()
        made.apply(pod("a", "sleep 600"))
        made.run(5 * S)
        node = node_of(made)
        boot = made.store.get("nodes", "", "w1-k8s")["status"]["nodeInfo"]["bootID"]  # type: ignore[index]
        node.power_off()
        made.run(20 * S)
        switched_on = made.clock.stamp()
        node.power_on()
        made.run(30 * S)
        found = made.store.get("pods", "default", "a")
        assert found is not None
        status = found["status"]["containerStatuses"][0]
        assert status["restartCount"] == 1
        ended = status["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"], ended["finishedAt"]) == (255, "Unknown", switched_on)
        assert found["status"]["phase"] == "Running"
        assert "SandboxChanged" in reasons(made, "a")
        assert made.store.get("nodes", "", "w1-k8s")["status"]["nodeInfo"]["bootID"] != boot  # type: ignore[index]

    def test_a_container_that_was_made_but_not_started_when_power_went_is_made_again(self) -> None:
        made = cluster()
        body = pod("a", "sleep 600")
        body["spec"]["containers"][0]["image"] = "busybox"
        made.apply(body)
        node = node_of(made)
        uid = made.store.get("pods", "default", "a")["metadata"]["uid"]  # type: ignore[index]
        while "Created" not in reasons(made, "a"):
            made.run(S // 100)
        assert node.runtime.record(uid).latest("c").state == "created"
        node.power_off()
        fault = made.add_fault({"kind": "registry-down"})
        node.power_on()
        made.run(20 * S)
        assert {"SandboxChanged", "Failed"} <= set(reasons(made, "a"))
        made.remove_fault(fault)
        made.run(60 * S)
        assert phase(made, "a") == "Running"

    def test_an_unreachable_kubelet_is_refused_in_the_diallers_words(self) -> None:
        made = cluster()
        node_of(made).stop()
        with pytest.raises(OSError, match=r"^dial tcp 192\.168\.1\.101:10250: connect: connection refused$"):
            made.wiring.kubelets.dial("w1-k8s")
        made.topology.cut("w1-k8s", "lan")
        with pytest.raises(OSError, match="no route to host"):
            made.wiring.kubelets.dial("w1-k8s")


class TestPressure:
    def test_who_uses_more_than_asked_for_goes_first(self) -> None:
        made = cluster()
        made.apply(pod("modest", "sleep 100000"))
        greedy = pod("greedy", "")
        greedy["spec"]["containers"][0] = {
            "name": "c",
            "image": "polinux/stress",
            "command": ["stress", "--vm", "1", "--vm-bytes", "3700M"],
        }
        made.apply(greedy)
        made.run(40 * S)
        found = made.store.get("pods", "default", "greedy")
        assert found is not None
        assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "Evicted")
        assert found["status"]["message"].startswith(
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: "
        )
        assert found["status"]["message"].endswith("request is 0, has larger consumption of memory. ")
        conditions = {each["type"]: each for each in found["status"]["conditions"]}
        assert conditions["DisruptionTarget"]["reason"] == "TerminationByKubelet"
        assert phase(made, "modest") == "Running"
        assert pressure(made) == "True"
        made.run(320 * S)
        assert pressure(made) == "False"

    def test_images_that_nobody_uses_make_room(self) -> None:
        made = cluster()
        store = node_of(made).runtime.images
        big = 18 * 1024**3
        for number in range(2):
            store.add(
                SimpleNamespace(
                    reference=f"example.com/big:{number}",
                    image_id=f"{number}",
                    repo_digest="big@sha256:1",
                    size_bytes=big,
                ),
                made.now,
            )
            made.run(S)
        store.find("example.com/big:0", made.now)
        made.run(200 * S)
        names = {stored.image.reference for stored in store.all()}
        assert {"example.com/big:0", "example.com/big:1"} <= names
        store.add(
            SimpleNamespace(reference="example.com/big:2", image_id="2", repo_digest="big@sha256:1", size_bytes=big),
            made.now,
        )
        made.run(300 * S)
        names = {stored.image.reference for stored in store.all()}
        assert "example.com/big:1" not in names
        assert "example.com/big:2" in names

    def test_a_graceful_shutdown_ends_pods_first(self) -> None:
        made = cluster()
        node = node_of(made)
        node.kubelet.settings = node.kubelet.settings.model_copy(update={"graceful_shutdown_us": 10 * S})
        made.apply(pod("a", "trap 'exit 0' TERM; while :; do sleep 1; done"))
        made.run(5 * S)
        node.shut_down()
        made.run(8 * S)
        found = made.store.get("pods", "default", "a")
        assert found is not None
        assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "Terminated")
        assert found["status"]["message"] == "Pod was terminated in response to imminent node shutdown."
        made.run(5 * S)
        assert not node.running


class TestWhatIsMissing:
    """References to objects that are not there, or come later."""

    def test_a_container_starts_at_the_next_sync_once_its_reference_is_there(self) -> None:
        made = cluster()
        source = {"configMapKeyRef": {"name": "later", "key": "k"}}
        wanting = pod("a", "sleep 1000")
        wanting["spec"]["containers"][0]["env"] = [{"name": "X", "valueFrom": source}]
        made.apply(wanting)
        made.run(30 * S)
        assert phase(made, "a") == "Pending"
        metadata = {"name": "later", "namespace": "default"}
        made.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}})
        made.run(17 * S)  # backOffPeriod and half as much
        assert phase(made, "a") == "Running"

    def test_a_claim_that_is_not_there_is_complained_of(self) -> None:
        made = cluster()
        volume = {"name": "s", "persistentVolumeClaim": {"claimName": "never"}}
        made.apply(pod("a", "sleep 1000", volumes=[volume], nodeName="w1-k8s"))
        made.run(5 * S)
        (found,) = [e["message"] for e in made.store.list("events") if e["reason"] == "FailedMount"]
        assert found == (
            "Unable to attach or mount volumes: unmounted volumes=[s], unattached volumes=[], "
            "failed to process volumes=[s]: error processing PVC default/never: failed to fetch PVC from API server: "
            'persistentvolumeclaims "never" not found'
        )

    def test_a_volume_that_does_not_come_is_complained_of(self) -> None:
        made = cluster()
        volume = {"name": "s", "secret": {"secretName": "never"}}
        late: list[str] = []
        node_of(made).kubelet.volume_manager.on_timeout = lambda about, missing: late.append(missing)
        made.apply(pod("a", "sleep 1000", volumes=[volume]))
        made.run(130 * S)
        found = [e["message"] for e in made.store.list("events") if e["reason"] == "FailedMount"]
        assert set(found) == {'MountVolume.SetUp failed for volume "s" : secret "never" not found'}
        assert late == [
            "unmounted volumes=[s], unattached volumes=[], failed to process volumes=[]: context deadline exceeded"
        ], "of which there is no event"
        metadata = {"name": "never", "namespace": "default"}
        made.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        made.run(150 * S)
        assert phase(made, "a") == "Running"


class TestStaticPods:
    def test_a_manifest_runs_without_and_shows_with_an_api_server(self) -> None:
        made = cluster()
        node = node_of(made)
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": "kube-system"},
            "spec": {"containers": [{"name": "c", "image": "nginx:1.27", "imagePullPolicy": "IfNotPresent"}]},
        }
        node.kubelet.static_pods.put("web.yaml", manifest)
        made.run(15 * S)
        mirror = made.store.get("pods", "kube-system", "web-w1-k8s")
        assert mirror is not None
        assert mirror["status"]["phase"] == "Running"
        assert mirror["metadata"]["ownerReferences"][0]["name"] == "w1-k8s"
        assert "kubernetes.io/config.mirror" in mirror["metadata"]["annotations"]
        assert mirror["metadata"]["annotations"]["kubernetes.io/config.seen"] == "2026-01-01T00:00:03Z"
        delete(made, "web-w1-k8s", "kube-system")
        made.run(5 * S)
        again = made.store.get("pods", "kube-system", "web-w1-k8s")
        assert again is not None
        assert again["metadata"]["uid"] != mirror["metadata"]["uid"]
        assert (
            again["status"]["containerStatuses"][0]["containerID"]
            == (mirror["status"]["containerStatuses"][0]["containerID"])
        )
        node.kubelet.static_pods.remove("web.yaml")
        made.run(10 * S)
        assert made.store.get("pods", "kube-system", "web-w1-k8s") is None
        assert not node.kubelet.workers


def test_change_of_a_reference_during_the_first_sync_counts_no_syncs_before_it() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False), seed=3)
    cluster.settle()
    worker = next(iter(cluster.nodes["w1-k8s"].kubelet.workers.values()))
    worker._regular_us, before = 0, worker._syncs
    worker.refresh_due()
    assert worker._syncs == before, "it would count them from 1970 on"


def test_pod_that_waits_for_a_configmap_starts_at_the_next_retry_once_it_is_there() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False), seed=3)
    cluster.settle()
    container = {"name": "c", "image": "nginx", "envFrom": [{"configMapRef": {"name": "late"}}]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}})
    cluster.advance("30s")
    assert cluster.get("pod", "a")["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == CONFIG_ERROR
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"a": "b"}})
    cluster.advance("17s")
    assert cluster.get("pod", "a")["status"]["phase"] == "Running"


CONFIG_ERROR = "CreateContainerConfigError"


def test_mirror_of_a_manifest_that_was_wrong_for_a_while_shows_what_it_says_now() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False), seed=3)
    cluster.settle()
    static = cluster.nodes["m-k8s"].kubelet.static_pods
    file, right = next((file, pod) for file, pod in static.manifests.items() if "scheduler" in file)
    (container,) = right["spec"]["containers"]
    wrong = {**right, "spec": {**right["spec"], "containers": [{**container, "image": "registry.k8s.io/none:none"}]}}
    since = cluster.store.revision
    for manifest in (wrong, right):
        static.put(file, manifest)
        cluster.advance("1m")
    phases: dict[str, list[str]] = {}
    for change in cluster.store.watch("pods", since).read(1000):
        if change.obj["metadata"]["name"] == "kube-scheduler-m-k8s":
            phases.setdefault(change.obj["metadata"]["uid"], []).append(change.obj["status"]["phase"])
    told = [list(dict.fromkeys(each)) for each in phases.values()]
    assert told == [["Running"], ["Pending"], ["Pending", "Running"]], "each mirror tells of its own pod alone"
    mirror = cluster.get("pod", "kube-scheduler-m-k8s", "kube-system")
    ready = next(each["status"] for each in mirror["status"]["conditions"] if each["type"] == "Ready")
    assert (mirror["spec"]["containers"][0]["image"], ready) == (container["image"], "True")
