"""Containers, volumes and templates of pods as ``describe`` shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl.describing.writer import (
    Writer,
    annotated,
    boolean,
    go_bool,
    labels,
    or_none,
    selector,
    when,
)

Object = Mapping[str, Any]
Resolve = Callable[[Object], str]


def containers(
    w: Writer,
    title: str,
    found: Sequence[Object],
    statuses: Sequence[Object] = (),
    resolve: Resolve | None = None,
    indent: str = "",
) -> None:
    by_name = {status["name"]: status for status in statuses}
    w.write(0, f"{indent}{title}:{'' if found else ' <none>'}\n")
    for container in found:
        status = by_name.get(container["name"])
        _basics(w, container, status, indent)
        for field, heading in (("command", "Command"), ("args", "Args")):
            if container.get(field):
                w.write(2, f"{heading}:\n")
                for word in container[field]:
                    for line in word.split("\n"):
                        w.write(3, f"{line}\n")
        if status is not None:
            _state(w, status)
        resources(w, container.get("resources"), 2)
        for field, heading in (("livenessProbe", "Liveness"), ("readinessProbe", "Readiness"),
                               ("startupProbe", "Startup")):  # fmt: skip
            if container.get(field):
                w.line(2, f"{heading}:", probe(container[field]))
        if container.get("envFrom"):
            _env_from(w, container["envFrom"])
        _env(w, container, resolve)
        _mounts(w, container)


def _ports(container: Object, field: str) -> str:
    texts = []
    for port in container.get("ports") or ():
        text = f"{port.get(field, 0)}/{port.get('protocol', 'TCP')}"
        if port.get("name"):
            text += f" ({port['name']})"
        texts.append(text)
    return ", ".join(texts)


def _basics(w: Writer, container: Object, status: Object | None, indent: str) -> None:
    w.write(1, f"{' ' if indent else ''}{container['name']}:\n")
    if status is not None:
        w.line(2, "Container ID:", status.get("containerID", ""))
    w.line(2, "Image:", container.get("image", ""))
    if status is not None:
        w.line(2, "Image ID:", status.get("imageID", ""))
    for field, heading in (("containerPort", "Port"), ("hostPort", "Host Port")):
        text = _ports(container, field)
        w.line(2, f"{heading}s:" if "," in text else f"{heading}:", or_none(text))
    profile = (container.get("securityContext") or {}).get("seccompProfile")
    if profile:
        w.line(2, "SeccompProfile:", profile["type"])
        if profile["type"] == "Localhost":
            w.line(3, "LocalhostProfile:", profile.get("localhostProfile", ""))


def _state(w: Writer, status: Object) -> None:
    _one_state(w, "State", status.get("state") or {})
    if (status.get("lastState") or {}).get("terminated"):
        _one_state(w, "Last State", status["lastState"])
    w.line(2, "Ready:", boolean(status.get("ready")))
    w.line(2, "Restart Count:", status.get("restartCount", 0))


def _one_state(w: Writer, title: str, state: Object) -> None:
    if "running" in state:
        w.line(2, f"{title}:", "Running")
        w.line(3, "Started:", when(state["running"].get("startedAt")))
    elif "terminated" in state:
        ended = state["terminated"]
        w.line(2, f"{title}:", "Terminated")
        for field, heading in (("reason", "Reason"), ("message", "Message")):
            if ended.get(field):
                w.line(3, f"{heading}:", ended[field])
        w.line(3, "Exit Code:", ended.get("exitCode", 0))
        if ended.get("signal"):
            w.line(3, "Signal:", ended["signal"])
        w.line(3, "Started:", when(ended.get("startedAt")))
        w.line(3, "Finished:", when(ended.get("finishedAt")))
    else:
        w.line(2, f"{title}:", "Waiting")
        if (state.get("waiting") or {}).get("reason"):
            w.line(3, "Reason:", state["waiting"]["reason"])


def resources(w: Writer, found: Object | None, level: int) -> None:
    for field, heading in (("limits", "Limits"), ("requests", "Requests")):
        amounts = (found or {}).get(field)
        if amounts:
            w.write(level, f"{heading}:\n")
            for name in sorted(amounts):
                w.line(level + 1, f"{name}:", amounts[name])


def probe(found: Object) -> str:
    """A probe in one line."""
    rhythm = (
        f"delay={found.get('initialDelaySeconds', 0)}s timeout={found.get('timeoutSeconds', 0)}s "
        f"period={found.get('periodSeconds', 0)}s successThreshold={found.get('successThreshold', 0)} "
        f"failureThreshold={found.get('failureThreshold', 0)}"
    )
    if "exec" in found:
        return f"exec [{' '.join(found['exec'].get('command') or ())}] {rhythm}"
    if "httpGet" in found:
        http = found["httpGet"]
        path = http.get("path", "")
        return f"http-get {http.get('scheme', 'HTTP').lower()}://{http.get('host', '')}:{http.get('port', '')}{path} {rhythm}"
    if "tcpSocket" in found:
        return f"tcp-socket {found['tcpSocket'].get('host', '')}:{found['tcpSocket'].get('port', '')} {rhythm}"
    if "grpc" in found:
        return f"grpc <pod>:{found['grpc'].get('port', '')} {found['grpc'].get('service') or ''} {rhythm}"
    return f"unknown {rhythm}"


def _env_from(w: Writer, sources: Sequence[Object]) -> None:
    w.write(2, "Environment Variables from:\n")
    for source in sources:
        kind, reference = (
            ("ConfigMap", source["configMapRef"])
            if "configMapRef" in source
            else ("Secret", source.get("secretRef", {}))
        )
        prefix = f" with prefix '{source['prefix']}'" if source.get("prefix") else ""
        optional = go_bool(reference.get("optional"))
        w.line(3, reference.get("name", ""), f"{kind}{prefix}", f"Optional: {optional}")


def _env(w: Writer, container: Object, resolve: Resolve | None) -> None:
    found = container.get("env") or ()
    w.write(2, "Environment:" + ("" if found else "\t<none>") + "\n")
    for each in found:
        name, source = each["name"], each.get("valueFrom")
        if not source:
            for position, line in enumerate((each.get("value") or "").split("\n")):
                w.line(3, f"{name}:" if not position else "", line)
        elif "fieldRef" in source:
            field = source["fieldRef"]
            value = resolve(field) if resolve is not None else ""
            w.line(3, f"{name}:", f"{value} ({field.get('apiVersion', 'v1')}:{field['fieldPath']})")
        elif "resourceFieldRef" in source:
            w.line(
                3,
                f"{name}:",
                f"{_amount(container, source['resourceFieldRef'])} ({source['resourceFieldRef']['resource']})",
            )
        elif "secretKeyRef" in source:
            key = source["secretKeyRef"]
            text = f"<set to the key '{key['key']}' in secret '{key.get('name', '')}'>"
            w.line(3, f"{name}:", text, f"Optional: {go_bool(key.get('optional'))}")
        elif "configMapKeyRef" in source:
            key = source["configMapKeyRef"]
            text = f"<set to the key '{key['key']}' of config map '{key.get('name', '')}'>"
            w.line(3, f"{name}:", text, f"Optional: {go_bool(key.get('optional'))}")


def _amount(container: Object, reference: Object) -> str:
    """What a resourceFieldRef comes to, in units of its divisor."""
    from seatrial.sim.machinery import quantity

    kind, _, name = reference["resource"].partition(".")
    held = ((container.get("resources") or {}).get(kind) or {}).get(name)
    if held is None:
        return "node allocatable" if kind == "limits" else "0"
    divisor = quantity.parse(str(reference.get("divisor") or "1"))
    divisor = divisor if divisor else quantity.parse("1")
    return str(-(-quantity.parse(str(held)).nanos // divisor.nanos))


def _mounts(w: Writer, container: Object) -> None:
    found = sorted(container.get("volumeMounts") or (), key=lambda mount: mount["mountPath"])
    w.write(2, "Mounts:" + ("" if found else "\t<none>") + "\n")
    for mount in found:
        flags = "ro" if mount.get("readOnly") else "rw"
        if mount.get("subPath"):
            flags += f',path="{mount["subPath"]}"'
        w.write(3, f"{mount['mountPath']} from {mount['name']} ({flags})\n")
    devices = sorted(container.get("volumeDevices") or (), key=lambda device: device["devicePath"])
    if devices:
        w.write(2, "Devices:\n")
        for device in devices:
            w.write(3, f"{device['devicePath']} from {device['name']}\n")


def template(w: Writer, found: Object | None) -> None:
    """``Pod Template:``."""
    w.write(0, "Pod Template:\n")
    if found is None:
        w.write(0, "  <unset>")
        return
    metadata, spec = found.get("metadata") or {}, found.get("spec") or {}
    labels(w, "  Labels", metadata.get("labels"))
    if metadata.get("annotations"):
        annotated(w, "  Annotations", metadata["annotations"])
    if spec.get("serviceAccountName"):
        w.line(0, "  Service Account:", spec["serviceAccountName"])
    if spec.get("initContainers"):
        containers(w, "Init Containers", spec["initContainers"], indent="  ")
    containers(w, "Containers", spec.get("containers") or (), indent="  ")
    volumes(w, spec.get("volumes") or (), "  ")
    spread(w, spec, "  ")
    if spec.get("priorityClassName"):
        w.line(0, "  Priority Class Name:", spec["priorityClassName"])
    labels(w, "  Node-Selectors", spec.get("nodeSelector"))
    tolerations(w, "  Tolerations", spec.get("tolerations") or ())


def spread(w: Writer, spec: Object, indent: str) -> None:
    found = sorted(spec.get("topologySpreadConstraints") or (), key=lambda each: each["topologyKey"])
    for position, each in enumerate(found):
        text = f"{each['topologyKey']}:{each['whenUnsatisfiable']} when max skew {each['maxSkew']} is exceeded"
        if each.get("labelSelector") is not None:
            text += f" for selector {selector(each['labelSelector'])}"
        w.line(0, f"{indent}Topology Spread Constraints:" if not position else indent, text)


def tolerations(w: Writer, title: str, found: Sequence[Object]) -> None:
    if not found:
        w.line(0, f"{title}:", "<none>")
    for position, each in enumerate(sorted(found, key=lambda one: one.get("key") or "")):
        text = each.get("key") or ""
        if each.get("value"):
            text += f"={each['value']}"
        if each.get("effect"):
            text += f":{each['effect']}"
        if each.get("operator") == "Exists" and not each.get("value"):
            text += " op=Exists" if text else "op=Exists"
        if each.get("tolerationSeconds") is not None:
            text += f" for {each['tolerationSeconds']}s"
        w.line(0, f"{title}:" if not position else "", text)


# volumes


def volumes(w: Writer, found: Sequence[Object], indent: str) -> None:
    if not found:
        w.line(0, f"{indent}Volumes:", "<none>")
        return
    w.write(0, f"{indent}Volumes:\n")
    for volume in found:
        w.write(1, f"{' ' if indent else ''}{volume['name']}:\n")
        source(w, volume)


ROWS: Mapping[str, tuple[str, tuple[tuple[str, str, Any], ...]]] = {
    "hostPath": ("HostPath (bare host directory volume)", (("Path", "path", ""), ("HostPathType", "type", "<none>"))),
    "emptyDir": ("EmptyDir (a temporary directory that shares a pod's lifetime)",
                 (("Medium", "medium", ""), ("SizeLimit", "sizeLimit", "<unset>"))),
    "secret": ("Secret (a volume populated by a Secret)",
               (("SecretName", "secretName", ""), ("Optional", "optional", False))),
    "configMap": ("ConfigMap (a volume populated by a ConfigMap)", (("Name", "name", ""), ("Optional", "optional", False))),
    "nfs": ("NFS (an NFS mount that lasts the lifetime of a pod)",
            (("Server", "server", ""), ("Path", "path", ""), ("ReadOnly", "readOnly", False))),
    "persistentVolumeClaim": ("PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
                              (("ClaimName", "claimName", ""), ("ReadOnly", "readOnly", False))),
    "local": ("LocalVolume (a persistent volume backed by local storage on a node)", (("Path", "path", ""),)),
    "iscsi": ("ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
              (("TargetPortal", "targetPortal", ""), ("IQN", "iqn", ""), ("Lun", "lun", 0),
               ("ISCSIInterface", "iscsiInterface", ""), ("FSType", "fsType", ""), ("ReadOnly", "readOnly", False))),
    "image": ("Image (a container image or OCI artifact)",
              (("Reference", "reference", ""), ("PullPolicy", "pullPolicy", ""))),
    "csi": ("CSI (a Container Storage Interface (CSI) volume source)",
            (("Driver", "driver", ""), ("FSType", "fsType", ""), ("ReadOnly", "readOnly", False))),
    "awsElasticBlockStore": ("AWSElasticBlockStore (a Persistent Disk resource in AWS)",
                             (("VolumeID", "volumeID", ""), ("FSType", "fsType", ""), ("Partition", "partition", 0),
                              ("ReadOnly", "readOnly", False))),
    "gcePersistentDisk": ("GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
                          (("PDName", "pdName", ""), ("FSType", "fsType", ""), ("Partition", "partition", 0),
                           ("ReadOnly", "readOnly", False))),
}  # fmt: skip
"""Volume types: what they are, and the rows of heading, field and what stands for a missing value."""


def source(w: Writer, volume: Object) -> None:
    """The type of a volume and its fields."""
    for field, (text, rows) in ROWS.items():
        found = volume.get(field)
        if not isinstance(found, Mapping):
            continue
        w.line(2, "Type:", text)
        for heading, name, missing in rows:
            value = found.get(name)
            value = missing if value is None else value
            w.line(2, f"{heading}:", go_bool(value) if isinstance(value, bool) else value)
        if field == "csi":
            _attributes(w, found.get("volumeAttributes"))
        return
    if "projected" in volume:
        _projected(w, volume["projected"])
    elif "downwardAPI" in volume:
        w.line(2, "Type:", "DownwardAPI (a volume populated by information about the pod)")
        w.write(2, "Items:\n")
        for item in volume["downwardAPI"].get("items") or ():
            from_ = (item.get("fieldRef") or {}).get("fieldPath") or (item.get("resourceFieldRef") or {}).get(
                "resource"
            )
            w.write(3, f"{from_} -> {item['path']}\n")
    elif "ephemeral" in volume:
        w.line(
            2,
            "Type:",
            "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        )
        _claim_template(w, volume["ephemeral"].get("volumeClaimTemplate") or {})
    else:
        w.write(1, "<unknown>\n")


def _attributes(w: Writer, held: Mapping[str, str] | None) -> None:
    """VolumeAttributes, one pair on each line."""
    if not held:
        w.line(2, "VolumeAttributes:", "<none>")
        return
    for position, key in enumerate(sorted(held)):
        w.line(2, "VolumeAttributes:" if not position else "", f"    {key}={held[key]}")


def _projected(w: Writer, found: Object) -> None:
    w.line(2, "Type:", "Projected (a volume that contains injected data from multiple sources)")
    for each in found.get("sources") or ():
        if "secret" in each:
            w.line(2, "SecretName:", each["secret"].get("name", ""))
            w.line(2, "Optional:", go_bool(each["secret"].get("optional")))
        elif "downwardAPI" in each:
            w.line(2, "DownwardAPI:", "true")
        elif "configMap" in each:
            w.line(2, "ConfigMapName:", each["configMap"].get("name", ""))
            w.line(2, "Optional:", go_bool(each["configMap"].get("optional")))
        elif "serviceAccountToken" in each:
            w.line(2, "TokenExpirationSeconds:", each["serviceAccountToken"].get("expirationSeconds", 3600))


def _claim_template(w: Writer, found: Object) -> None:
    spec = found.get("spec") or {}
    w.line(2, "StorageClass:", spec.get("storageClassName") or "")
    w.line(2, "Volume:", spec.get("volumeName") or "")
    w.line(2, "Capacity:", "")
    w.line(2, "Access Modes:", "")
    if spec.get("volumeMode"):
        w.line(2, "VolumeMode:", spec["volumeMode"])
