"""Upstream's own table tests of the horizontal pod autoscaler, through the functions that decide in a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from seatrial.sim.config import AutoscalingSpec, S
from seatrial.sim.controllers import hpa
from seatrial.sim.controllers import hpa_calculator as calculator
from seatrial.sim.controllers import hpa_limits as limits
from seatrial.sim.controllers.actions import Call, Get, Update
from seatrial.sim.controllers.hpa_calculator import MetricError, Sample, Scope, Tolerances
from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import builtin
from tests.conformance.cases import NOW, Object, Runner, judged, parametrize, plain
from tests.sim.controllers.world import World

SETTINGS = AutoscalingSpec(cpu_initialization_us=120 * S, initial_readiness_us=10 * S)
"""What upstream's tests run with."""
UNITS = {"s": S, "m": 60 * S, "h": 3600 * S}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "*hpa_cases*.yaml", "kind")


def test_case(case: Object) -> None:
    judged(RUNNERS[case["kind"]], case)


def us(text: Any) -> int:
    """``2m``, ``9m54s`` or ``3m ago`` in µs; ``now`` is 0."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smh])", str(text)))


# --- the calculator


def make_pod(name: str, ready: bool = True, started: Any = None, phase: str = "Running", **more: Any) -> Any:
    """A ready pod since an hour, unless it is said otherwise."""
    begun = NOW - 3600 * S if started is None else NOW - us(started)
    changed = more.get("changed_us", begun)
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": stamp_of(changed)}]
    containers: list[Any] = []
    for index, request in enumerate(more.get("requests") or [None]):
        resources = {"requests": {more.get("resource", "cpu"): request}} if request else {}
        containers.append({"name": f"container{index + 1}", "resources": resources})
    metadata: dict[str, Any] = {"name": name, "namespace": "default"}
    metadata["labels"] = more.get("labels", {"name": "test-pod"})
    if more.get("deleting"):
        metadata["deletionTimestamp"] = stamp_of(NOW)
    status: dict[str, Any] = {"phase": phase, "startTime": stamp_of(begun), "conditions": conditions}
    if more.get("no_conditions"):
        del status["conditions"]
    return {"metadata": metadata, "spec": {"containers": containers}, "status": status}


def scope(pods: list[Any], current: int, tolerances: Tolerances | None = None) -> Scope:
    return Scope(pods, current, tolerances or Tolerances(0.1, 0.1), SETTINGS, NOW)


def resource_utilization(given: Object, expect: Object) -> None:
    count = given["containers_per_pod"]
    pods = []
    for each in given["pods"]:
        request = each.get("request_milli_per_container")
        requests = [f"{request}m" if request is not None else None] * count
        pods.append(
            make_pod(
                each["name"],
                each.get("ready", True),
                each.get("started"),
                each.get("phase", "Running"),
                requests=requests,
                resource=given["resource"],
                deleting=each.get("deleting"),
            )
        )
    samples = {
        each["pod"]: Sample(each["usage_milli_per_container"] * (1 if given.get("container") else count), NOW)
        for each in given["pod_metrics"]
    }

    def compute() -> calculator.Proposal:
        where = scope(pods, given["current_replicas"])
        target, container = given["target_utilization_percent"], given.get("container", "")
        return calculator.utilization_replicas(where, samples, target, given["resource"], container)

    if "error_contains" in expect:
        with pytest.raises(MetricError, match=re.escape(expect["error_contains"])):
            compute()
        return
    found = compute()
    assert found.replicas == expect["replicas"]
    if "utilization_percent" in expect:
        assert found.value == expect["utilization_percent"]
    if "average_value_milli_per_pod" in expect:
        assert found.average == expect["average_value_milli_per_pod"]


def _plain_pods(given: Object) -> list[Any]:
    count = max(given["current_replicas"], len(given.get("pod_ready") or ()))
    ready = given.get("pod_ready") or [True] * count
    started = given.get("pod_started") or [None] * count
    return [make_pod(f"p-{index}", ready[index], started[index]) for index in range(count)]


def pods_average(given: Object, expect: Object) -> None:
    pods = _plain_pods(given)
    samples = {f"p-{index}": Sample(value, NOW) for index, value in enumerate(given["metric_values_milli"])}
    found = calculator.average_replicas(scope(pods, given["current_replicas"]), samples, given["target_milli"])
    assert (found.replicas, found.value) == (expect["replicas"], expect["reported_value_milli"])


def one_value(given: Object, expect: Object) -> None:
    where, usage = scope(_plain_pods(given), given["current_replicas"]), sum(given["metric_values_milli"])
    if "target_average_milli" in given:
        found = calculator.per_pod_replicas(where, given["current_replicas"], usage, given["target_average_milli"])
    else:
        found = calculator.value_replicas(where, usage, given["target_milli"])
    assert (found.replicas, found.value) == (expect["replicas"], expect["reported_value_milli"])


def group_pods(given: Object, expect: Object) -> None:
    settings = AutoscalingSpec(
        cpu_initialization_us=us(given["cpu_initialization_period"]),
        initial_readiness_us=us(given["initial_readiness_delay"]),
    )
    pods = []
    for each in given["pods"]:
        more: dict[str, Any] = {"deleting": each.get("deleting")}
        if "ready_changed_ago" in each:
            more["changed_us"] = NOW - us(each["ready_changed_ago"])
        more["no_conditions"] = "ready" not in each
        pods.append(make_pod(each["name"], each.get("ready", False), each.get("started_ago"), each["phase"], **more))
    samples = {
        name: Sample(each["value"], NOW - us(each.get("age", "0s")), us(each.get("window", "0s")))
        for name, each in given["pod_metrics"].items()
    }
    found = calculator.group(pods, samples, given["resource"], settings, NOW)
    lists = {"unready": found.unready, "missing": found.missing, "ignored": found.ignored}
    assert found.ready == expect["ready_count"]
    assert lists == {key: expect[key] for key in lists}


# --- limits


def _policy(given: Object) -> dict[str, Any]:
    return {"type": given["type"], "value": given["value"], "periodSeconds": given["period_seconds"]}


def rules(given: Any, select: str = "") -> dict[str, Any]:
    given = given or {}
    policies = [_policy(each) for each in given.get("policies") or ()]
    found: dict[str, Any] = {"policies": policies, "selectPolicy": select or given.get("select_policy", "Max")}
    if "stabilization_window_seconds" in given:
        found["stabilizationWindowSeconds"] = given["stabilization_window_seconds"]
    return found


UP_DEFAULT = rules(
    {
        "policies": [
            {"type": "Pods", "value": 4, "period_seconds": 15},
            {"type": "Percent", "value": 100, "period_seconds": 15},
        ]
    }
)
DOWN_DEFAULT = rules({"policies": [{"type": "Percent", "value": 100, "period_seconds": 15}]})


def events(given: Any) -> list[limits.ScaleEvent]:
    return [limits.ScaleEvent(each["replica_change"], NOW - each["seconds_ago"] * S) for each in given or ()]


def behavior_rate_limit(given: Object, expect: Object) -> None:
    up = rules(given["scale_up"]) if "scale_up" in given else UP_DEFAULT
    down = rules(given["scale_down"]) if "scale_down" in given else DOWN_DEFAULT
    history = limits.History(events(given.get("scale_up_events")), events(given.get("scale_down_events")))
    bounds = limits.Bounds(given["min_replicas"], given["max_replicas"])
    found = limits.limit_with_behavior(
        given["current_replicas"], given["desired_replicas"], bounds, history, up, down, NOW
    )
    assert found.replicas == expect["replicas"]
    if "limit_reason" in expect:
        assert found.reason == expect["limit_reason"]


def behavior_limit_only(given: Object, expect: Object) -> None:
    compute = limits.up_limit if given["direction"] == "scale_up" else limits.down_limit
    assert compute(given["current_replicas"], [], [], rules(given), NOW) == expect["limit"]


def legacy_limit(given: Object, expect: Object) -> None:
    bounds = limits.Bounds(given["min_replicas"], given["max_replicas"])
    found = limits.limit(given["current_replicas"], given["desired_replicas"], bounds)
    assert (found.replicas, found.reason) == (expect["replicas"], expect.get("limit_reason", found.reason))


def recommendations(given: Any) -> list[limits.Recommendation]:
    return [limits.Recommendation(each["replicas"], NOW - int(each["minutes_ago"] * 60) * S) for each in given or ()]


def stabilize_default(given: Object, expect: Object) -> None:
    log = recommendations(given["recommendations"])
    found, after = limits.stabilize(log, given["desired_replicas"], NOW, given["window_seconds"] * S)
    assert (found, len(after)) == (expect["replicas"], expect.get("log_length_after", len(after)))


def stabilize_behavior(given: Object, expect: Object) -> None:
    up = {"stabilizationWindowSeconds": given["scale_up_window_seconds"]}
    down = {"stabilizationWindowSeconds": given["scale_down_window_seconds"]}
    log = recommendations(given["recommendations"])
    found, after = limits.stabilize_with_behavior(
        log, given["current_replicas"], given["desired_replicas"], NOW, up, down
    )
    assert found.replicas == expect["replicas"]
    assert found.reason == expect.get("reason", found.reason)
    if "stored_recommendations_in_order" in expect:
        assert [each.replicas for each in after] == expect["stored_recommendations_in_order"]


def store_scale_event(given: Object, expect: Object) -> None:
    before = [limits.ScaleEvent(each["change"], NOW - each["seconds_ago"] * S) for each in given["previous"]]
    assert limits.change_within(before, 60, NOW) == expect["change_in_last_60s_before"]
    policies = rules(given)["policies"] if given["policies"] is not None else None
    after = limits.store_event(before, given["replica_change"], policies, NOW)
    found = [{"change": each.change, "outdated": each.outdated} for each in after]
    assert found == plain(expect["log_after"])


# --- a whole reconcile

CUSTOM, EXTERNAL = "/apis/custom.metrics.k8s.io/", "/apis/external.metrics.k8s.io/"
DESCRIBED = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "some-deployment"}
CONTAINER = {"name": "cpu", "container": "container1", "target": {"type": "Utilization", "averageUtilization": 10}}
QPS = {"name": "qps", "target_milli": 15000}
SOURCES = {"Pods": "pods_metric", "Object": "object_metric", "External": "external_metric"}


def _custom(kind: str, given: Object) -> dict[str, Any]:
    """A metric of an API of its own, with a target per pod or for all."""
    if "target_average_milli" in given or kind == "Pods":
        each = given.get("target_average_milli", QPS["target_milli"])
        target = {"type": "AverageValue", "averageValue": f"{each}m"}
    else:
        target = {"type": "Value", "value": f"{given['target_milli']}m"}
    source: dict[str, Any] = {"metric": {"name": given["name"]}, "target": target}
    if kind == "Object":
        source["describedObject"] = DESCRIBED
    return {"type": kind, kind.lower(): source}


def _of_type(kind: str) -> dict[str, Any]:
    """The metric of a case that names only a type."""
    if kind in SOURCES:
        return _custom(kind, QPS)
    return {"type": kind, **({"containerResource": CONTAINER} if kind == "ContainerResource" else {})}


def _specs(given: Object) -> list[Any]:
    specs: list[Any] = []
    if "cpu_target_utilization_percent" in given:
        target = {"type": "Utilization", "averageUtilization": given["cpu_target_utilization_percent"]}
        specs.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if "container_resource" in given:
        source = given["container_resource"]
        target = {"type": "Utilization", "averageUtilization": source["target_utilization_percent"]}
        named = {"name": source["resource"], "container": source["container"]}
        specs.append({"type": "ContainerResource", "containerResource": {**named, "target": target}})
    specs += [_custom(kind, given[field]) for kind, field in SOURCES.items() if field in given]
    if given.get("metric_type", "Resource") != "Resource":
        specs = [_of_type(given["metric_type"])]
    if "second_metric_type" in given:
        specs.append(_of_type(given["second_metric_type"]))
    return specs


def _broken() -> None:
    raise ApiError(500, "InternalError", "something went wrong")


def _answers(given: Object, current: dict[str, Any]) -> Callable[[Any], Any]:
    """A server that knows the scale and the metrics."""
    usages = given["pod_cpu_usage_milli"]
    names = [f"p-{index}" for index in range(len(usages))]

    def scale(action: Any) -> Any:
        if given.get("get_scale" if type(action) is Get else "update_scale"):
            _broken()
        if type(action) is Update:
            current["scale"] = action.obj
        return current["scale"]

    def metrics(path: str) -> list[Any]:
        if given.get("metrics_api") or given.get(_api(path)):
            _broken()
        if not path.startswith((CUSTOM, EXTERNAL)):
            return [_resources(name, value) for name, value in zip(names, usages, strict=True)]
        return [
            {"describedObject": {"name": name}, "value": f"{value}m", "timestamp": stamp_of(NOW)}
            for name, value in zip(names, usages, strict=True)
        ]

    def judge(action: Any) -> Any:
        if type(action) is Call:
            return {"items": metrics(action.path)}
        return scale(action) if type(action) in (Get, Update) and action.subresource == "scale" else None

    return judge


def _api(path: str) -> str:
    """The field that says whether an API works."""
    return "custom_metrics_api" if path.startswith(CUSTOM) else f"{path.split('/')[2].split('.')[0]}_metrics_api"


def _resources(name: str, value: int) -> dict[str, Any]:
    containers = [{"name": f"container{n}", "usage": {"cpu": f"{value / 2:g}m"}} for n in (1, 2)]
    return {"metadata": {"name": name}, "timestamp": stamp_of(NOW), "window": "60s", "containers": containers}


def _scaled_pods(given: Object) -> list[Any]:
    """Whose requests are split evenly over two containers."""
    asked = given.get("pod_cpu_request_milli", [1000] * given["status_replicas"])
    columns = {
        "ready": given.get("pod_ready"),
        "started": given.get("pod_started"),
        "phase": given.get("pod_phase"),
        "deleting": given.get("pod_deleting"),
    }
    labels = plain(given.get("pod_labels", {"name": "test-pod"}))
    return [
        make_pod(
            f"p-{index}",
            requests=[f"{request / 2:g}m"] * 2,
            labels=labels,
            **{field: column[index] for field, column in columns.items() if column is not None},
        )
        for index, request in enumerate(asked)
    ]


def _behavior(given: Object) -> dict[str, Any] | None:
    own = {direction: given[f"{direction}_policies"] for direction in DIRECTIONS if f"{direction}_policies" in given}
    if not own:
        return None
    return {
        key: rules({"policies": own[direction]}) if direction in own else default
        for direction, (key, default) in DIRECTIONS.items()
    }


DIRECTIONS = {"scale_up": ("scaleUp", UP_DEFAULT), "scale_down": ("scaleDown", DOWN_DEFAULT)}


def reconcile(given: Object, expect: Object) -> None:
    world = World(hpa.reconcile, NOW, kinds=builtin(), hpa=SETTINGS)
    for pod in _scaled_pods(given):
        world.put("pods", pod)
    scale = {
        "spec": {"replicas": given["spec_replicas"]},
        "status": {
            "replicas": given["status_replicas"],
            "selector": given.get("scale_selector", "name=test-pod"),
        },
    }
    current = {"scale": scale}
    world.judge = _answers(given, current)
    ref = {"apiVersion": "v1", "kind": "ReplicationController", "name": "rc"}
    spec: dict[str, Any] = {"minReplicas": given["min_replicas"], "maxReplicas": given["max_replicas"]}
    spec |= {"scaleTargetRef": ref, "metrics": _specs(given)}
    behavior = _behavior(given)
    if behavior is not None:
        spec["behavior"] = behavior
    status: dict[str, Any] = {"desiredReplicas": given["spec_replicas"]}
    if given.get("last_scale_time"):
        status["lastScaleTime"] = stamp_of(NOW)
    if given.get("scaled_to_zero"):
        status["conditions"] = [{"type": "ScaledToZero", "status": "True", "reason": "ScaledToZero", "message": ""}]
    world.put(hpa.AUTOSCALERS, {"metadata": {"name": "h"}, "spec": spec, "status": status})
    if given.get("recommendations") is not None:
        world.memory["log", ("default", "h")] = recommendations(given["recommendations"])
    if "other_hpa_selector" in given:
        other = ",".join(f"{key}={value}" for key, value in given["other_hpa_selector"].items())
        world.memory["selectors", "default"] = {"other": other}
    world.run(("default", "h"))
    after = world.get(hpa.AUTOSCALERS, "h")["status"]
    assert current["scale"]["spec"]["replicas"] == expect["desired_replicas"] == after["desiredReplicas"]
    if "current_cpu_utilization_percent" in expect:
        shown = after["currentMetrics"][0]["resource"]["current"]["averageUtilization"]
        assert shown == expect["current_cpu_utilization_percent"]
    by_type = {each["type"]: {key: each[key] for key in ("type", "status", "reason")} for each in after["conditions"]}
    for wanted in expect["conditions"]:
        assert by_type[wanted["type"]] == plain(wanted)


RUNNERS: Mapping[str, Runner] = {
    "resource_utilization": resource_utilization,
    "pods_average": pods_average,
    "object_average": one_value,
    "object_value": one_value,
    "external_average": one_value,
    "external_value": one_value,
    "group_pods": group_pods,
    "behavior_rate_limit": behavior_rate_limit,
    "behavior_limit_only": behavior_limit_only,
    "legacy_limit": legacy_limit,
    "stabilize_default": stabilize_default,
    "stabilize_behavior": stabilize_behavior,
    "store_scale_event": store_scale_event,
    "reconcile": reconcile,
}
