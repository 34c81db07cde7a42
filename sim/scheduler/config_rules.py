"""What a KubeSchedulerConfiguration must not say, in upstream's words.

Source: k8s.io/kubernetes/pkg/scheduler/apis/config/validation (validation.go, validation_pluginargs.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from seatrial.sim.config import S

Object = Mapping[str, Any]
GONE = ("AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits")
"""Plug-ins that v1 of the configuration does not know any more."""
STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
ELECTION = {"leaseDuration": "15s", "renewDeadline": "10s", "retryPeriod": "2s"}
DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
UNITS_US = {"ns": 0.001, "us": 1, "µs": 1, "ms": 1000, "s": S, "m": 60 * S, "h": 3600 * S}


class ConfigError(ValueError):
    """A scheduler configuration that is wrong; the text is what kube-scheduler says."""


def _invalid(path: str, value: Any, why: str) -> str:
    shown = f'"{value}"' if isinstance(value, str) else value
    return f"{path}: Invalid value: {shown}: {why}"


def _unsupported(path: str, value: str, supported: Sequence[str]) -> str:
    return f'{path}: Unsupported value: "{value}": supported values: ' + ", ".join(f'"{name}"' for name in supported)


def parse_duration(text: str) -> int:
    """A Go duration such as ``1m30s`` in µs. Raises ConfigError."""
    digits = text.removeprefix("-")
    parts = DURATION.findall(digits)
    if digits == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != digits:
        unit = re.fullmatch(r"\d+(?:\.\d*)?", digits) is not None
        raise ConfigError(f'time: {"missing unit in" if unit else "invalid"} duration "{text}"')
    total = int(sum(float(number) * UNITS_US[unit] for number, unit in parts))
    return -total if text.startswith("-") else total


def validate(config: Object) -> None:
    """Raises ConfigError naming everything that is wrong."""
    _raise(list(_configuration(config)))


def validate_fit(args: Object) -> None:
    """The arguments of NodeResourcesFit, which upstream checks when it makes the plug-in. Raises ConfigError."""
    problems = list(_fit("", args))
    if problems:
        text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise ConfigError(f'initializing plugin "NodeResourcesFit": {text}')


def _raise(problems: list[str]) -> None:
    if problems:
        raise ConfigError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _configuration(config: Object) -> Iterator[str]:
    connection, election = config.get("clientConnection") or {}, config.get("leaderElection") or {}
    if (connection.get("burst") or 0) < 0:
        yield _invalid("clientConnection.burst", connection["burst"], "must be non-negative")
    if election.get("leaderElect", True) and election.get("resourceLock", "leases") != "leases":
        yield _invalid("leaderElection.resourceLock", election["resourceLock"], 'resourceLock value must be "leases"')
    yield from _election(election)
    parallelism = config.get("parallelism", 16)
    if parallelism is not None and parallelism <= 0:
        yield _invalid("parallelism", parallelism, "should be an integer value greater than zero")
    yield from _profiles(config.get("profiles") or ())
    yield from _percentage("percentageOfNodesToScore", config)
    initial, longest = config.get("podInitialBackoffSeconds", 1), config.get("podMaxBackoffSeconds", 10)
    if initial is not None and initial <= 0:
        yield _invalid("podInitialBackoffSeconds", initial, "must be greater than 0")
    if initial is not None and longest is not None and longest < initial:
        why = "must be greater than or equal to PodInitialBackoffSeconds"
        yield _invalid("podMaxBackoffSeconds", longest, why)
    yield from _extenders(config.get("extenders") or ())


def _election(election: Object) -> Iterator[str]:
    """ValidateLeaderElectionConfiguration (k8s.io/component-base/config/validation)."""
    if not election.get("leaderElect", True):
        return
    path, found = "leaderElection", {}
    for key, default in ELECTION.items():
        text = election.get(key, default)
        found[key] = parse_duration(text)
        if found[key] <= 0:
            yield f"{path}.{key}: Invalid value: {text}: must be greater than zero"
    if found["leaseDuration"] < found["renewDeadline"]:
        shown = election.get("renewDeadline", ELECTION["renewDeadline"])
        yield f"{path}.leaseDuration: Invalid value: {shown}: LeaseDuration must be greater than RenewDeadline"


def _percentage(path: str, holder: Object) -> Iterator[str]:
    percentage = holder.get("percentageOfNodesToScore")
    if percentage is not None and not 0 <= percentage <= 100:
        yield _invalid(path, percentage, "not in valid range [0-100]")


def _profiles(profiles: Sequence[Object]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for position, profile in enumerate(profiles):
        path = f"profiles[{position}]"
        name = profile.get("schedulerName")
        if name is None and len(profiles) == 1:
            name = "default-scheduler"
        if not name:
            yield f"{path}.schedulerName: Required value"
        yield from _percentage(f"{path}.percentageOfNodesToScore", profile)
        yield from _gone_plugins(path, profile.get("plugins") or {})
        yield from _plugin_config(path, profile.get("pluginConfig") or ())
        if name in seen:
            yield f'{path}.schedulerName: Duplicate value: "profiles[{seen[name]}].schedulerName"'
        seen[name or ""] = position
    yield from _one_order(profiles)


def _gone_plugins(path: str, plugins: Object) -> Iterator[str]:
    version = '"kubescheduler.config.k8s.io/v1"'
    for point, chosen in plugins.items():
        for index, item in enumerate((chosen or {}).get("enabled") or ()):
            if item.get("name") in GONE and point != "multiPoint":
                why = f"was invalid in version {version} (KubeSchedulerConfiguration is version {version})"
                yield _invalid(f"{path}.plugins.{point}.enabled[{index}]", item["name"], why)


def _plugin_config(path: str, items: Sequence[Object]) -> Iterator[str]:
    seen: list[str] = []
    for index, item in enumerate(items):
        name, place = item.get("name") or "", f"{path}.pluginConfig[{index}]"
        if name in seen:
            yield f'{place}: Duplicate value: "{name}"'
        seen.append(name)
        check = CHECKS.get(name)
        if check is not None and item.get("args") is not None:
            yield from check(f"{place}.args.", item["args"])


def _one_order(profiles: Sequence[Object]) -> Iterator[str]:
    orders = [((profile.get("plugins") or {}).get("queueSort") or {}) for profile in profiles]
    if orders and len(orders[0].get("enabled") or ()) > 1:
        where = "profiles[0].plugins.queueSort.Enabled"
        yield _invalid(where, len(orders[0]["enabled"]), "only one queue sort plugin can be enabled")
    for position, order in enumerate(orders[1:], 1):
        if order != orders[0]:
            yield _invalid(f"profiles[{position}].plugins.queueSort", order, "must be the same for all profiles")


def _extenders(extenders: Sequence[Object]) -> Iterator[str]:
    for index, extender in enumerate(extenders):
        if extender.get("prioritizeVerb") and (extender.get("weight") or 0) <= 0:
            why = "must have a positive weight applied to it"
            yield _invalid(f"extenders[{index}].weight", extender.get("weight") or 0, why)
    binders = sum(bool(extender.get("bindVerb")) for extender in extenders)
    if binders > 1:
        found = f"found {binders} extenders implementing bind"
        yield _invalid("extenders", found, "only one extender can implement bind")


# arguments of plug-ins


def _preemption(path: str, args: Object) -> Iterator[str]:
    percentage, absolute = args.get("minCandidateNodesPercentage", 10), args.get("minCandidateNodesAbsolute", 100)
    if not 0 <= percentage <= 100:
        yield _invalid(f"{path}minCandidateNodesPercentage", percentage, "not in valid range [0, 100]")
    if absolute < 0:
        yield _invalid(f"{path}minCandidateNodesAbsolute", absolute, "not in valid range [0, inf)")
    if percentage == 0 and absolute == 0:
        why = "cannot be zero at the same time as {}"
        yield _invalid(f"{path}minCandidateNodesPercentage", 0, why.format("minCandidateNodesAbsolute"))
        yield _invalid(f"{path}minCandidateNodesAbsolute", 0, why.format("minCandidateNodesPercentage"))


def _pod_affinity(path: str, args: Object) -> Iterator[str]:
    weight = args.get("hardPodAffinityWeight", 1)
    if weight is not None and not 0 <= weight <= 100:
        yield _invalid(f"{path}hardPodAffinityWeight", weight, "not in valid range [0, 100]")


def _balance(path: str, args: Object) -> Iterator[str]:
    seen: list[str] = []
    for index, resource in enumerate(args.get("resources") or ()):
        name = resource.get("name") or ""
        if name in seen:
            yield f'{path}resources[{index}].name: Duplicate value: "{name}"'
        seen.append(name)
        if resource.get("weight", 1) not in (0, 1):
            yield _invalid(f"{path}resources[{index}].weight", resource["weight"], "must be 1")


def _spread(path: str, args: Object) -> Iterator[str]:
    kind, constraints = args.get("defaultingType") or "System", args.get("defaultConstraints") or ()
    if kind not in ("System", "List"):
        yield _unsupported(f"{path}defaultingType", kind, ("System", "List"))
    elif kind == "System" and constraints:
        yield _invalid(f"{path}defaultingType", kind, "when .defaultConstraints are not empty")
    seen: list[tuple[str, str]] = []
    for index, constraint in enumerate(constraints):
        place = f"{path}defaultConstraints[{index}]"
        skew, key = constraint.get("maxSkew") or 0, constraint.get("topologyKey") or ""
        action = constraint.get("whenUnsatisfiable") or ""
        if skew <= 0:
            yield _invalid(f"{place}.maxSkew", skew, "not in valid range (0, inf)")
        if not key:
            yield f"{place}.topologyKey: Required value: can not be empty"
        if not action:
            yield f"{place}.whenUnsatisfiable: Required value: can not be empty"
        elif action not in ACTIONS:
            yield _unsupported(f"{place}.whenUnsatisfiable", action, ACTIONS)
        if constraint.get("labelSelector") is not None:
            why = "constraint must not define a selector, as they deduced for each pod"
            yield f"{place}.labelSelector: Forbidden: {why}"
        if (key, action) in seen:
            yield f'{place}: Duplicate value: "{{{key}, {action}}}"'
        seen.append((key, action))


def _volumes(path: str, args: Object) -> Iterator[str]:
    seconds = args.get("bindTimeoutSeconds", 600)
    if seconds is not None and seconds < 0:
        why = "invalid BindTimeoutSeconds, should not be a negative value"
        yield _invalid(f"{path}bindTimeoutSeconds", seconds, why)


def _fit(path: str, args: Object) -> Iterator[str]:
    for index, group in enumerate(args.get("ignoredResourceGroups") or ()):
        if "/" in group:
            yield _invalid(f"{path}ignoredResourceGroups[{index}]", group, "resource group name can't contain '/'")
    strategy = args.get("scoringStrategy")
    if strategy is None:
        return
    kind = strategy.get("type") or ""
    if kind not in STRATEGIES:
        yield _unsupported(f"{path}scoringStrategy.type", kind, STRATEGIES)
    for index, resource in enumerate(strategy.get("resources") or ()):
        weight = resource.get("weight", 1)
        if not 0 < weight <= 100:
            why = f"resource weight of {resource.get('name')} not in valid range (0, 100]"
            yield _invalid(f"{path}scoringStrategy.resources[{index}].weight", weight, why)
    ratio, place = strategy.get("requestedToCapacityRatio"), f"{path}scoringStrategy.requestedToCapacityRatio"
    if kind == "RequestedToCapacityRatio":
        if ratio is None:
            yield f"{place}: Required value: must be specified when type is RequestedToCapacityRatio"
        else:
            yield from _shape(f"{place}.shape", ratio.get("shape") or ())
    elif ratio is not None:
        yield f"{place}: Forbidden: must be nil when type is not RequestedToCapacityRatio"


def _shape(path: str, shape: Sequence[Object]) -> Iterator[str]:
    if not shape:
        yield f"{path}: Required value: at least one point must be specified"
        return
    at = [point.get("utilization") or 0 for point in shape]
    for index in range(1, len(at)):
        if at[index - 1] >= at[index]:
            yield _invalid(f"{path}[{index}].utilization", at[index], "values must be sorted in increasing order")
            break
    for index, point in enumerate(shape):
        if not 0 <= at[index] <= 100:
            yield _invalid(f"{path}[{index}].utilization", at[index], "not in valid range [0, 100]")
        score = point.get("score") or 0
        if not 0 <= score <= 10:
            yield _invalid(f"{path}[{index}].score", score, "not in valid range [0, 10]")


CHECKS: Mapping[str, Callable[[str, Object], Iterator[str]]] = {
    "DefaultPreemption": _preemption,
    "InterPodAffinity": _pod_affinity,
    "NodeResourcesBalancedAllocation": _balance,
    "PodTopologySpread": _spread,
    "VolumeBinding": _volumes,
}
"""Plug-in -> what its arguments must not say; NodeResourcesFit's are checked when it is made."""
