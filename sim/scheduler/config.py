"""KubeSchedulerConfiguration files: read strictly, validated in upstream's words, turned into profiles.

Source: staging/src/k8s.io/kube-scheduler/config/v1/types.go and types_pluginargs.go, pkg/scheduler/apis/config/v1
(defaults), pkg/scheduler/framework/runtime/framework.go (how multiPoint expands).

*Not modelled*: ``parallelism``, profiling and ``enableContentionProfiling`` are checked and have no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from seatrial.sim.apiserver.leases import Election
from seatrial.sim.config import S
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.config_rules import ELECTION, ConfigError, parse_duration, validate, validate_fit
from seatrial.sim.scheduler.config_schema import ARGS, CONFIGURATION, decode
from seatrial.sim.scheduler.decide import Framework
from seatrial.sim.scheduler.framework import Plugin, Profile
from seatrial.sim.scheduler.registry import DEFAULT_ORDER, DEFAULT_WEIGHTS, PLUGINS, SHELL_PLUGINS, extends

API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"
DEFAULT_SCHEDULER = "default-scheduler"
NAME = "kube-scheduler"
POINTS = ("preFilter", "filter", "postFilter", "reserve", "preScore", "score", "preBind", "bind", "postBind", "permit",
          "preEnqueue", "queueSort")  # fmt: skip
"""In the order in which upstream looks at them (getExtensionPoints)."""
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """A configuration that was read and found right."""

    profiles: tuple[Object, ...] = ({"schedulerName": DEFAULT_SCHEDULER},)
    percentage_of_nodes_to_score: int = 0
    initial_backoff_us: int = 1 * S
    max_backoff_us: int = 10 * S
    qps: float | None = None
    """None: what the cluster's specification says."""
    burst: int | None = None
    plugins: Mapping[str, type[Plugin]] = field(default_factory=dict)
    """Plug-ins of the user's own, by name."""
    extenders: tuple[Object, ...] = ()
    election: Election | None = field(default_factory=lambda: Election(NAME))
    """None: it leads without asking (leaderElect: false)."""


def default_config() -> SchedulerConfig:
    """What a scheduler without a file has."""
    return SchedulerConfig()


def read_config(text: str, plugins: Mapping[str, type[Plugin]] | None = None) -> SchedulerConfig:
    """The configuration of a file's text; ``plugins``: the user's own. Raises ConfigError in upstream's words."""
    try:
        raw = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as problem:
        raise ConfigError(f"error converting YAML to JSON: {problem}") from None
    if not isinstance(raw, Mapping):
        raise ConfigError("Object 'Kind' is missing in configuration")
    version, kind = raw.get("apiVersion") or "", raw.get("kind") or ""
    if not kind:
        raise ConfigError("Object 'Kind' is missing in configuration")
    if version != API_VERSION or kind != KIND:
        where = 'in scheme "pkg/scheduler/apis/config/scheme/scheme.go:30"'
        raise ConfigError(f'no kind "{kind}" is registered for version "{version}" {where}')
    decode(raw, CONFIGURATION)
    given: list[Object] = raw.get("profiles") or []
    for position, profile in enumerate(given):
        for index, item in enumerate(profile.get("pluginConfig") or ()):
            _decode_args(position, index, item)
    validate(raw)
    connection = raw.get("clientConnection") or {}
    config = SchedulerConfig(
        profiles=tuple(_named(profile) for profile in given or [{}]),
        percentage_of_nodes_to_score=raw.get("percentageOfNodesToScore") or 0,
        initial_backoff_us=(raw.get("podInitialBackoffSeconds") or 1) * S,
        max_backoff_us=(raw.get("podMaxBackoffSeconds") or 10) * S,
        qps=connection.get("qps"),
        burst=connection.get("burst"),
        plugins=plugins or {},
        extenders=tuple(raw.get("extenders") or ()),
        election=_election(raw.get("leaderElection") or {}),
    )
    frameworks(config, Cache())
    return config


def _election(given: Object) -> Election | None:
    if not given.get("leaderElect", True):
        return None
    return Election(
        given.get("resourceName") or NAME,
        given.get("resourceNamespace") or "kube-system",
        *(parse_duration(given.get(key) or default) for key, default in ELECTION.items()),
    )


def _named(profile: Object) -> Object:
    return {**profile, "schedulerName": profile.get("schedulerName") or DEFAULT_SCHEDULER}


def _decode_args(profile: int, index: int, item: Object) -> None:
    known = ARGS.get(item.get("name") or "")
    args = item.get("args")
    if known is None or args is None:
        return
    if args.get("kind") not in (None, f"{item['name']}Args"):
        text = f"args for plugin {item['name']} were not of type {item['name']}Args.{API_VERSION}, got {args['kind']}"
        raise ConfigError(f"decoding .profiles[{profile}].pluginConfig[{index}]: {text}")
    try:
        decode(args, known)
    except ConfigError as problem:
        where = f"decoding .profiles[{profile}].pluginConfig[{index}]"
        raise ConfigError(
            f"strict decoding error: {where}: strict decoding error: decoding args for plugin {item['name']}: {problem}"
        ) from None


def frameworks(config: SchedulerConfig, cache: Cache) -> dict[str, Framework]:
    """schedulerName -> framework on a cache. Raises ConfigError for plug-ins that there are not."""
    found = {}
    for given in config.profiles:
        name = given["schedulerName"]
        try:
            found[name] = Framework(_profile(config, given, cache), cache)
        except ConfigError as problem:
            raise ConfigError(f"initializing profiles: creating profile for scheduler name {name}: {problem}") from None
    return found


def _profile(config: SchedulerConfig, given: Object, cache: Cache) -> Profile:
    points = enabled_plugins(given.get("plugins") or {})
    args = {item["name"]: item.get("args") or {} for item in given.get("pluginConfig") or ()}
    left = [r["name"] for e in config.extenders for r in e.get("managedResources") or () if r.get("ignoredByScheduler")]
    if left:
        fit = args.get("NodeResourcesFit") or {}
        args["NodeResourcesFit"] = {**fit, "ignoredResources": [*(fit.get("ignoredResources") or ()), *left]}
    kinds = {**PLUGINS, **config.plugins}
    wanted = dict.fromkeys(name for point in ("preFilter", "filter", "score") for name, _ in points[point])
    if "NodeResourcesFit" in wanted and "NodeResourcesFit" in args:
        validate_fit(args["NodeResourcesFit"])
    _check_points(given, kinds, points)
    made = {name: kinds[name](args.get(name) or {}, cache) for name in wanted if name in kinds}
    filtering = dict.fromkeys(name for name, _ in (*points["filter"], *points["preFilter"]))
    percentage = given.get("percentageOfNodesToScore")
    return Profile(
        name=given["schedulerName"],
        filters=tuple(made[n] for n in filtering if n in made and type(made[n]).filter is not Plugin.filter),
        scores=tuple(
            (made[n], weight or 1)
            for n, weight in points["score"]
            if n in made and type(made[n]).score is not Plugin.score
        ),
        post_filters=tuple(n for n, _ in points["postFilter"]),
        percentage_of_nodes_to_score=config.percentage_of_nodes_to_score if percentage is None else percentage,
        preemption=args.get("DefaultPreemption") or {},
    )


def _check_points(
    given: Object, kinds: Mapping[str, type[Plugin]], points: Mapping[str, list[tuple[str, int]]]
) -> None:
    """Plug-ins exist and take part where they are enabled; pods are sorted and bound by somebody. Raises ConfigError.

    Source: updatePluginList, expandMultiPointPlugins and NewFramework in pkg/scheduler/framework/runtime/framework.go.
    """
    known = frozenset((*kinds, *SHELL_PLUGINS))
    plugins = given.get("plugins") or {}
    for point in POINTS:
        kind = f"{point[0].upper()}{point[1:]}Plugin"
        named = [name for name, _ in _entries(plugins.get(point) or {})]
        for position, name in enumerate(named):
            if name not in known:
                raise ConfigError(f'{kind} "{name}" does not exist')
            if point not in extends(name, kinds.get(name)):
                raise ConfigError(f'plugin "{name}" does not extend {kind} plugin')
            if name in named[:position]:
                raise ConfigError(f'plugin "{name}" already registered as "{kind}"')
    for point in POINTS:
        missing = next((name for name, _ in points[point] if name not in known), None)
        if missing is not None:
            raise ConfigError(f'{point[0].upper()}{point[1:]}Plugin "{missing}" does not exist')
    scheduler = f'for profile with scheduler name "{given["schedulerName"]}"'
    sorting, binding = (
        sum(point in extends(name, kinds.get(name)) for name, _ in points[point]) for point in ("queueSort", "bind")
    )
    if sorting != 1:
        raise ConfigError(f"only one queue sort plugin required {scheduler}, but got {sorting}")
    if not binding:
        raise ConfigError(f"at least one bind plugin is needed {scheduler}")


def enabled_plugins(given: Object) -> dict[str, list[tuple[str, int]]]:
    """Extension point -> (plug-in, weight) in order: the defaults with what a profile turns on and off."""
    multi = _merged([(name, DEFAULT_WEIGHTS.get(name, 1)) for name in DEFAULT_ORDER], given.get("multiPoint") or {})
    return {point: _expanded(multi, given.get(point) or {}) for point in POINTS}


def _entries(plugin_set: Object) -> list[tuple[str, int]]:
    return [(item["name"], item.get("weight") or 0) for item in plugin_set.get("enabled") or ()]


def _merged(defaults: list[tuple[str, int]], custom: Object) -> list[tuple[str, int]]:
    """mergePluginSet: a default that is enabled again keeps its place, others come last."""
    disabled = {item["name"] for item in custom.get("disabled") or ()}
    entries = dict(_entries(custom))
    found = []
    for name, weight in defaults if "*" not in disabled else ():
        if name in entries and name not in disabled:
            found.append((name, entries.pop(name) or weight))
        elif name not in disabled:
            found.append((name, weight))
    return found + list(entries.items())


def _expanded(multi: list[tuple[str, int]], point: Object) -> list[tuple[str, int]]:
    """expandMultiPointPlugins: what the point itself names comes first, then multiPoint's in its order."""
    disabled = {item["name"] for item in point.get("disabled") or ()}
    own = dict(_entries(point))
    rest = [] if "*" in disabled else [(name, weight) for name, weight in multi if name not in disabled]
    overriding = [(name, own[name] or weight) for name, weight in rest if name in own]
    named = dict(overriding)
    return (
        overriding
        + [(name, weight) for name, weight in own.items() if name not in named]
        + [(name, weight) for name, weight in rest if name not in own]
    )
