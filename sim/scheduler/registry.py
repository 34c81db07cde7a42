"""Which plug-ins there are and which a profile has by default (pkg/scheduler/apis/config/v1/default_plugins.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.framework import PerNode, Plugin, Profile
from seatrial.sim.scheduler.plugins.dynamicresources import DynamicResources
from seatrial.sim.scheduler.plugins.imagelocality import ImageLocality
from seatrial.sim.scheduler.plugins.interpodaffinity import InterPodAffinity
from seatrial.sim.scheduler.plugins.nodeaffinity import NodeAffinity
from seatrial.sim.scheduler.plugins.nodename import NodeName
from seatrial.sim.scheduler.plugins.nodeports import NodePorts
from seatrial.sim.scheduler.plugins.noderesources import NodeResourcesBalancedAllocation, NodeResourcesFit
from seatrial.sim.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from seatrial.sim.scheduler.plugins.nodevolumelimits import NodeVolumeLimits
from seatrial.sim.scheduler.plugins.podtopologyspread import PodTopologySpread
from seatrial.sim.scheduler.plugins.tainttoleration import TaintToleration
from seatrial.sim.scheduler.plugins.volumebinding import VolumeBinding
from seatrial.sim.scheduler.plugins.volumerestrictions import VolumeRestrictions
from seatrial.sim.scheduler.plugins.volumezone import VolumeZone

PLUGINS: dict[str, type[Plugin]] = {
    plugin.name: plugin
    for plugin in (
        NodeUnschedulable, NodeName, TaintToleration, NodeAffinity, NodePorts, NodeResourcesFit, VolumeRestrictions,
        NodeVolumeLimits, VolumeBinding, VolumeZone, PodTopologySpread, InterPodAffinity, DynamicResources,
        NodeResourcesBalancedAllocation, ImageLocality,
    )
}  # fmt: skip
"""Plug-ins that filter or score, in upstream's default order."""

SHELL_PLUGINS = ("SchedulingGates", "PrioritySort", "DefaultPreemption", "DefaultBinder")
"""Plug-ins whose work the queue, preemption and the binding cycle do."""

DEFAULT_ORDER = (
    "SchedulingGates", "PrioritySort", "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts",
    "NodeResourcesFit", "VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone", "PodTopologySpread",
    "InterPodAffinity", "DynamicResources", "DefaultPreemption", "NodeResourcesBalancedAllocation", "ImageLocality",
    "DefaultBinder",
)  # fmt: skip
"""The default multiPoint set."""

FILTERS, SCORES = ("preFilter", "filter"), ("preScore", "score")
EXTENDS: Mapping[str, tuple[str, ...]] = {
    "SchedulingGates": ("preEnqueue",),
    "PrioritySort": ("queueSort",),
    "NodeUnschedulable": ("filter",),
    "NodeName": ("filter",),
    "TaintToleration": ("filter", *SCORES),
    "NodeAffinity": (*FILTERS, *SCORES),
    "NodePorts": FILTERS,
    "NodeResourcesFit": (*FILTERS, *SCORES),
    "VolumeRestrictions": FILTERS,
    "NodeVolumeLimits": FILTERS,
    "VolumeBinding": (*FILTERS, "reserve", "preBind", *SCORES),
    "VolumeZone": FILTERS,
    "PodTopologySpread": (*FILTERS, *SCORES),
    "InterPodAffinity": (*FILTERS, *SCORES),
    "DynamicResources": ("preEnqueue", *FILTERS, "postFilter", "score", "reserve", "preBind"),
    "DefaultPreemption": ("preEnqueue", "postFilter"),
    "NodeResourcesBalancedAllocation": SCORES,
    "ImageLocality": ("score",),
    "DefaultBinder": ("bind",),
}
"""Plug-in -> the extension points at which upstream's takes part."""


def extends(name: str, plugin: type[Plugin] | None) -> tuple[str, ...]:
    """Where a plug-in takes part; one of the user's own filters, scores, or both."""
    if name in EXTENDS or plugin is None:
        return EXTENDS.get(name, ())
    if issubclass(plugin, PerNode):
        filters, scores = plugin.filter_node is not PerNode.filter_node, plugin.score_node is not PerNode.score_node
    else:
        filters, scores = plugin.filter is not Plugin.filter, plugin.score is not Plugin.score
    return (*(FILTERS if filters else ()), *(SCORES if scores else ()))


DEFAULT_WEIGHTS: Mapping[str, int] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
}
"""Score weights other than 1."""


def default_profile(cache: Cache, args: Mapping[str, Mapping[str, Any]] | None = None) -> Profile:
    """The profile of a scheduler without a configuration file; ``args``: plug-in name -> its arguments."""
    made = {name: kind((args or {}).get(name) or {}, cache) for name, kind in PLUGINS.items()}
    return Profile(
        name="default-scheduler",
        filters=tuple(p for p in made.values() if type(p).filter is not Plugin.filter),
        scores=tuple((p, DEFAULT_WEIGHTS.get(p.name, 1)) for p in made.values() if type(p).score is not Plugin.score),
    )
