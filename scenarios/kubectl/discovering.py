"""``kubectl api-resources``, ``api-versions``, ``cluster-info``, ``version``, ``plugin``, ``kustomize``, ``proxy``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import Kind
from seatrial.scenarios.kubectl.commands import data
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.tabwriter import table
from seatrial.scenarios.kubectl.values import pretty, yaml_text

Object = Mapping[str, Any]


def run(call: Call) -> int:
    return COMMANDS[call.path](call)


def api_resources(call: Call) -> int:
    flags = call.flags
    if call.args:
        raise call.misused(f"unexpected arguments: [{' '.join(call.args)}]")
    if flags["sort-by"] not in ("", "name", "kind"):
        raise Failure("--sort-by accepts only name or kind")
    rows = [kind for kind in preferred(call) if _shown(call, kind)]
    key = flags["sort-by"]
    rows.sort(key=(lambda kind: kind.plural) if key == "name" else (lambda kind: kind.kind) if key == "kind"
              else lambda kind: (kind.group, kind.plural))  # fmt: skip
    if flags["output"] == "name":
        for kind in rows:
            call.out(kind.resource)
        return 0
    if flags["output"] in ("json", "yaml"):
        value = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "", "resources": [
            {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "group": kind.group,
             "version": kind.version, "kind": kind.kind, "verbs": list(kind.verbs), "shortNames": list(kind.short_names)}
            for kind in rows]}  # fmt: skip
        call.write(pretty(value) + "\n" if flags["output"] == "json" else yaml_text(value))
        return 0
    if flags["output"] not in ("", "wide"):
        raise Failure(
            f'unable to match a printer suitable for the output format "{flags["output"]}", allowed formats are: json,name,wide,yaml'
        )
    wide = flags["output"] == "wide"
    head = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", *(["VERBS", "CATEGORIES"] if wide else [])]
    lines = [] if flags["no-headers"] else [head]
    for kind in rows:
        cells = [kind.plural, ",".join(kind.short_names), kind.api_version, str(kind.namespaced).lower(), kind.kind]
        if wide:
            cells += [",".join(kind.verbs), ",".join(kind.categories)]
        lines.append(cells)
    call.write(table(lines))
    return 0


def preferred(call: Call) -> list[Kind]:
    """Every type once, in the version that the server prefers."""
    found: dict[tuple[str, str], Kind] = {}
    for kind in call.client.discovered:
        found.setdefault((kind.group, kind.plural), kind)
    return list(found.values())


def _shown(call: Call, kind: Kind) -> bool:
    flags = call.flags
    if not kind.verbs:
        return False
    if flags.changed("api-group") and kind.group != flags["api-group"]:
        return False
    if flags.changed("namespaced") and kind.namespaced != flags["namespaced"]:
        return False
    if any(verb not in kind.verbs for verb in flags["verbs"]):
        return False
    return not any(category not in kind.categories for category in flags["categories"])


def api_versions(call: Call) -> int:
    if call.args:
        raise call.misused(f"unexpected arguments: [{' '.join(call.args)}]")
    for version in sorted({kind.api_version for kind in call.client.discovered}):
        call.out(version)
    return 0


def cluster_info(call: Call) -> int:
    kind = call.client.kind("services")
    found = call.client.items(kind, call.namespace if call.explicit_namespace else "kube-system",
                              {"labelSelector": "kubernetes.io/cluster-service=true"})  # fmt: skip
    base = call.session.address()
    _info_line(call, "Kubernetes control plane", base)
    for service in found:
        metadata, spec = service["metadata"], service["spec"]
        name = (metadata.get("labels") or {}).get("kubernetes.io/name") or metadata["name"]
        ports = spec.get("ports") or ()
        part = metadata["name"]
        if ports:
            port = ports[0]
            scheme = "https:" if port["port"] == 443 or port.get("name") == "https" else ""
            part = f"{scheme}{metadata['name']}:{port.get('name') or (port['port'] if scheme else '')}".rstrip(":")
        _info_line(call, name, f"{base}/api/v1/namespaces/{metadata['namespace']}/services/{part}/proxy")
    call.out("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.")
    return 0


def _info_line(call: Call, name: str, url: str) -> None:
    colours = ("\x1b[32m", "\x1b[0m", "\x1b[33m") if call.session.stdout.isatty() else ("", "", "")
    call.out(f"{colours[0]}{name}{colours[1]} is running at {colours[2]}{url}{colours[1]}")


def cluster_dump(call: Call) -> int:
    """``cluster-info dump``: what there is in kube-system and the namespace, one list after the other."""
    flags = call.flags
    places = ["kube-system", call.namespace] if not flags["namespaces"] else list(flags["namespaces"])
    if flags["all-namespaces"]:
        places = [each["metadata"]["name"] for each in call.client.items(call.client.kind("namespaces"))]
    text = yaml_text if flags["output"] == "yaml" else lambda value: pretty(value) + "\n"
    call.write(text(call.client.get("/api/v1/nodes")))
    for place in dict.fromkeys(places):
        for word in (
            "events",
            "replicationcontrollers",
            "services",
            "daemonsets",
            "deployments",
            "replicasets",
            "pods",
        ):
            call.write(text(call.client.get(call.client.kind(word).path(place))))
        for pod in call.client.items(call.client.kind("pods"), place):
            for container in pod["spec"]["containers"]:
                name = pod["metadata"]["name"]
                call.out(f"==== START logs for container {container['name']} of pod {place}/{name} ====")
                path = call.client.kind("pods").path(place, name, "log")
                request = call.client.request_of("GET", path, {"container": container["name"]})
                for piece in call.session.lines(request):
                    call.write(piece.decode(errors="replace"))
                call.out(f"==== END logs for container {container['name']} of pod {place}/{name} ====")
    return 0


VERSION = (
    "major",
    "minor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
)


def version(call: Call) -> int:
    flags = call.flags
    if flags["output"] not in ("", "yaml", "json"):
        raise Failure("--output must be 'yaml' or 'json'")
    own = data()["version"]
    client = {name: own["clientVersion"][name] for name in VERSION}
    found: dict[str, Any] = {"clientVersion": client, "kustomizeVersion": own["kustomizeVersion"]}
    problem: Failure | None = None
    if not flags["client"]:
        try:
            found["serverVersion"] = call.client.get("/version")
        except Failure as refused:
            problem = refused
    if flags["output"] == "yaml":
        call.out(yaml_text(found))
    elif flags["output"] == "json":
        call.out(json.dumps(found, indent=2))
    else:
        call.out(f"Client Version: {own['clientVersion']['gitVersion']}")
        call.out(f"Kustomize Version: {own['kustomizeVersion']}")
        if "serverVersion" in found:
            call.out(f"Server Version: {found['serverVersion']['gitVersion']}")
    if problem is not None:
        raise problem
    return 0


def plugins(call: Call) -> int:
    found = []
    for directory in call.session.environment.get("PATH", "").split(os.pathsep):
        try:
            names = call.session.files.children(directory) if directory else None
        except OSError as problem:
            call.err(f'Unable to read directory "{directory}" from your PATH: open {directory}: '
                     f"{(problem.strerror or str(problem)).lower()}. Skipping...")  # fmt: skip
            continue
        found += [f"{directory}/{name}" for name in names or () if name.startswith("kubectl-")]
    if not found:
        raise Failure("unable to find any kubectl plugins in your PATH")
    call.out("The following compatible plugins are available:\n")
    for path in found:
        call.out(path)
    return 0


def kustomize(call: Call) -> int:
    from seatrial.scenarios.kubectl.kustomizing import build

    if len(call.args) > 1:
        raise Failure("specify one path to kustomization.yaml")
    objects = build(call.session.files, call.args[0] if call.args else ".")
    text = "---\n".join(yaml_text(obj) for obj in objects)
    if call.flags["output"]:
        call.session.files.write(call.flags["output"], text.encode())
    else:
        call.write(text)
    return 0


def proxy(call: Call) -> int:
    raise Failure("this kubectl has no proxy: use the server's own address, or a real kubectl")


def kuberc(call: Call) -> int:
    raise Failure("this kubectl keeps no kuberc file; a real kubectl does")


COMMANDS = {
    "api-resources": api_resources,
    "api-versions": api_versions,
    "cluster-info": cluster_info,
    "cluster-info dump": cluster_dump,
    "version": version,
    "plugin list": plugins,
    "kustomize": kustomize,
    "proxy": proxy,
    "kuberc set": kuberc,
    "kuberc view": kuberc,
}
