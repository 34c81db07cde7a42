"""``kubectl run``, ``expose`` and ``autoscale``. Source: k8s.io/kubectl/pkg/cmd/{run,expose,autoscale}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.creating import made
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.generators import assignments
from seatrial.scenarios.kubectl.naming import meta
from seatrial.sim.machinery.patch import json_patch, merge_patch
from seatrial.sim.machinery.schema import type_of_kind
from seatrial.sim.machinery.strategic import strategic_merge

Object = Mapping[str, Any]
POLICIES = ("Always", "OnFailure", "Never")


def run(call: Call) -> int:
    match call.path:
        case "run":
            return run_pod(call)
        case "expose":
            return expose(call)
    return autoscale(call)


def pairs(text: str) -> dict[str, str]:
    """Labels or a selector as flags give them. Raises Failure."""
    return assignments(text, "unexpected label spec: {}")


def overridden(call: Call, obj: dict[str, Any]) -> dict[str, Any]:
    """``--overrides``."""
    text = call.flags["overrides"]
    if not text:
        return obj
    try:
        patch = json.loads(text)
    except ValueError as problem:
        raise Failure(f"invalid --overrides: {problem}") from None
    kind = call.flags.get("override-type") or "merge"
    if kind == "json":
        return dict(json_patch(obj, patch))
    if kind == "strategic":
        group, _, version = obj["apiVersion"].rpartition("/")
        return strategic_merge(obj, patch, type_of_kind(group, version, obj["kind"]))
    return dict(merge_patch(obj, patch))


def pod_of(call: Call) -> dict[str, Any]:
    """The pod that ``run`` makes."""
    flags = call.flags
    name = call.own_args[0]
    container: dict[str, Any] = {"image": flags["image"], "name": name, "resources": {}}
    command = call.command_args or call.own_args[1:]
    if command:
        container["command" if flags["command"] else "args"] = command
    if flags["env"]:
        rows = []
        for text in flags["env"]:
            key, equals, value = text.partition("=")
            if not equals:
                raise Failure(f"invalid env: {text}")
            rows.append({"name": key, "value": value})
        container["env"] = rows
    if flags["port"]:
        container["ports"] = [{"containerPort": int(flags["port"])}]
    if flags["image-pull-policy"]:
        container["imagePullPolicy"] = flags["image-pull-policy"]
    if flags["stdin"]:
        container["stdin"] = True
        if (not flags["leave-stdin-open"] and flags["restart"] == "Never") or (
            flags["stdin"] and flags["restart"] == "Never"
        ):
            container["stdinOnce"] = True
    if flags["tty"]:
        container["tty"] = True
    if flags["privileged"]:
        container["securityContext"] = {"privileged": True}
    metadata = meta(call, name, labels=pairs(flags["labels"]) or {"run": name})
    if flags["annotations"]:
        metadata["annotations"] = dict(text.split("=", 1) for text in flags["annotations"])
    spec = {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": flags["restart"] or "Always"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}}
    return overridden(call, pod)


def run_pod(call: Call) -> int:
    flags = call.flags
    if not call.own_args:
        raise call.misused("NAME is required for run")
    if not flags["image"]:
        raise Failure("--image is required")
    if flags["restart"] not in POLICIES:
        raise call.misused(f"invalid restart policy: {flags['restart']}")
    if flags["rm"] and not (flags["attach"] or flags["stdin"]):
        raise call.misused("--rm should only be used for attached containers")
    if flags["tty"] and not flags["stdin"]:
        raise call.misused("-i/--stdin is required for containers with -t/--tty=true")
    pod = pod_of(call)
    attach = (flags["attach"] or flags["stdin"]) and call.dry_run == "none"
    if not attach:
        code = made(call, pod)
        if flags["expose"]:
            _expose_pod(call, pod)
        return code
    from seatrial.scenarios.kubectl import connecting

    return connecting.run_attached(call, pod)


def _expose_pod(call: Call, pod: Object) -> None:
    if not call.flags["port"]:
        raise call.misused("--port must be set when exposing a service")
    name = pod["metadata"]["name"]
    port = int(call.flags["port"])
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(call, name),
        "spec": {"ports": [{"port": port, "protocol": "TCP", "targetPort": port}],
                 "selector": pod["metadata"]["labels"]},
        "status": {"loadBalancer": {}},
    }  # fmt: skip
    made(call, service)


# expose


def expose(call: Call) -> int:
    found = wanted(call, call.args)
    targets = list(fetched(call, found, found.problems))
    if found.problems:
        raise found.problems[0]
    for target in targets:
        service = service_of(call, target)
        made(call, overridden(call, service), verb="exposed")
    return 0


SCALED = {"ReplicationController", "Service", "Pod", "Deployment", "ReplicaSet"}


def service_of(call: Call, target: Target) -> dict[str, Any]:
    flags, obj = call.flags, target.object
    kind = obj["kind"]
    if kind not in SCALED:
        raise Failure(f"cannot expose a {kind}.{target.kind.group}" if target.kind.group else f"cannot expose a {kind}")
    chosen = pairs(flags["selector"]) if flags["selector"] else _selector(obj)
    ports = _ports(call, obj)
    name = flags["name"] or target.name[:63]
    labels = pairs(flags["labels"]) if flags["labels"] else obj["metadata"].get("labels")
    metadata = meta(call, name)
    if labels:
        metadata["labels"] = labels
    spec: dict[str, Any] = {"ports": ports, "selector": chosen}
    if flags["type"]:
        spec["type"] = flags["type"]
    if flags["cluster-ip"]:
        spec["clusterIP"] = flags["cluster-ip"]
    if flags["external-ip"]:
        spec["externalIPs"] = [flags["external-ip"]]
    if flags["load-balancer-ip"]:
        spec["loadBalancerIP"] = flags["load-balancer-ip"]
    if flags["session-affinity"]:
        spec["sessionAffinity"] = flags["session-affinity"]
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}


def _selector(obj: Object) -> dict[str, str]:
    kind = obj["kind"]
    if kind == "Pod":
        labels = obj["metadata"].get("labels")
        if not labels:
            raise Failure("the pod has no labels and cannot be exposed")
        return dict(labels)
    held = obj["spec"].get("selector") or {}
    if kind in ("Service", "ReplicationController"):
        if not held:
            raise Failure(f"the {kind.lower()} has no pod selector set")
        return dict(held)
    if held.get("matchExpressions"):
        raise Failure(
            "couldn't convert expressions - \"" + str(held["matchExpressions"]) + '" to map-based selector format'
        )
    if not held.get("matchLabels"):
        raise Failure("invalid deployment: no selectors, therefore cannot be exposed")
    return dict(held["matchLabels"])


def _ports(call: Call, obj: Object) -> list[dict[str, Any]]:
    flags = call.flags
    given = flags["port"].split(",") if flags["port"] else []
    protocols: dict[str, str] = {}
    spec = obj["spec"] if obj["kind"] in ("Pod", "Service") else obj["spec"]["template"]["spec"]
    held = []
    if obj["kind"] == "Service":
        held = [(str(each["port"]), each.get("protocol", "TCP")) for each in spec.get("ports") or ()]
    else:
        for container in spec.get("containers") or ():
            held += [(str(each["containerPort"]), each.get("protocol", "TCP")) for each in container.get("ports") or ()]
    protocols = {port: protocol for port, protocol in held if protocol != "TCP"}
    if not given:
        if not held:
            raise Failure("couldn't find port via --port flag or introspection")
        given = list(dict.fromkeys(port for port, _ in held))
    rows: list[dict[str, Any]] = []
    for position, one in enumerate(given, start=1):
        row: dict[str, Any] = {"port": int(one), "protocol": flags["protocol"] or protocols.get(one, "TCP")}
        target = flags["target-port"]
        row["targetPort"] = (int(target) if target.isdigit() else target) if target else int(one)
        if len(given) > 1:
            row = {"name": f"port-{position}", **row}
        rows.append(row)
    return rows


# autoscale


def autoscale(call: Call) -> int:
    flags = call.flags
    if flags["max"] < 1:
        raise Failure(f"--max=MAXPODS is required and must be at least 1, max: {flags['max']}")
    if flags["max"] < flags["min"]:
        raise Failure(
            f"--max=MAXPODS must be larger or equal to --min=MINPODS, max: {flags['max']}, min: {flags['min']}"
        )
    found = wanted(call, call.args)
    targets = list(fetched(call, found, found.problems))
    if found.problems:
        raise found.problems[0]
    for target in targets:
        if "scale" not in target.kind.subresources:
            raise Failure(f"cannot autoscale a {target.kind.kind}: no scale subresource")
        made(call, autoscaler(call, target), verb="autoscaled")
    if not targets:
        raise Failure("no objects passed to autoscale")
    return 0


def autoscaler(call: Call, target: Target) -> dict[str, Any]:
    flags = call.flags
    metrics = []
    cpu, memory = flags["cpu"], flags["memory"]
    if flags["cpu-percent"] >= 0:
        if cpu:
            raise Failure("--cpu-percent and --cpu are mutually exclusive")
        cpu = f"{flags['cpu-percent']}%"
    for name, text in (("cpu", cpu), ("memory", memory)):
        if text:
            metrics.append({"resource": {"name": name, "target": _target(name, text)}, "type": "Resource"})
    spec: dict[str, Any] = {"maxReplicas": flags["max"]}
    if metrics:
        spec["metrics"] = metrics
    if flags["min"] > 0:
        spec["minReplicas"] = flags["min"]
    spec["scaleTargetRef"] = {"apiVersion": target.kind.api_version, "kind": target.kind.kind, "name": target.name}
    metadata = meta(call, flags["name"] or target.name)
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec,
            "status": {"currentMetrics": None, "desiredReplicas": 0}}  # fmt: skip


def _target(name: str, text: str) -> dict[str, Any]:
    if text.endswith("%"):
        if not text[:-1].isdigit():
            raise Failure(f"invalid percentage value: {text}")
        return {"averageUtilization": int(text[:-1]), "type": "Utilization"}
    return {"averageValue": text, "type": "AverageValue"}
