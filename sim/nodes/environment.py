"""A container's environment, its downward API, and /etc/hosts and resolv.conf of its pod.

Source: k8s.io/kubernetes/pkg/kubelet/{kubelet_pods.go,envvars,network/dns}, k8s.io/kubernetes/third_party/forked/
golang/expansion.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seatrial.sim.machinery.quantity import Quantity, parse
from seatrial.sim.nodes.cri import PortMapping
from seatrial.sim.nodes.envfile import value_in
from seatrial.sim.nodes.spec import find_container

Object = Mapping[str, Any]
Find = Callable[[str, str], Object | None]
"""(kind, name) → a ConfigMap or Secret of the pod's namespace."""
Read = Callable[[str, str], bytes]
"""(volume, path in it) → a file's contents. Raises LookupError for no such volume, OSError for no such file."""

REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")
VALID_NAME = re.compile(r"[ -<>-~]+")
"""Printable ASCII but the equals sign (validation.IsRelaxedEnvVarName)."""
NAMESERVERS_MAX = 3
MAP_REFERENCE = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """A container whose configuration refers to something that is not there: ``args`` is the message."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces ``$(NAME)``; ``$$`` stands for a dollar, unknown names stay as they are."""
    if "$" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return values.get(match.group(2), match.group(0))

    return REFERENCE.sub(one, text)


def port_mappings_of(pod: Object) -> tuple[PortMapping, ...]:
    """The ports of the machine that lead to a pod (MakePortMappings)."""
    return tuple(
        PortMapping(port.get("hostIP", ""), port["hostPort"], port["containerPort"], port.get("protocol", "TCP"))
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def sysctls_of(pod: Object) -> dict[str, str]:
    """The kernel parameters that a pod sets, names with dots."""
    given = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return {each["name"].replace("/", "."): each["value"] for each in given}


def field_value(pod: Object, path: str, facts: Mapping[str, str]) -> str:
    """The value of a fieldRef. ``facts``: what only the node knows (status.podIP, status.hostIP ...)."""
    if path in facts:
        return facts[path]
    metadata, spec = pod["metadata"], pod["spec"]
    match = MAP_REFERENCE.fullmatch(path)
    if match:
        return str((metadata.get(match.group(1)) or {}).get(match.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = sorted((metadata.get(path.split(".")[1]) or {}).items())
        return "\n".join(f"{key}={_quoted(value)}" for key, value in entries)
    plain = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata.get("namespace", ""),
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
    }
    if path not in plain:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(plain[path])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def resource_value(pod: Object, reference: Object, allocatable: Mapping[str, str], container_name: str = "") -> str:
    """The value of a resourceFieldRef; a limit that is not set is what the node can give."""
    name = reference.get("containerName") or container_name
    found = find_container(pod, name)
    kind, _, resource = reference["resource"].partition(".")
    resources = (found[1].get("resources") or {}) if found is not None else {}
    text = (resources.get(kind) or {}).get(resource)
    if text is None:
        text = allocatable.get(resource, "0") if kind == "limits" else "0"
    divisor = parse(str(reference.get("divisor") or "1"))
    if not divisor:
        divisor = parse("1")
    return str(_ceiling(parse(text), divisor, resource))


def _ceiling(amount: Quantity, divisor: Quantity, resource: str) -> int:
    if resource == "cpu":
        return -(-amount.milli_value() // divisor.milli_value())
    return -(-amount.value() // divisor.value())


def service_environment(services: Iterable[Object], namespace: str, wanted: bool) -> dict[str, str]:
    """Variables that name the services of a pod's namespace and the API server (envvars.FromServices)."""
    made: dict[str, str] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        master = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        if not master and not (wanted and metadata["namespace"] == namespace):
            continue
        address = spec.get("clusterIP", "")
        ports = spec.get("ports") or ()
        if address in ("", "None") or not ports:
            continue
        made.update(_of_service(metadata["name"], address, ports))
    return made


def _of_service(name: str, address: str, ports: Iterable[Object]) -> dict[str, str]:
    prefix = re.sub(r"[-.]", "_", name).upper()
    made = {f"{prefix}_SERVICE_HOST": address}
    for index, port in enumerate(ports):
        number, protocol = port["port"], port.get("protocol", "TCP")
        if index == 0:
            made[f"{prefix}_SERVICE_PORT"] = str(number)
            made[f"{prefix}_PORT"] = f"{protocol.lower()}://{address}:{number}"
        if port.get("name"):
            made[f"{prefix}_SERVICE_PORT_{re.sub('-', '_', port['name']).upper()}"] = str(number)
        each = f"{prefix}_PORT_{number}_{protocol}"
        made[each] = f"{protocol.lower()}://{address}:{number}"
        made[f"{each}_PROTO"] = protocol.lower()
        made[f"{each}_PORT"] = str(number)
        made[f"{each}_ADDR"] = address
    return made


class Environment:
    """Makes the variables of one container; ``find``, ``facts`` and ``read`` come from the kubelet."""

    def __init__(self, pod: Object, container: Object, find: Find, facts: Mapping[str, str], read: Read) -> None:
        self.pod = pod
        self.container = container
        self.find = find
        self.facts = facts
        self.read = read

    def make(self, services: Mapping[str, str], allocatable: Mapping[str, str]) -> dict[str, str]:
        """All variables. Raises ConfigError (makeEnvironmentVariables)."""
        values: dict[str, str] = {}
        for source in self.container.get("envFrom") or ():
            values.update(self._from(source))
        expanding = {**services, **values}
        for entry in self.container.get("env") or ():
            name, source = entry["name"], entry.get("valueFrom")
            if source is None:
                value: str | None = expand(entry.get("value", ""), expanding)
            else:
                value = self._value(source, allocatable)
            if value is None:
                continue
            values[name] = expanding[name] = value
        return {**{key: value for key, value in services.items() if key not in values}, **values}

    def _from(self, source: Object) -> dict[str, str]:
        prefix = source.get("prefix", "")
        for field, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
            reference = source.get(field)
            if reference is None:
                continue
            found = self.find(kind, reference["name"])
            if found is None:
                if reference.get("optional"):
                    return {}
                raise ConfigError(f'{kind} "{reference["name"]}" not found')
            return {
                prefix + key: value for key, value in texts(kind, found).items() if VALID_NAME.fullmatch(prefix + key)
            }
        return {}

    def _value(self, source: Object, allocatable: Mapping[str, str]) -> str | None:
        if "fieldRef" in source:
            return field_value(self.pod, source["fieldRef"]["fieldPath"], self.facts)
        if "resourceFieldRef" in source:
            return resource_value(self.pod, source["resourceFieldRef"], allocatable, self.container["name"])
        for field, kind, title in (
            ("configMapKeyRef", "configmap", "ConfigMap"),
            ("secretKeyRef", "secret", "Secret"),
        ):
            reference = source.get(field)
            if reference is not None:
                return self._key(reference, kind, title)
        if "fileKeyRef" in source:
            return self._in_file(source["fileKeyRef"])
        return ""

    def _in_file(self, reference: Object) -> str | None:
        volume, path, key = reference["volumeName"], reference["path"], reference["key"]
        try:
            found = value_in(self.read(volume, path).decode(errors="replace"), key)
        except LookupError:
            raise ConfigError(f'cannot find the volume "{volume}" referenced by FileKeyRef') from None
        except OSError as error:
            if reference.get("optional"):
                return None
            raise ConfigError(f'failed to open environment variable file "{path}": {error.strerror}') from None
        except ValueError as problem:
            raise ConfigError(f'couldn\'t parse env file "{path}": {problem}') from None
        if not found and reference.get("optional"):
            return None
        if not found:
            raise ConfigError(f'environment variable key "{key}" not found in file "{path}"')
        return found

    def _key(self, reference: Object, kind: str, title: str) -> str | None:
        name, key = reference["name"], reference["key"]
        found = self.find(kind, name)
        if found is None:
            if reference.get("optional"):
                return None
            raise ConfigError(f'{kind} "{name}" not found')
        values = texts(kind, found)
        if key not in values:
            if reference.get("optional"):
                return None
            raise ConfigError(f"couldn't find key {key} in {title} {found['metadata']['namespace']}/{name}")
        return values[key]


def texts(kind: str, obj: Object) -> dict[str, str]:
    """The entries of a ConfigMap or Secret as text."""
    if kind == "configmap":
        return dict(obj.get("data") or {})
    return {key: b64decode(value).decode(errors="replace") for key, value in (obj.get("data") or {}).items()}


def hosts_file(address: str, hostname: str, domain: str, aliases: Iterable[Object], host_network: bool) -> str:
    """/etc/hosts (managedHostsFileContent)."""
    lines = [
        "# Kubernetes-managed hosts file (host network)." if host_network else "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    if domain:
        lines.append(f"{address}\t{hostname}.{domain}\t{hostname}")
    else:
        lines.append(f"{address}\t{hostname}")
    text = "\n".join(lines) + "\n"
    aliased = [f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or ()) for alias in aliases]
    if aliased:
        text += "\n# Entries added by HostAliases.\n" + "\n".join(aliased) + "\n"
    return text


def dns_of(pod: Object, server: str, domain: str, node: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """servers, searches and options of a pod's resolver (Configurer.GetPodDNS)."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    namespace = pod["metadata"].get("namespace", "")
    made: dict[str, list[str]] = {"servers": [], "searches": [], "options": []}
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        made["servers"] = [server]
        made["searches"] = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *node.get("searches", ())]
        made["options"] = ["ndots:5"]
    elif policy == "Default":
        made = {key: list(values) for key, values in node.items()}
    config = spec.get("dnsConfig") or {}
    made["servers"] = _joined(made["servers"], config.get("nameservers") or ())[:NAMESERVERS_MAX]
    made["searches"] = _joined(made["searches"], config.get("searches") or ())
    made["options"] = _options(made["options"], config.get("options") or ())
    return made


def _joined(base: Iterable[str], more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*base, *more]))


def _options(base: Iterable[str], more: Iterable[Object]) -> list[str]:
    values: dict[str, str] = {}
    for option in base:
        name, _, value = option.partition(":")
        values[name] = value
    for given in more:
        values[given["name"]] = str(given.get("value") or "")
    return [f"{name}:{value}" if value else name for name, value in values.items()]


def hostname_of(pod: Object, cluster_domain: str) -> tuple[str, str]:
    """(hostname, domain) of a pod: the domain is empty unless the spec has a subdomain."""
    spec, metadata = pod["spec"], pod["metadata"]
    override = spec.get("hostnameOverride")
    if override:
        return override, ""
    hostname = spec.get("hostname") or metadata["name"][:63].rstrip("-.")
    subdomain = spec.get("subdomain")
    if subdomain:
        return hostname, f"{subdomain}.{metadata.get('namespace', '')}.svc.{cluster_domain}"
    return hostname, ""
