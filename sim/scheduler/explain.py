"""A decision laid open: every plug-in's verdict and score per node, as data and as a table.

decision = framework.decide(pod, rng, detail=True)
explanation(decision, framework.profile)["nodes"][0]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.scheduler.decide import Decision
from seatrial.sim.scheduler.framework import Profile

TITLES = ("NODE", "VERDICT", "PLUGIN", "REASONS")


def explanation(decision: Decision, profile: Profile) -> dict[str, Any]:
    """The decision as JSON: the outcome, the profile's weights, and per node the verdict and the weighted scores.

    ``verdict`` of a node is ``Success`` or the code of the plug-in that turned it down; ``Unevaluated`` when the search
    ended before it.
    """
    pod = decision.pod
    found: dict[str, Any] = {
        "pod": {"namespace": pod.namespace, "name": pod.name},
        "profile": profile.name,
        "node": decision.node,
        "message": decision.message,
        "nodesTotal": decision.nodes,
        "nodesEvaluated": decision.evaluated,
        "nodesFeasible": decision.feasible,
        "filters": [plugin.name for plugin in profile.filters],
        "scores": [{"plugin": plugin.name, "weight": weight} for plugin, weight in profile.scores],
        "nodes": [],
    }
    if decision.pre_filter is not None:
        status = decision.pre_filter
        found["preFilter"] = {"plugin": status.plugin, "code": str(status.code), "reasons": list(status.reasons)}
        return found
    found["nodes"] = sorted(_nodes(decision), key=_rank)
    return found


def _nodes(decision: Decision) -> list[dict[str, Any]]:
    verdicts: dict[str, dict[str, Any]] = {}
    for rejection in decision.rejected:
        status = rejection.status
        for name in rejection.nodes:
            verdicts[name] = {
                "node": name,
                "verdict": str(status.code),
                "plugin": status.plugin,
                "reasons": list(status.reasons),
            }
    for name in decision.fitting:
        verdicts[name] = {"node": name, "verdict": "Success", "reasons": []}
        if name in decision.scores:
            verdicts[name]["scores"] = decision.scores[name]
            verdicts[name]["final"] = decision.final[name]
    for name in decision.names:
        if name not in verdicts:
            verdicts[name] = {"node": name, "verdict": "Unevaluated", "reasons": []}
    return list(verdicts.values())


def _rank(entry: Mapping[str, Any]) -> tuple[bool, bool, int, str]:
    """The best first, then what was not looked at, then what was turned down."""
    feasible = entry["verdict"] == "Success"
    return not feasible, entry["verdict"] != "Unevaluated", -entry.get("final", 0), entry["node"]


def table(explained: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(titles, rows) of an explanation: one column per plug-in that scored, and why nodes were turned down."""
    nodes = explained["nodes"]
    scoring = list(dict.fromkeys(plugin for entry in nodes for plugin in entry.get("scores", {})))
    titles = [TITLES[0], TITLES[1], *scoring, *(["TOTAL"] if scoring else []), *TITLES[2:]]
    rows = []
    for entry in nodes:
        scores = entry.get("scores", {})
        cells = [str(scores.get(plugin, "")) for plugin in scoring]
        total = [str(entry.get("final", ""))] if scoring else []
        reasons = "; ".join(entry["reasons"])
        rows.append([entry["node"], entry["verdict"], *cells, *total, entry.get("plugin", ""), reasons])
    return titles, rows
