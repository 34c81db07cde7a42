"""What a node does when it runs short: whose turn it is, what is said, what is freed first, when it is over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.nodes.consumption import ContainerUse, PodUse, Space
from seatrial.sim.nodes.ranking import Standing, eviction_message, over_limit, turn
from seatrial.sim.nodes.thresholds import (
    DEFAULT_HARD,
    DISK,
    INODES,
    MEMORY,
    PIDS,
    Observation,
    amount_of,
    first_of,
    met,
    thresholds_of,
)

GI = 1024**3
MI = 1024**2


def standing(
    name: str, memory: int = 0, disk: int = 0, priority: int = 0, processes: int = 1, known: bool = True, **asked: str
) -> Standing:
    requests = {key.replace("_", "-"): value for key, value in asked.items()}
    container = {"name": "c", "resources": {"requests": requests}}
    pod = {"metadata": {"name": name}, "spec": {"containers": [container], "priority": priority}}
    use = ContainerUse("c", memory, Space(disk, disk // 1024), 0)
    return Standing(pod, PodUse((use,) if known else (), {}, processes, known))


@pytest.mark.parametrize(
    ("resource", "pods", "order"),
    [
        (
            DISK,
            [
                standing("asked", disk=5 * GI, ephemeral_storage="6Gi"),
                standing("important", disk=5 * GI, priority=10),
                standing("small", disk=1 * GI),
                standing("large", disk=2 * GI),
            ],
            ["large", "small", "important", "asked"],
        ),
        (MEMORY, [standing("a", memory=GI), standing("none", known=False)], ["none", "a"]),
        (MEMORY, [standing("a", memory=GI), standing("b", memory=2 * GI), standing("c", 4 * GI, priority=1)],
         ["b", "a", "c"]),
        (INODES, [standing("few", disk=MI), standing("many", disk=GI)], ["many", "few"]),
        (PIDS, [standing("a", processes=5), standing("b", processes=50), standing("c", processes=500, priority=9)],
         ["b", "a", "c"]),
    ],
)  # fmt: skip
def test_who_goes_first(resource: str, pods: list[Standing], order: list[str]) -> None:
    ranked = sorted(pods, key=lambda each: turn(each, resource))
    assert [each.pod["metadata"]["name"] for each in ranked] == order


def test_an_eviction_says_what_was_short_and_who_took_it() -> None:
    thresholds = thresholds_of({"nodefs.available": "10%"}, {}, {}, {})
    seen = {"nodefs.available": Observation(2 * GI, 50 * GI)}
    text = eviction_message(standing("a", disk=3 * GI), DISK, thresholds, seen)
    # A tenth is kept as a float32, as upstream keeps it.
    assert text == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 5368709200, available: 2Gi. "
        "Container c was using 3Gi, request is 0, has larger consumption of ephemeral-storage. "
    )


@pytest.mark.parametrize(
    ("hard", "soft", "grace", "reclaim", "problem"),
    [
        ({"disk.available": "1Gi"}, {}, {}, {}, "unsupported eviction signal disk.available"),
        ({}, {"memory.available": "1Gi"}, {}, {},
         "grace period must be specified for the soft eviction threshold memory.available"),
        ({"nodefs.available": "120%"}, {}, {}, {},
         "eviction percentage threshold nodefs.available must be <= 100%: 120%"),
        ({"memory.available": "0"}, {}, {}, {}, "eviction threshold memory.available must be positive: 0"),
    ],
)  # fmt: skip
def test_thresholds_that_are_wrong(hard: Any, soft: Any, grace: Any, reclaim: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace(".", r"\.")):
        thresholds_of(hard, soft, grace, reclaim)


def test_a_threshold_with_a_reclaim_is_met_until_the_signal_is_that_far_above() -> None:
    thresholds = thresholds_of(DEFAULT_HARD, {}, {}, {"memory.available": "100Mi"})[:1]
    seen = {"memory.available": Observation(150 * MI, 4 * GI)}
    assert not met(thresholds, seen)
    assert met(thresholds, seen, reclaim=True) == thresholds


def test_memory_comes_before_all_else() -> None:
    found = thresholds_of({"nodefs.available": "10%", "memory.available": "1Gi"}, {}, {}, {})
    assert first_of(found[::-1]).signal == "memory.available"
    assert amount_of("5%").of(1000) == 50


@pytest.mark.parametrize(
    ("spec", "use", "text"),
    [
        (
            {"containers": [], "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]},
            PodUse((), {"v": Space(2 * MI, 2)}),
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
        (
            {"containers": [{"name": "c", "resources": {"limits": {"ephemeral-storage": "1Mi"}}}]},
            PodUse((ContainerUse("c", 0, Space(MI, 1), 1),)),
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
        ),
        (
            {
                "containers": [
                    {"name": "c", "resources": {"limits": {"ephemeral-storage": "1Mi"}}},
                    {"name": "d", "resources": {"limits": {"ephemeral-storage": "9Mi"}}},
                ]
            },
            PodUse((ContainerUse("c", 0, Space(2 * MI, 1), 0),)),
            'Container c exceeded its local ephemeral storage limit "1Mi". ',
        ),
        (
            {"containers": [], "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi", "medium": "Memory"}}]},
            PodUse((), {"v": Space(2 * MI, 2)}),
            None,
        ),
    ],
)
def test_who_wrote_more_than_it_may(spec: dict[str, Any], use: PodUse, text: str | None) -> None:
    found = over_limit(Standing({"spec": spec}, use))
    assert (found[1] if found else None) == text


def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=1, addons=False), verify=True)
    made.run(3 * S)
    return made


def pod(name: str, script: str = "sleep 100000", resources: Any = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1", "command": ["sh", "-c", script], "resources": resources or {}}
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in spec.get("volumes", ())]
    container["volumeMounts"] = mounts
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def status(made: Cluster, name: str) -> dict[str, Any]:
    found = made.store.get("pods", "default", name)
    assert found is not None
    return dict(found["status"])


def condition(made: Cluster, kind: str) -> tuple[str, str]:
    found = made.store.get("nodes", "", "w1-k8s")
    assert found is not None
    each = next(each for each in found["status"]["conditions"] if each["type"] == kind)
    return each["status"], each["reason"]


def reasons(made: Cluster) -> set[str]:
    return {each["reason"] for each in made.store.list("events")}


WRITE = "dd if=/dev/zero of={} bs=1M count=3; sleep 100000"


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            pod("a", WRITE.format("/v/f"), volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]),
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
        (
            pod("a", WRITE.format("/f"), {"limits": {"ephemeral-storage": "2Mi"}}),
            "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ",
        ),
        (
            pod("a", "while :; do echo 0123456789abcdef0123456789abcdef; sleep 1; done",
                {"limits": {"ephemeral-storage": "500"}}),
            "Pod ephemeral local storage usage exceeds the total limit of containers 500. ",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_writes_too_much_is_evicted_whatever_the_node_has(made: dict[str, Any], text: str) -> None:
    seen = cluster()
    seen.apply(made)
    seen.apply(pod("b", WRITE.format("/f")))
    seen.run(45 * S)
    found = status(seen, "a")
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "Evicted", text)
    assert status(seen, "b")["phase"] == "Running"
    assert condition(seen, "DiskPressure") == ("False", "KubeletHasNoDiskPressure")


def test_unused_images_go_before_pods_do() -> None:
    made = cluster()
    made.apply(pod("a"))
    made.run(125 * S)
    images = made.nodes["w1-k8s"].runtime.images
    big = SimpleNamespace(reference="example.com/big:1", image_id="1", repo_digest="big@sha256:1", size_bytes=40 * GI)
    images.add(big, made.now - 200 * S)  # type: ignore[arg-type]
    made.run(30 * S)
    assert condition(made, "DiskPressure") == ("True", "KubeletHasDiskPressure")
    assert "example.com/big:1" not in {each.image.reference for each in images.all()}
    assert "registry.k8s.io/pause:3.10.1" in {each.image.reference for each in images.all()}
    assert status(made, "a")["phase"] == "Running"
    assert {"EvictionThresholdMet", "NodeHasDiskPressure"} <= reasons(made)
    made.run(330 * S)
    assert condition(made, "DiskPressure") == ("False", "KubeletHasNoDiskPressure")


@pytest.mark.parametrize(
    ("resource", "kind", "short"),
    [
        ("disk", "DiskPressure", "ephemeral-storage"),
        ("memory", "MemoryPressure", "memory"),
        ("pid", "PIDPressure", "pids"),
    ],
)
def test_a_machine_that_others_fill_evicts_one_pod_after_the_other(resource: str, kind: str, short: str) -> None:
    made = cluster()
    made.apply(pod("least"))
    made.apply(pod("asked", resources={"requests": {"memory": "64Mi", "ephemeral-storage": "64Mi"}}))
    made.apply(pod("critical", priorityClassName="system-node-critical"))
    made.run(20 * S)
    fault = made.add_fault({"kind": "node-pressure", "node": "w1-k8s", "resource": resource})
    made.run(60 * S)
    assert condition(made, kind)[0] == "True"
    for name in ("least", "asked"):
        found = status(made, name)
        assert (found["phase"], found["reason"]) == ("Failed", "Evicted")
        assert found["message"].startswith(f"The node was low on resource: {short}. Threshold quantity: ")
        target = next(each for each in found["conditions"] if each["type"] == "DisruptionTarget")
        assert target["reason"] == "TerminationByKubelet"
    assert status(made, "critical")["phase"] == "Running"
    made.apply(pod("late", nodeName="w1-k8s"))
    made.run(5 * S)
    found = status(made, "late")
    assert (found["phase"], found["reason"]) == ("Failed", "Evicted")
    assert found["message"] == f"Pod was rejected: The node had condition: [{kind}]. "
    made.remove_fault(fault)
    made.run(330 * S)
    assert condition(made, kind)[0] == "False"
    made.apply(pod("after", nodeName="w1-k8s"))
    made.run(15 * S)
    assert status(made, "after")["phase"] == "Running"


def test_a_node_short_of_memory_takes_pods_that_ask_for_some() -> None:
    made = cluster()
    made.add_fault({"kind": "node-pressure", "node": "w1-k8s", "resource": "memory"})
    made.run(21 * S)
    tolerates = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}
    made.apply(pod("asks", resources={"requests": {"memory": "64Mi"}}, nodeName="w1-k8s"))
    made.apply(pod("tolerates", tolerations=[tolerates], nodeName="w1-k8s"))
    made.apply(pod("neither", nodeName="w1-k8s"))
    made.run(1 * S)
    phases = [status(made, name)["phase"] for name in ("asks", "tolerates", "neither")]
    assert phases == ["Pending", "Pending", "Failed"]


def test_a_soft_threshold_waits_for_its_grace() -> None:
    made = cluster()
    kubelet = made.nodes["w1-k8s"].kubelet
    soft = {"eviction_soft": {"memory.available": "3900Mi"}, "eviction_soft_grace_us": {"memory.available": 60 * S}}
    kubelet.settings = kubelet.settings.model_copy(update=soft)
    made.nodes["w1-k8s"].eviction.note()
    made.apply(pod("a", resources={"requests": {"memory": "1Ki"}}))
    made.run(30 * S)
    assert condition(made, "MemoryPressure") == ("True", "KubeletHasInsufficientMemory")
    assert status(made, "a")["phase"] == "Running"
    made.run(60 * S)
    assert status(made, "a")["reason"] == "Evicted"
