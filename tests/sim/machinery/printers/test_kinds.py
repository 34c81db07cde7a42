"""What the other kinds show, one row per rule."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import kinds, tables

NOW = parse_stamp("2026-01-01T01:00:00Z")
AGO = {10: "2026-01-01T00:59:50Z", 5: "2026-01-01T00:59:55Z"}
BUILTIN = kinds.builtin()


def utilization(current: int | None, target: int | None) -> tuple[Any, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": target}}}
    status = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}}
    return metric, status


def scaler(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    return {"spec": {"metrics": [pair[0] for pair in pairs]}, "status": {"currentMetrics": [pair[1] for pair in pairs]}}


def valued(source: str, field: str) -> tuple[Any, Any]:
    kind = source[0].upper() + source[1:]
    return {"type": kind, source: {"target": {field: "10"}}}, {"type": kind, source: {"current": {field: "7"}}}


def job(*conditions: str, **fields: Any) -> dict[str, Any]:
    listed = [{"type": each, "status": "True"} for each in conditions]
    return {"spec": {"template": {"spec": {}}, **fields.pop("spec", {})}, "status": {"conditions": listed, **fields}}


def balanced(*ingress: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"spec": {"type": "LoadBalancer", **spec}, "status": {"loadBalancer": {"ingress": list(ingress)}}}


def node(ready: str, labels: Any = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": labels or {}},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


CASES: list[tuple[str, str, dict[str, Any], Any]] = [
    ("services", "External-IP", {"spec": {"type": "ClusterIP"}}, "<none>"),
    (
        "services",
        "External-IP",
        {"spec": {"type": "NodePort", "externalIPs": ["1.1.1.1", "2.2.2.2"]}},
        "1.1.1.1,2.2.2.2",
    ),
    ("services", "External-IP", balanced(), "<pending>"),
    ("services", "External-IP", balanced({"ip": "9.9.9.9"}, {"hostname": "a.b"}), "9.9.9.9,a.b"),
    ("services", "External-IP", balanced({"ip": "9.9.9.9"}, externalIPs=["1.1.1.1"]), "9.9.9.9,1.1.1.1"),
    ("services", "External-IP", {"spec": {"type": "ExternalName", "externalName": "x.y"}}, "x.y"),
    ("services", "Port(s)", {"spec": {}}, "<none>"),
    (
        "services",
        "Port(s)",
        {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}]}},
        "80/TCP,53:30053/UDP",
    ),
    ("endpoints", "Endpoints", {}, "<none>"),
    ("endpoints", "Endpoints", {"subsets": [{"addresses": [{"ip": "1.1.1.1"}]}]}, "1.1.1.1"),
    (
        "endpoints",
        "Endpoints",
        {"subsets": [{"addresses": [{"ip": f"1.1.1.{n}"} for n in range(4)], "ports": [{"port": 80}]}]},
        "1.1.1.0:80,1.1.1.1:80,1.1.1.2:80 + 1 more...",
    ),
    ("endpointslices.discovery.k8s.io", "Ports", {}, "<unset>"),
    ("endpointslices.discovery.k8s.io", "Ports", {"ports": [{"port": 80}, {}]}, "80,*"),
    (
        "endpointslices.discovery.k8s.io",
        "Endpoints",
        {"endpoints": [{"addresses": [f"1.1.1.{n}"]} for n in range(5)]},
        "1.1.1.0,1.1.1.1,1.1.1.2 + 2 more...",
    ),
    ("ingresses.networking.k8s.io", "Hosts", {"spec": {"rules": [{"host": h} for h in "abcd"]}}, "a,b,c + 1 more..."),
    ("ingresses.networking.k8s.io", "Hosts", {"spec": {"rules": [{}]}}, "*"),
    ("ingresses.networking.k8s.io", "Ports", {"spec": {"tls": [{}]}}, "80, 443"),
    (
        "ingressclasses.networking.k8s.io",
        "Parameters",
        {"spec": {"parameters": {"apiGroup": "k8s.io", "kind": "X", "name": "n"}}},
        "X.k8s.io/n",
    ),
    (
        "ipaddresses.networking.k8s.io",
        "ParentRef",
        {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}}},
        "services/default/kubernetes",
    ),
    ("deployments.apps", "Ready", {"spec": {"replicas": 3}, "status": {"readyReplicas": 1}}, "1/3"),
    ("deployments.apps", "Up-to-date", {"spec": {"replicas": 3}}, 0),
    ("jobs.batch", "Status", job("Complete"), "Complete"),
    ("jobs.batch", "Status", job("Suspended"), "Suspended"),
    ("jobs.batch", "Status", job("FailureTarget"), "FailureTarget"),
    ("jobs.batch", "Status", {**job(), "metadata": {"deletionTimestamp": "x"}}, "Terminating"),
    ("jobs.batch", "Completions", job(succeeded=1, spec={"completions": 3}), "1/3"),
    ("jobs.batch", "Completions", job(spec={"parallelism": 2}), "0/1 of 2"),
    ("jobs.batch", "Duration", job(startTime=AGO[10], completionTime=AGO[5]), "5s"),
    ("jobs.batch", "Duration", job(startTime=AGO[10]), "10s"),
    ("cronjobs.batch", "Last Schedule", {"spec": {}, "status": {"lastScheduleTime": AGO[10]}}, "10s"),
    ("cronjobs.batch", "Suspend", {"spec": {"suspend": True}}, "True"),
    ("horizontalpodautoscalers.autoscaling", "Targets", scaler(), "<none>"),
    ("horizontalpodautoscalers.autoscaling", "Targets", scaler(utilization(50, 80)), "cpu: 50%/80%"),
    ("horizontalpodautoscalers.autoscaling", "Targets", scaler(utilization(None, None)), "cpu: <unknown>/<auto>"),
    ("horizontalpodautoscalers.autoscaling", "Targets", scaler(valued("pods", "averageValue")), "7/10"),
    ("horizontalpodautoscalers.autoscaling", "Targets", scaler(valued("object", "value")), "7/10"),
    ("horizontalpodautoscalers.autoscaling", "Targets", scaler(valued("external", "averageValue")), "7/10 (avg)"),
    (
        "horizontalpodautoscalers.autoscaling",
        "Targets",
        scaler(*[utilization(1, 2)] * 3),
        "cpu: 1%/2%, cpu: 1%/2% + 1 more...",
    ),
    ("poddisruptionbudgets.policy", "Min Available", {"spec": {"minAvailable": "50%"}}, "50%"),
    ("poddisruptionbudgets.policy", "Max Unavailable", {"spec": {}}, "N/A"),
    (
        "controllerrevisions.apps",
        "Controller",
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}]
            }
        },
        "daemonset.apps/d",
    ),
    ("nodes", "Status", node("True"), "Ready"),
    ("nodes", "Status", node("Unknown", unschedulable=True), "NotReady,SchedulingDisabled"),
    (
        "nodes",
        "Roles",
        node(
            "True",
            {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/infra": "", "kubernetes.io/role": "db"},
        ),
        "db,infra,worker",
    ),
    (
        "nodes",
        "Kernel-Version",
        {"status": {"nodeInfo": {"kernelVersion": "6.1", "architecture": "amd64"}}},
        "6.1 (amd64)",
    ),
    (
        "events",
        "Last Seen",
        {"firstTimestamp": AGO[10], "lastTimestamp": AGO[5], "involvedObject": {}},
        "5s",
    ),
    ("events", "Last Seen", {"eventTime": AGO[10], "involvedObject": {}}, "10s"),
    ("events", "Count", {"series": {"count": 4, "lastObservedTime": AGO[5]}}, 4),
    ("events", "Object", {"involvedObject": {"kind": "Pod", "name": "p"}}, "pod/p"),
    ("events", "Source", {"source": {"component": "kubelet", "host": "w1"}}, "kubelet, w1"),
    ("events", "Source", {"reportingComponent": "scheduler"}, "scheduler"),
    (
        "resourcequotas",
        "Request",
        {"status": {"hard": {"pods": "10", "limits.cpu": "2", "cpu": "4"}, "used": {"pods": "4"}}},
        "cpu: 0/4, pods: 4/10",
    ),
    (
        "resourcequotas",
        "Limit",
        {"status": {"hard": {"limits.cpu": "2"}, "used": {"limits.cpu": "1"}}},
        "limits.cpu: 1/2",
    ),
    ("persistentvolumes", "Claim", {"spec": {"claimRef": {"namespace": "n", "name": "c"}}}, "n/c"),
    ("persistentvolumes", "Access Modes", {"spec": {"accessModes": ["ReadWriteMany", "ReadWriteOnce"]}}, "RWO,RWX"),
    (
        "persistentvolumeclaims",
        "Capacity",
        {"spec": {"volumeName": "v"}, "status": {"capacity": {"storage": "1Gi"}}},
        "1Gi",
    ),
    ("persistentvolumeclaims", "Capacity", {"spec": {}, "status": {"capacity": {"storage": "1Gi"}}}, ""),
    (
        "persistentvolumeclaims",
        "Status",
        {"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Bound"}},
        "Terminating",
    ),
    (
        "storageclasses.storage.k8s.io",
        "Name",
        {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}},
        "x (default)",
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        "ServiceAccounts",
        {"subjects": [{"kind": "ServiceAccount", "namespace": "n", "name": "a"}, {"kind": "User", "name": "u"}]},
        "n/a",
    ),
    (
        "certificatesigningrequests.certificates.k8s.io",
        "Condition",
        {"status": {"conditions": [{"type": "Approved"}], "certificate": "x"}},
        "Approved,Issued",
    ),
    (
        "certificatesigningrequests.certificates.k8s.io",
        "RequestedDuration",
        {"spec": {"expirationSeconds": 86400}},
        "24h",
    ),
    ("apiservices.apiregistration.k8s.io", "Service", {"spec": {}}, "Local"),
    (
        "apiservices.apiregistration.k8s.io",
        "Available",
        {"status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]}},
        "False (MissingEndpoints)",
    ),
    ("flowschemas.flowcontrol.apiserver.k8s.io", "MissingPL", {}, "?"),
    ("prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "Queues", {"spec": {"type": "Exempt"}}, "<none>"),
    (
        "resourceclaims.resource.k8s.io",
        "State",
        {"status": {"allocation": {"x": 1}, "reservedFor": [{}]}},
        "allocated,reserved",
    ),
    ("csidrivers.storage.k8s.io", "AttachRequired", {"spec": {}}, True),
]


@pytest.mark.parametrize(("storage", "column", "obj", "cell"), CASES, ids=[f"{c[0]}-{c[1]}-{c[3]}" for c in CASES])
def test_a_cell(storage: str, column: str, obj: dict[str, Any], cell: Any) -> None:
    whole = {"spec": {}, **obj, "metadata": {"name": "x", **obj.get("metadata", {})}}
    table = tables.table(BUILTIN.resource(storage), [whole], NOW)
    names = [each["name"] for each in table["columnDefinitions"]]
    assert table["rows"][0]["cells"][names.index(column)] == cell
