"""The fields of KubeSchedulerConfiguration and of the plug-ins' arguments (kube-scheduler/config/v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seatrial.sim.scheduler.config_rules import ConfigError

Shape = Any
"""A name of GO_TYPES; a mapping of fields; a list of one shape; ``ANY`` for what is not looked into."""
ANY = None
GO_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "int32": (int,), "int64": (int,), "float32": (int, float), "bool": (bool,),
}  # fmt: skip

META = {"kind": "string", "apiVersion": "string"}
PLUGIN_SET = {
    "enabled": [{"name": "string", "weight": "int32"}],
    "disabled": [{"name": "string", "weight": "int32"}],
}
PLUGINS_FIELDS = (
    "preEnqueue", "queueSort", "preFilter", "filter", "postFilter", "preScore", "score", "reserve", "permit", "preBind",
    "bind", "postBind", "multiPoint", "placementGenerate", "placementScore",
)  # fmt: skip
LEADER_ELECTION = {
    "leaderElect": "bool", "leaseDuration": "string", "renewDeadline": "string", "retryPeriod": "string",
    "resourceLock": "string", "resourceName": "string", "resourceNamespace": "string",
}  # fmt: skip
CONNECTION = {
    "kubeconfig": "string", "acceptContentTypes": "string", "contentType": "string", "qps": "float32", "burst": "int32",
}  # fmt: skip
EXTENDER = {
    "urlPrefix": "string", "filterVerb": "string", "preemptVerb": "string", "prioritizeVerb": "string",
    "weight": "int64", "bindVerb": "string", "enableHTTPS": "bool", "tlsConfig": ANY, "httpTimeout": "string",
    "nodeCacheCapable": "bool", "managedResources": [{"name": "string", "ignoredByScheduler": "bool"}],
    "ignorable": "bool",
}  # fmt: skip
PROFILE = {
    "schedulerName": "string",
    "percentageOfNodesToScore": "int32",
    "plugins": dict.fromkeys(PLUGINS_FIELDS, PLUGIN_SET),
    "pluginConfig": [{"name": "string", "args": ANY}],
}
CONFIGURATION: Shape = {
    **META,
    "parallelism": "int32",
    "leaderElection": LEADER_ELECTION,
    "clientConnection": CONNECTION,
    "enableProfiling": "bool",
    "enableContentionProfiling": "bool",
    "percentageOfNodesToScore": "int32",
    "podInitialBackoffSeconds": "int64",
    "podMaxBackoffSeconds": "int64",
    "profiles": [PROFILE],
    "extenders": [EXTENDER],
    "delayCacheUntilActive": "bool",
}

RESOURCES = [{"name": "string", "weight": "int64"}]
SHAPE = [{"utilization": "int32", "score": "int32"}]
CONSTRAINT = {
    "maxSkew": "int32", "topologyKey": "string", "whenUnsatisfiable": "string", "labelSelector": ANY,
    "minDomains": "int32", "nodeAffinityPolicy": "string", "nodeTaintsPolicy": "string", "matchLabelKeys": ["string"],
}  # fmt: skip
ARGS: Mapping[str, Shape] = {
    "DefaultPreemption": {**META, "minCandidateNodesPercentage": "int32", "minCandidateNodesAbsolute": "int32"},
    "InterPodAffinity": {**META, "hardPodAffinityWeight": "int32", "ignorePreferredTermsOfExistingPods": "bool"},
    "NodeAffinity": {**META, "addedAffinity": ANY},
    "NodeResourcesFit": {
        **META,
        "ignoredResources": ["string"],
        "ignoredResourceGroups": ["string"],
        "scoringStrategy": {"type": "string", "resources": RESOURCES, "requestedToCapacityRatio": {"shape": SHAPE}},
    },
    "NodeResourcesBalancedAllocation": {**META, "resources": RESOURCES},
    "PodTopologySpread": {**META, "defaultConstraints": [CONSTRAINT], "defaultingType": "string"},
    "VolumeBinding": {**META, "bindTimeoutSeconds": "int64", "shape": SHAPE},
    "DynamicResources": {**META, "filterTimeout": "string", "bindingTimeout": "string"},
}
"""Plug-in -> the shape of its arguments."""


def decode(value: Mapping[str, Any], shape: Shape) -> None:
    """Check a document against a shape. Raises ConfigError as strict decoding words it."""
    wrong = next(_wrong_types(value, shape, ""), None)
    if wrong is not None:
        raise ConfigError(wrong)
    unknown = list(_unknown(value, shape, ""))
    if unknown:
        raise ConfigError("strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown))


def _unknown(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, Mapping) and isinstance(value, Mapping):
        for key, inner in value.items():
            place = f"{path}.{key}" if path else str(key)
            if key in shape:
                yield from _unknown(inner, shape[key], place)
            else:
                yield place
    elif isinstance(shape, Sequence) and not isinstance(shape, str) and isinstance(value, Sequence):
        for index, inner in enumerate(value):
            yield from _unknown(inner, shape[0], f"{path}[{index}]")


def _wrong_types(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if value is None or shape is ANY:
        return
    if isinstance(shape, str):
        fits = isinstance(value, GO_TYPES[shape]) and (shape == "bool" or not isinstance(value, bool))
        if not fits:
            yield f"json: cannot unmarshal {_json_name(value)} into Go struct field {_go_path(path)} of type {shape}"
    elif isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            yield f"json: cannot unmarshal {_json_name(value)} into Go struct field {_go_path(path)}"
            return
        for key, inner in value.items():
            if key in shape:
                yield from _wrong_types(inner, shape[key], f"{path}.{key}" if path else key)
    elif not isinstance(value, list):
        yield f"json: cannot unmarshal {_json_name(value)} into Go struct field {_go_path(path)}"
    else:
        for inner in value:
            yield from _wrong_types(inner, shape[0], path)


def _go_path(path: str) -> str:
    return f"KubeSchedulerConfiguration.{path}"


def _json_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
