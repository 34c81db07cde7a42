"""Upstream's own table tests of the scheduler plug-ins, through the plug-ins that decide in a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import yaml

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.decide import Framework
from seatrial.sim.scheduler.framework import SUCCESS, Plugin, Rejected, Status
from seatrial.sim.scheduler.plan import Plan
from seatrial.sim.scheduler.plugins.imagelocality import normalized_image_name
from seatrial.sim.scheduler.plugins.noderesources import balance
from seatrial.sim.scheduler.podinfo import PREFERRED, REQUIRED, Intern, PodInfo, amount
from seatrial.sim.scheduler.preemption import Candidate, choose, dry_run, search
from seatrial.sim.scheduler.registry import PLUGINS, default_profile
from tests.conformance.cases import Fields, nothing_idle

OWN = Path(__file__).parent.parent / "data" / "scheduler_cases.yaml"
Object = Mapping[str, Any]

OWN_FIRST = {
    "node(s) didn't satisfy existing pods anti-affinity rules": "node(s) didn't match pod anti-affinity rules",
}
TODAY: Mapping[str, Mapping[str, str]] = {"symmetry b1": OWN_FIRST, "symmetry b2": OWN_FIRST}
"""Cases from a time when other pods' anti-affinity was looked at before the pod's own: the reason v1.37 gives."""

INSIDE = frozenset({"insufficient", "prefilter_node_names", "reasons_old_wording"})
"""What upstream's functions hand to each other, which nobody outside sees, and words that v1.37 says no more."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    other = metafunc.config.getoption("--cases", default=None)
    files = [OWN, *(sorted(Path(other).glob("*scheduler_cases*.yaml")) if other else [])]
    cases = [case for file in files for case in yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["cases"]]
    metafunc.parametrize("case", cases, ids=[f"{case['plugin']}: {case['name']}" for case in cases])


def test_case(case: Object) -> None:
    expect = Fields({key: value for key, value in case["expect"].items() if key not in INSIDE})
    RUNNERS[case["kind"]]({**case, "expect": expect})
    nothing_idle(list(expect.unread("expect")))


# what a case means in objects


def make_pod(given: Object, name: str = "pod") -> dict[str, Any]:
    """A pod in wire form from a case's short form."""
    name, namespace = given.get("name") or name, given.get("namespace") or "default"
    meta: dict[str, Any] = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}"}
    meta["labels"] = given.get("labels") or {}
    if given.get("terminating"):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    containers = given.get("containers")
    if containers is None:
        containers = [{"requests": given["requests"]}] if "requests" in given else []
    spec: dict[str, Any] = {"containers": [_container(c) for c in containers]}
    if given.get("ports"):
        spec["containers"] = [{"ports": given["ports"]}]
    spec["initContainers"] = [_container(c) for c in given.get("initContainers") or ()]
    for key in ("overhead", "resources", "tolerations", "nodeSelector", "nodeName", "priority", "preemptionPolicy"):
        if given.get(key):
            spec[key] = given[key]
    if given.get("topologySpreadConstraints"):
        spec["topologySpreadConstraints"] = given["topologySpreadConstraints"]
    spec["affinity"] = _affinity(given)
    if given.get("pvcs"):
        spec["volumes"] = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in given["pvcs"]]
    status = {"startTime": given["startTime"]} if given.get("startTime") else {}
    return {"metadata": meta, "spec": spec, "status": status}


def _container(given: Object) -> dict[str, Any]:
    container = {key: value for key, value in given.items() if key != "requests"}
    return {**container, "resources": {"requests": given.get("requests") or {}}}


def _affinity(given: Object) -> dict[str, Any]:
    affinity: dict[str, Any] = {}
    node = _node_affinity({key: given[name] for key, name in NODE_AFFINITY.items() if given.get(name) is not None})
    if node:
        affinity["nodeAffinity"] = node
    for kind, required, preferred in POD_AFFINITY:
        rules: dict[str, Any] = {}
        if given.get(required):
            rules[REQUIRED] = given[required]
        if given.get(preferred):
            rules[PREFERRED] = [_weighted(term) for term in given[preferred]]
        if rules:
            affinity[kind] = rules
    return affinity


NODE_AFFINITY = {"required": "requiredNodeAffinity", "preferred": "preferredNodeAffinity"}
POD_AFFINITY = (
    ("podAffinity", "requiredPodAffinity", "preferredPodAffinity"),
    ("podAntiAffinity", "requiredPodAntiAffinity", "preferredPodAntiAffinity"),
)


def _weighted(term: Object) -> dict[str, Any]:
    return {"weight": term["weight"], "podAffinityTerm": {k: v for k, v in term.items() if k != "weight"}}


def _node_affinity(given: Object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "required" in given:
        found[REQUIRED] = given["required"]
    if "preferred" in given:
        found[PREFERRED] = [
            {"weight": t["weight"], "preference": {k: v for k, v in t.items() if k != "weight"}}
            for t in given["preferred"]
        ]
    return found


def make_node(given: Object) -> dict[str, Any]:
    """A node in wire form from a case's short form."""
    status: dict[str, Any] = {"allocatable": {"pods": "110", **(given.get("allocatable") or {})}}
    if "images" in given:
        status["images"] = given["images"]
    spec = {key: given[key] for key in ("taints", "unschedulable") if key in given}
    if "taints" in spec:
        spec["taints"] = [
            {"key": "k", "effect": "NoSchedule"} if "note" in taint else taint for taint in spec["taints"]
        ]
    return {
        "metadata": {"name": given.get("name") or "node", "labels": given.get("labels") or {}},
        "spec": spec,
        "status": status,
    }


class Scene:
    """A case's cluster, with one plug-in and the pod it is to judge."""

    def __init__(self, case: Object) -> None:
        inputs = case["inputs"]
        self.cache, self.intern = Cache(), Intern()
        nodes = list(inputs.get("nodes") or ([inputs["node"]] if "node" in inputs else [{"name": "node"}]))
        self.feasible = [given.get("name") or "node" for given in nodes]
        for given in (*nodes, *(inputs.get("infeasible_nodes") or ())):
            self.cache.set_node(make_node(given))
        _objects(self.cache, inputs)
        self.cache.refresh()
        self.place(inputs, nodes)
        plugin_args = dict(inputs.get("args") or {})
        if "addedAffinity" in plugin_args:
            plugin_args["addedAffinity"] = _node_affinity(plugin_args["addedAffinity"])
        self.args = _strategy(plugin_args)
        self.pod = self.intern.info(_incoming(inputs))
        self.plugin: Plugin | None = None
        if case["plugin"] in PLUGINS:
            self.plugin = PLUGINS[case["plugin"]](self.args, self.cache)

    def place(self, inputs: Object, nodes: Sequence[Object]) -> None:
        for number, given in enumerate(inputs.get("existing_pods") or ()):
            info = self.intern.info(make_pod(given, f"existing-{number}"), placed=True)
            self.cache.add_pod(info, given.get("nodeName") or nodes[0].get("name") or "node")
        for node in nodes:
            there = list(node.get("pods") or ())
            if node.get("used_ports"):
                there.append({"ports": node["used_ports"]})
            for number, given in enumerate(there):
                info = self.intern.info(make_pod(given, f"there-{number}"), placed=True)
                self.cache.add_pod(info, node.get("name") or "node")
        for number, volumes in enumerate(inputs.get("existing_pods_volumes") or ()):
            claims = [_claim(self.cache, volume, f"existing-{number}-{i}") for i, volume in enumerate(volumes)]
            pod = make_pod({"pvcs": claims}, f"existing-{number}")
            self.cache.add_pod(self.intern.info(pod, placed=True), "node")

    def verdict(self, node: str) -> Status:
        """The plug-in's answer for a node, PreFilter's included."""
        assert self.plugin is not None
        try:
            judge = self.plugin.filter(self.pod.traits)
        except Rejected as rejected:
            return rejected.status
        if judge is None:
            return SUCCESS
        row = self.cache.row_of[node]
        verdict = int(judge.column()[row])
        assert judge.one(row) == verdict
        return judge.status(verdict) if verdict else SUCCESS


def _incoming(inputs: Object) -> dict[str, Any]:
    given = inputs.get("pod") or {}
    if isinstance(given, str):
        namespace, name = given.split("/")
        given = {"namespace": namespace, "name": name}
    given = dict(given)
    if "pod_nodeSelector" in inputs:
        given["nodeSelector"] = inputs["pod_nodeSelector"]
    if "pod_requiredNodeAffinity" in inputs:
        expressions = [
            {"key": key, "operator": "In", "values": values}
            for key, values in inputs["pod_requiredNodeAffinity"].items()
        ]
        given["requiredNodeAffinity"] = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    pod = make_pod(given)
    volumes = []
    for number, volume in enumerate(inputs.get("new_pod_volumes") or ()):
        name = f"new-{number}"
        if "ephemeral" in volume:
            volumes.append({"name": volume["ephemeral"], "ephemeral": {}})
        elif "driver" in volume or "claim" in volume:
            volumes.append({"name": name, "persistentVolumeClaim": {"claimName": volume.get("claim") or name}})
        else:
            volumes.append({"name": name, **volume})
    if volumes:
        pod["spec"]["volumes"] = volumes
    return pod


def _strategy(args: dict[str, Any]) -> dict[str, Any]:
    strategy = args.get("scoringStrategy")
    if strategy and "shape" in strategy:
        args["scoringStrategy"] = {**strategy, "requestedToCapacityRatio": {"shape": strategy["shape"]}}
    return args


# volumes


def _objects(cache: Cache, inputs: Object) -> None:
    for name in ("default", "ns", "NS1"):
        cache.set_object("namespaces", {"metadata": {"name": name, "labels": {}}})
    for number, service in enumerate(inputs.get("services") or ()):
        meta = {"name": f"service-{number}", "namespace": "default"}
        cache.set_object("services", {"metadata": meta, "spec": {"selector": service["selector"]}})
    for mode in ("Immediate", "WaitForFirstConsumer"):
        storage_class = {"metadata": {"name": mode}, "provisioner": "kubernetes.io/no-provisioner"}
        cache.set_object("storageclasses.storage.k8s.io", {**storage_class, "volumeBindingMode": mode})
    for given in inputs.get("pvcs") or ():
        cache.set_object("persistentvolumeclaims", _bound_claim(given))
    for given in inputs.get("pvs") or ():
        cache.set_object("persistentvolumes", _volume(given))
    if "driver" in inputs:
        driver = {"name": inputs["driver"], "allocatable": {"count": inputs["limit"]}}
        cache.set_object("csinodes.storage.k8s.io", {"metadata": {"name": "node"}, "spec": {"drivers": [driver]}})
        storage_class = {"metadata": {"name": "csi"}, "provisioner": inputs["driver"]}
        cache.set_object("storageclasses.storage.k8s.io", storage_class)
    for number, volume in enumerate(inputs.get("new_pod_volumes") or ()):
        if "driver" in volume:
            _claim(cache, volume, f"new-{number}")
    if "claim" in inputs:
        meta = {"name": inputs["claim"]["name"], "namespace": "test"}
        cache.set_object("persistentvolumeclaims", {"metadata": meta, "spec": {}})


def _bound_claim(given: Object) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": given["name"], "namespace": "default"}
    spec: dict[str, Any] = {"storageClassName": given["bindingMode"]}
    if given.get("boundTo"):
        meta["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
        spec["volumeName"] = given["boundTo"]
    return {"metadata": meta, "spec": spec, "status": {"phase": given.get("phase") or "Pending"}}


def _volume(given: Object) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if given.get("nodeAffinity"):
        expressions = [{"key": k, "operator": "In", "values": v} for k, v in given["nodeAffinity"].items()]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": expressions}]}}
    return {"metadata": {"name": given["name"]}, "spec": spec}


def _claim(cache: Cache, volume: Object, name: str) -> str:
    """A claim for a volume of a CSI driver: with its volume, pending, or with neither volume nor class."""
    claim = volume.get("claim") or name
    meta = {"name": claim, "namespace": "default"}
    spec: dict[str, Any] = {"storageClassName": "csi" if "driver" in volume else "no-such-class"}
    if "volume" in volume:
        spec["volumeName"] = volume["volume"]
        csi = {"driver": volume["driver"], "volumeHandle": volume["volume"]}
        cache.set_object("persistentvolumes", {"metadata": {"name": volume["volume"]}, "spec": {"csi": csi}})
    elif claim == "missing-pv":
        spec["volumeName"] = "no-such-volume"
    cache.set_object("persistentvolumeclaims", {"metadata": meta, "spec": spec})
    return str(claim)


# the kinds of cases


def check_filter(case: Object) -> None:
    scene, expect = Scene(case), case["expect"]
    if expect.get("prefilter") == {"code": "Skip"}:
        assert scene.plugin is not None and scene.plugin.filter(scene.pod.traits) is None
        assert expect.get("code", "Success") == "Success"
    elif "prefilter" in expect:
        _same_status(scene.verdict(scene.feasible[0]), expect["prefilter"])
    elif "per_node" in expect:
        for name, expected in expect["per_node"].items():
            _same_status(scene.verdict(name), expected, TODAY.get(case["name"]))
    elif "codes" in expect:
        assert {name: str(scene.verdict(name).code) for name in expect["codes"]} == expect["codes"]
    else:
        _same_status(scene.verdict(scene.feasible[0]), expect)


def _same_status(status: Status, expected: Object, today: Mapping[str, str] | None = None) -> None:
    assert str(status.code) == expected["code"]
    if "reasons" in expected:
        assert list(status.reasons) == [(today or {}).get(reason, reason) for reason in expected["reasons"]]


def check_score(case: Object) -> None:
    scene, expect = Scene(case), case["expect"]
    assert scene.plugin is not None
    rows = np.array([scene.cache.row_of[name] for name in scene.feasible], dtype=np.intp)
    is_normalized = expect.get("normalized", False)
    if case["plugin"] == "NodeResourcesBalancedAllocation":
        assert not is_normalized and _balances(scene) == expect["scores"]
        return
    score = scene.plugin.score(scene.pod.traits)
    raw = None if score is None else score.column(rows)
    if raw is None or score is None:
        assert expect.get("code") == "Skip" or not any(expect["scores"].values())
        return
    values = score.normalized(rows, raw) if is_normalized else raw
    assert dict(zip(scene.feasible, values.tolist(), strict=True)) == expect["scores"]


def _balances(scene: Scene) -> dict[str, int]:
    """How even each node's use would be with the pod: what the score compares with how even it is without."""
    cache, found = scene.cache, {}
    names = [resource["name"] for resource in scene.args["resources"]]
    for info in cache.nodes:
        allocatable = info.node["status"]["allocatable"]
        pods = [*(pod.traits for pod in info.pods.values()), scene.pod.traits]
        considered = [n for n in names if n in ("cpu", "memory") or scene.pod.traits.requests.get(n)]
        need = [sum(traits.requests.get(name, 0) for traits in pods) for name in considered]
        have = [amount(name, allocatable.get(name, "0")) for name in considered]
        found[info.name] = balance(need, have)
    return found


def check_skips(case: Object) -> None:
    scene = Scene(case)
    assert scene.plugin is not None and case["expect"]["code"] == "Skip"
    compiled = scene.plugin.filter if case["kind"] == "prefilter" else scene.plugin.score
    assert compiled(scene.pod.traits) is None


def check_image_name(case: Object) -> None:
    assert normalized_image_name(case["inputs"]["image"]) == case["expect"]["normalized_name"]


def _preemption(case: Object) -> tuple[Plan, PodInfo]:
    scene = Scene(case)
    framework = Framework(default_profile(scene.cache), scene.cache)
    return framework.plan(scene.pod.traits), scene.pod


def check_victims(case: Object) -> None:
    plan, pod = _preemption(case)
    found = {}
    for row, info in enumerate(plan.cache.nodes):
        outcome = dry_run(plan, pod, row, [])
        if isinstance(outcome, Candidate):
            found[info.name] = sorted(victim.name for victim in outcome.victims)
    assert found == {name: sorted(victims) for name, victims in case["expect"]["candidates"].items()}


def check_choice(case: Object) -> None:
    plan, pod = _preemption(case)
    allowed = case["expect"]["node_any_of"]
    chosen = set()
    for seed in range(20):
        rng = Random(seed)
        potential = np.arange(len(plan.cache.nodes), dtype=np.intp)
        memory, candidates, _ = search(plan, pod, potential, rng, {})
        chosen.add(choose(memory, candidates, rng).node)
    assert chosen == set(allowed)


RUNNERS: Mapping[str, Callable[[Object], None]] = {
    "filter": check_filter,
    "score": check_score,
    "prefilter": check_skips,
    "prescore": check_skips,
    "normalize_image_name": check_image_name,
    "select_victims": check_victims,
    "pick_node": check_choice,
}
