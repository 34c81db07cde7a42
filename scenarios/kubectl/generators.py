"""The objects that ``kubectl create TYPE``, ``run``, ``expose`` and ``autoscale`` make from flags.

Source: k8s.io/kubectl/pkg/cmd/create/*.go, …/run/run.go. The objects have the shape in which Go writes them, empty
structs included, for that is what ``--dry-run=client -o yaml`` shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.configuration import configmap, secret
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.naming import meta, name_of
from seatrial.sim.machinery import quantity

Object = dict[str, Any]


def container_name(image: str) -> str:
    """The name that an image gives to its container."""
    last = image.rpartition("/")[2]
    return re.sub(r"[^-a-z0-9]+", "-", re.split("[:@]", last)[0])


def deployment(call: Call) -> Object:
    flags, name = call.flags, name_of(call)
    images, command = flags["image"], call.command_args
    if len(images) > 1 and command:
        raise Failure("cannot specify multiple --image options and command")
    labels = {"app": name}
    containers: list[Object] = []
    for image in images:
        each: Object = {"image": image, "name": container_name(image), "resources": {}}
        if command:
            each["command"] = command
        if any(other["name"] == each["name"] for other in containers):
            each["name"] = f"{each['name']}-{len(containers)}"
        containers.append(each)
    if flags["port"] >= 0 and containers:
        containers[0]["ports"] = [{"containerPort": flags["port"]}]
    if flags["replicas"] < 0:
        raise Failure(f"invalid replicas: {flags['replicas']}")
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(call, name, labels=labels),
        "spec": {
            "replicas": flags["replicas"],
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    }


def _tcp_ports(call: Call, allow_none: bool, node_port: int = 0) -> list[Object]:
    given = call.flags["tcp"]
    if not given and not allow_none:
        raise Failure("at least one tcp port specifier must be provided")
    return [_tcp_port(text, node_port) for text in given]


def _port(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise Failure(f'strconv.Atoi: parsing "{text}": invalid syntax') from None
    if not 1 <= value <= 65535:
        raise Failure(f"invalid port: {text}") from None
    return value


def _tcp_port(text: str, node_port: int) -> Object:
    first, colon, second = text.partition(":")
    port = _port(first)
    target: int | str = port
    if colon:
        target = int(second) if second.isdigit() else second
    name = text.replace(":", "-")
    found: Object = {"name": name, "port": port, "protocol": "TCP", "targetPort": target}
    if node_port:
        found["nodePort"] = node_port
    return found


def service(call: Call) -> Object:
    name, kind = name_of(call), call.path.split()[-1]
    flags, labels = call.flags, {"app": name}
    spec: Object = {"selector": labels}
    match kind:
        case "clusterip":
            headless = flags["clusterip"] == "None"
            spec["type"] = "ClusterIP"
            if flags["clusterip"]:
                spec["clusterIP"] = flags["clusterip"]
            if not flags["tcp"] and not headless:
                raise Failure("at least one tcp port specifier must be provided")
            ports = _tcp_ports(call, headless)
        case "nodeport":
            spec["type"] = "NodePort"
            ports = _tcp_ports(call, False, flags["node-port"])
        case "loadbalancer":
            spec["type"] = "LoadBalancer"
            ports = _tcp_ports(call, False)
        case _:
            spec = {"selector": labels, "type": "ExternalName", "externalName": flags["external-name"]}
            ports = _tcp_ports(call, True)
    if ports:
        spec["ports"] = ports
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(call, name, labels=labels),
        "spec": spec,
        "status": {"loadBalancer": {}},
    }


def namespace(call: Call) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name_of(call)}, "spec": {}, "status": {}}


def serviceaccount(call: Call) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(call, name_of(call))}


def priorityclass(call: Call) -> Object:
    flags, name = call.flags, name_of(call)
    found: Object = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
    if flags["description"]:
        found["description"] = flags["description"]
    if flags["global-default"]:
        found["globalDefault"] = True
    found["preemptionPolicy"] = flags["preemption-policy"]
    found["value"] = flags["value"]
    return found


def assignments(text: str, wrong: str) -> dict[str, str]:
    """``a=b,c=d``. Raises Failure with ``wrong`` about a part that assigns nothing."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals:
            raise Failure(wrong.format(part))
        found[key] = value
    return found


def amounts(text: str) -> dict[str, str]:
    """``cpu=200m,memory=512Mi``. Raises Failure."""
    given = assignments(text, "Invalid argument syntax {}, expected <resource>=<value>")
    try:
        return {name: str(quantity.parse(amount)) for name, amount in given.items()}
    except ValueError as problem:
        raise Failure(str(problem)) from None


def quota(call: Call) -> Object:
    flags = call.flags
    spec: Object = {}
    if flags["hard"]:
        spec["hard"] = amounts(flags["hard"])
    if flags["scopes"]:
        spec["scopes"] = flags["scopes"].split(",")
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta(call, name_of(call)), "spec": spec,
            "status": {}}  # fmt: skip


def poddisruptionbudget(call: Call) -> Object:
    flags, name = call.flags, name_of(call)
    if not flags["selector"]:
        raise Failure("a selector must be specified")
    least, most = flags["min-available"], flags["max-unavailable"]
    if least and most:
        raise Failure("min-available and max-unavailable cannot be both specified")
    if not least and not most:
        raise Failure("one of min-available or max-unavailable must be specified")
    spec: Object = {"selector": selector_of(flags["selector"])}
    for field, text in (("minAvailable", least), ("maxUnavailable", most)):
        if text:
            spec[field] = int(text) if re.fullmatch(r"\d+", text) else text
    metadata = meta(call, name)
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec,
            "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}}  # fmt: skip


def selector_of(text: str) -> Object:
    """A label selector of an object from its text."""
    from seatrial.sim.machinery.selectors import parse

    matching: dict[str, str] = {}
    expressions: list[Object] = []
    names = {"in": "In", "notin": "NotIn", "exists": "Exists", "!": "DoesNotExist", "!=": "NotIn"}
    for term in parse(text):
        if term.operator in ("=", "=="):
            matching[term.key] = next(iter(term.values))
        else:
            row: Object = {"key": term.key, "operator": names.get(term.operator, term.operator)}
            if term.values:
                row["values"] = sorted(term.values)
            expressions.append(row)
    found: Object = {}
    if expressions:
        found["matchExpressions"] = expressions
    if matching:
        found["matchLabels"] = matching
    return found


# jobs


def job(call: Call) -> Object:
    flags, name = call.flags, name_of(call)
    if not flags["image"] and not flags["from"]:
        raise Failure("either --image or --from must be specified")
    if flags["image"] and flags["from"]:
        raise Failure("either --image or --from must be specified")
    if flags["from"]:
        if call.command_args:
            raise Failure("cannot specify --from and command")
        return _job_from(call, name, flags["from"])
    container: Object = {"image": flags["image"], "name": name, "resources": {}}
    if call.command_args:
        container["command"] = call.command_args
    template = {"metadata": {}, "spec": {"containers": [container], "restartPolicy": "Never"}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta(call, name), "spec": {"template": template},
            "status": {}}  # fmt: skip


def _job_from(call: Call, name: str, source: str) -> Object:
    from seatrial.scenarios.kubectl.builder import fetched, wanted

    found = list(fetched(call, wanted(call, [source])))
    if len(found) != 1 or found[0].object["kind"] != "CronJob":
        raise Failure("from must be an existing cronjob")
    cron = found[0].object
    template = cron["spec"]["jobTemplate"]
    annotations = {"cronjob.kubernetes.io/instantiate": "manual"}
    annotations.update((template.get("metadata") or {}).get("annotations") or {})
    metadata = meta(call, name, annotations=annotations)
    if labels := (template.get("metadata") or {}).get("labels"):
        metadata["labels"] = labels
    metadata["ownerReferences"] = [
        {"apiVersion": "batch/v1", "controller": True, "kind": "CronJob", "name": cron["metadata"]["name"],
         "uid": cron["metadata"]["uid"]}
    ]  # fmt: skip
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"], "status": {}}


def cronjob(call: Call) -> Object:
    flags, name = call.flags, name_of(call)
    container: Object = {"image": flags["image"], "name": name, "resources": {}}
    if call.command_args:
        container["command"] = call.command_args
    restart = flags["restart"] or "OnFailure"
    template = {"metadata": {}, "spec": {"containers": [container], "restartPolicy": restart}}
    inner = {"metadata": {"name": name}, "spec": {"template": template}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta(call, name),
            "spec": {"jobTemplate": inner, "schedule": flags["schedule"]}, "status": {}}  # fmt: skip


# ingress

RULE = re.compile(
    r"^(?P<host>[\w*\-.]*)(?P<path>(?:/[\w\-/]*)?\*?)=(?P<svcname>[\w-]+):(?P<svcport>[\w-]+)(?:,(?P<tls>tls(?:=(?P<secretname>[\w-]+))?))?$"
)


def _backend(name: str, port: str) -> Object:
    return {"service": {"name": name, "port": {"number": int(port)} if port.isdigit() else {"name": port}}}


def ingress(call: Call) -> Object:
    flags, name = call.flags, name_of(call)
    if not flags["rule"] and not flags["default-backend"]:
        raise Failure(
            "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)"
        )
    spec: Object = {}
    if flags["class"]:
        spec["ingressClassName"] = flags["class"]
    if flags["default-backend"]:
        service_name, colon, port = flags["default-backend"].partition(":")
        if not colon:
            raise Failure("default-backend should be in format servicename:serviceport")
        spec["defaultBackend"] = _backend(service_name, port)
    rules: list[Object] = []
    tls: list[Object] = []
    for text in flags["rule"]:
        match = RULE.match(text)
        if match is None:
            raise Failure(f"rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]")
        _ingress_rule(rules, tls, match)
    if rules:
        spec["rules"] = rules
    if tls:
        spec["tls"] = tls
    metadata = meta(call, name)
    if flags["annotation"]:
        annotations = {}
        for text in flags["annotation"]:
            key, equals, value = text.partition("=")
            if not equals:
                raise Failure(f"annotation {text} is invalid and should be in format key=[value]")
            annotations[key] = value
        metadata["annotations"] = annotations
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec,
            "status": {"loadBalancer": {}}}  # fmt: skip


def _ingress_rule(rules: list[Object], tls: list[Object], match: re.Match[str]) -> None:
    host, text = match["host"], match["path"] or "/"
    kind = "Exact"
    if text.endswith("*"):
        kind, text = "Prefix", text[:-1] or "/"
    row = {"backend": _backend(match["svcname"], match["svcport"]), "path": text, "pathType": kind}
    held = next((rule for rule in rules if rule.get("host", "") == host), None)
    if held is None:
        held = {"host": host} if host else {}
        held["http"] = {"paths": []}
        rules.append(held)
    held["http"]["paths"].append(row)
    if match["tls"]:
        secret_name = match["secretname"] or ""
        entry = next((each for each in tls if each.get("secretName", "") == secret_name), None)
        if entry is None:
            entry = {"secretName": secret_name} if secret_name else {}
            tls.append(entry)
        if host and host not in entry.get("hosts", ()):
            entry.setdefault("hosts", []).append(host)


Generator = Callable[[Call], Object]
GENERATORS: Mapping[str, tuple[Generator, str]] = {
    "deployment": (deployment, "failed to create deployment: "),
    "service clusterip": (service, "failed to create ClusterIP service: "),
    "service nodeport": (service, "failed to create NodePort service: "),
    "service loadbalancer": (service, "failed to create LoadBalancer service: "),
    "service externalname": (service, "failed to create ExternalName service: "),
    "configmap": (configmap, "failed to create configmap: "),
    "secret generic": (secret, "failed to create secret "),
    "secret tls": (secret, "failed to create secret "),
    "secret docker-registry": (secret, "failed to create secret "),
    "namespace": (namespace, ""),
    "serviceaccount": (serviceaccount, "failed to create serviceaccount: "),
    "priorityclass": (priorityclass, "failed to create priorityclass: "),
    "quota": (quota, "failed to create quota: "),
    "poddisruptionbudget": (poddisruptionbudget, "failed to create poddisruptionbudgets: "),
    "job": (job, "failed to create job: "),
    "cronjob": (cronjob, "failed to create cronjob: "),
    "ingress": (ingress, "failed to create ingress: "),
}
"""What is made, and what is said before a refusal."""
