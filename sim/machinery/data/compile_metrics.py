"""Compiles the metric families of Kubernetes' components into the package data beside this module.

    python -m seatrial.sim.machinery.data.compile_metrics DIRECTORY

The directory holds ``component_metrics.yaml`` and ``ksm_metrics.yaml`` (read from upstream's sources) and
``server/component_metrics_v1.37.json.gz`` (what the real components of v1.37.2 answered, which wins where they differ).
The same input gives the same bytes. A family without a help text in the sources gets the words of its name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from seatrial.sim.machinery.data.compile import read, write

SECTIONS = {
    "kube-apiserver": ("kube_apiserver", "component_base_shared"),
    "kube-controller-manager": ("kube_controller_manager", "component_base_shared"),
    "kube-scheduler": ("kube_scheduler", "component_base_shared"),
    "kubelet": ("kubelet", "component_base_shared"),
    "kube-proxy": ("kube_proxy", "component_base_shared"),
    "cadvisor": ("cadvisor",),
    "node-exporter": ("node_exporter",),
    "kube-state-metrics-self": ("kube_state_metrics_self",),
}
"""The sections of component_metrics.yaml that make up a component; of those with a recording only what was recorded."""
RECORDED = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
MORE = {
    "cadvisor": {
        "container_spec_memory_limit_bytes": "Memory limit for the container.",
        "container_spec_memory_reservation_limit_bytes": "Memory reservation limit for the container.",
        "container_spec_memory_swap_limit_bytes": "Memory swap limit for the container.",
    }
}
"""Gauges that the sources lack; their labels are those of ``container_spec_cpu_period``."""
UNSEEN = {
    "kube-controller-manager": {
        "attach_detach_controller_attachdetach_controller_forced_detaches": [
            "counter",
            "[ALPHA] Number of times the A/D Controller performed a forced detach",
            ["reason"],
            [],
        ],
    }
}
"""Families that neither the sections nor the recording have: a series shows when it is first counted. Source: the
generated documentation of v1.37's metrics."""
PROCESS = "prometheus_self"
"""The section that also knows what every Go process tells of itself."""
DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""prometheus.DefBuckets."""
NUMBER = r"[0-9]*\.?[0-9]+(?:e-?[0-9]+)?"


def buckets(text: str | None) -> list[float]:
    """The upper bounds of a histogram as the Go source has them; the default where they are made elsewhere."""
    words = re.sub(r"//.*?(?=\d+,|\}|$)", "", text or "")
    made = re.match(rf"(\w+)Buckets\(({NUMBER}), *({NUMBER}), *({NUMBER})\)", words)
    if made is not None:
        kind, start, step, count = made[1], float(made[2]), float(made[3]), int(float(made[4]))
        if kind == "Linear":
            return [start + step * number for number in range(count)]
        return [float(f"{start * step**number:.6g}") for number in range(count)]
    if words.startswith("[]float64") or re.fullmatch(rf"(?:{NUMBER}\s*)+", words.strip()):
        return sorted(dict.fromkeys(float(found) for found in re.findall(NUMBER, words.replace("[]float64", ""))))
    return list(DEFAULT_BUCKETS)


def words_of(name: str) -> str:
    """A help text where the sources have none."""
    text = name.removesuffix("_total").replace("_", " ")
    return f"{text[0].upper()}{text[1:]}."


def family(given: Mapping[str, Any], recorded: Mapping[str, Any] | None = None) -> list[Any]:
    """[type, help, labels, buckets]."""
    about = recorded or given
    kind = str(about.get("type") or "gauge")
    text = str(given.get("help") or words_of(given["name"])).split("\n")[0].strip()
    stability = given.get("stability")
    labels = sorted(label for label in about.get("labels") or () if re.fullmatch(r"[a-zA-Z_]\w*", label))
    labels = [label for label in labels if label not in ("le", "quantile")]
    bounds: list[float] = []
    if kind == "histogram":
        given_bounds = [float(bound) for bound in (recorded or {}).get("buckets") or () if bound != "+Inf"]
        bounds = given_bounds or buckets(given.get("buckets"))
    return [kind, f"[{stability}] {text}" if stability else text, labels, bounds]


def compiled(folder: Path) -> dict[str, dict[str, list[Any]]]:
    """Component → family → what is known of it."""
    sections = yaml.safe_load((folder / "component_metrics.yaml").read_text())
    recorded = read(folder / "server" / "component_metrics_v1.37.json.gz")
    known: dict[str, Mapping[str, Any]] = {}
    for section in sections.values():
        for each in section.get("metrics") or () if isinstance(section, Mapping) else ():
            if each["name"] not in known or not known[each["name"]].get("help"):
                known[each["name"]] = each
    process = {
        each["name"]: each
        for each in sections[PROCESS]["metrics"]
        if each["name"].startswith(("go_", "process_")) and each.get("type")
    }
    found: dict[str, dict[str, list[Any]]] = {}
    for component, names in SECTIONS.items():
        rows = {each["name"]: each for name in names for each in sections[name]["metrics"] if each.get("type")}
        if component not in ("cadvisor", "kube-state-metrics-self"):
            rows = {**rows, **process}
        made = {name: family(each) for name, each in rows.items()}
        if component in RECORDED:
            # What has no labels is always told: where the recording lacks it, v1.37 has no such family.
            made = {name: row for name, row in made.items() if row[2]}
            made = {**made, **{
                name: family({"stability": "ALPHA", **known.get(name, {}), "name": name}, each)
                for name, each in recorded[component].items()
            }}  # fmt: skip
        for name, text in MORE.get(component, {}).items():
            made[name] = ["gauge", text, made["container_spec_cpu_period"][2], []]
        found[component] = dict(sorted({**made, **UNSEEN.get(component, {})}.items()))
    states = yaml.safe_load((folder / "ksm_metrics.yaml").read_text())["metrics"]
    found["kube-state-metrics"] = {
        each["name"]: family({**each, "stability": None if each["stability"] == "EXPERIMENTAL" else each["stability"]})
        for each in sorted(states, key=lambda each: str(each["name"]))
    }
    return found


if __name__ == "__main__":
    write("metrics", compiled(Path(sys.argv[1])))
