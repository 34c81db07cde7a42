"""Volumes, claims and storage classes as ``describe`` shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl.describing.podspecs import source
from seatrial.scenarios.kubectl.describing.workloads import Describe, Found
from seatrial.scenarios.kubectl.describing.writer import (
    ZERO_TIME,
    Writer,
    annotated,
    events,
    labels,
    named,
    when,
)

Object = Mapping[str, Any]
MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def modes(found: Sequence[str] | None) -> str:
    held = set(found or ())
    return ",".join(short for long, short in MODES.items() if long in held)


def volume(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    w.line(0, "Name:", metadata["name"])
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "Finalizers:", f"[{' '.join(metadata.get('finalizers') or ())}]")
    w.line(0, "StorageClass:", spec.get("storageClassName") or "")
    if spec.get("volumeAttributesClassName"):
        w.line(0, "VolumeAttributesClass:", spec["volumeAttributesClassName"])
    if metadata.get("deletionTimestamp"):
        w.line(0, "Status:", f"Terminating (lasts {w.since(metadata['deletionTimestamp'])})")
    else:
        w.line(0, "Status:", status.get("phase", ""))
    claim = spec.get("claimRef")
    w.line(0, "Claim:", f"{claim['namespace']}/{claim['name']}" if claim else "")
    w.line(0, "Reclaim Policy:", spec.get("persistentVolumeReclaimPolicy", ""))
    w.line(0, "Access Modes:", modes(spec.get("accessModes")))
    if spec.get("volumeMode"):
        w.line(0, "VolumeMode:", spec["volumeMode"])
    w.line(0, "Capacity:", (spec.get("capacity") or {}).get("storage", ""))
    _affinity(w, spec.get("nodeAffinity"))
    w.line(0, "Message:", status.get("message", ""))
    w.write(0, "Source:\n")
    source(w, spec)
    events(w, found.events())


def _affinity(w: Writer, found: Object | None) -> None:
    terms = ((found or {}).get("required") or {}).get("nodeSelectorTerms")
    if not found:
        w.line(0, "Node Affinity:", "<none>")
        return
    w.write(0, "Node Affinity:\n")
    if not terms:
        w.line(1, "Required Terms:", "<none>")
        return
    w.write(1, "Required Terms:\n")
    for position, term in enumerate(terms):
        rows = term.get("matchExpressions") or ()
        if not rows:
            w.line(2, f"Term {position}:", "<none>")
        for place, row in enumerate(rows):
            text = f"{row['key']} {row['operator'].lower()}"
            if row.get("values"):
                text += f" [{', '.join(row['values'])}]"
            w.line(2, f"Term {position}:" if not place else "", text)


def claim(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    named(w, metadata)
    w.line(0, "StorageClass:", spec.get("storageClassName") or "")
    if metadata.get("deletionTimestamp"):
        w.line(0, "Status:", f"Terminating (lasts {w.since(metadata['deletionTimestamp'])})")
    else:
        w.line(0, "Status:", status.get("phase", ""))
    w.line(0, "Volume:", spec.get("volumeName") or "")
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "Finalizers:", f"[{' '.join(metadata.get('finalizers') or ())}]")
    bound = bool(spec.get("volumeName"))
    w.line(0, "Capacity:", (status.get("capacity") or {}).get("storage", "") if bound else "")
    w.line(0, "Access Modes:", modes(status.get("accessModes")) if bound else "")
    if spec.get("volumeMode"):
        w.line(0, "VolumeMode:", spec["volumeMode"])
    origin = spec.get("dataSource")
    if origin:
        w.write(0, "DataSource:\n")
        if origin.get("apiGroup"):
            w.line(1, "APIGroup:", origin["apiGroup"])
        w.line(1, "Kind:", origin["kind"])
        w.line(1, "Name:", origin["name"])
    _users(w, found)
    held = status.get("conditions") or ()
    if held:
        w.write(0, "Conditions:\n")
        w.line(1, "Type", "Status", "LastProbeTime", "LastTransitionTime", "Reason", "Message")
        w.line(1, "----", "------", "-----------------", "------------------", "------", "-------")
        for each in held:
            times = [when(each.get(field), ZERO_TIME) for field in ("lastProbeTime", "lastTransitionTime")]
            w.write(1, f"{each['type']} \t{each['status']} \t{times[0]} \t{times[1]} \t{each.get('reason', '')} \t"
                    f"{each.get('message', '')}\n")  # fmt: skip
    events(w, found.events())


def _users(w: Writer, found: Found) -> None:
    metadata = found.object["metadata"]
    names = []
    for pod in found.items("pods", metadata["namespace"]):
        for each in pod["spec"].get("volumes") or ():
            direct = (each.get("persistentVolumeClaim") or {}).get("claimName")
            inline = f"{pod['metadata']['name']}-{each['name']}" if "ephemeral" in each else None
            if metadata["name"] in (direct, inline):
                names.append(pod["metadata"]["name"])
                break
    if not names:
        w.line(0, "Used By:", "<none>")
    for position, name in enumerate(names):
        w.line(0, "Used By:" if not position else "", name)


def storage_class(w: Writer, found: Found) -> None:
    obj = found.object
    metadata = obj["metadata"]
    held = metadata.get("annotations") or {}
    default = "true" in (
        held.get("storageclass.kubernetes.io/is-default-class"),
        held.get("storageclass.beta.kubernetes.io/is-default-class"),
    )
    w.line(0, "Name:", metadata["name"])
    w.line(0, "IsDefaultClass:", "Yes" if default else "No")
    w.line(0, "Annotations:", ",".join(f"{key}={held[key]}" for key in sorted(held)) or "<none>")
    w.line(0, "Provisioner:", obj.get("provisioner", ""))
    parameters = obj.get("parameters") or {}
    w.line(0, "Parameters:", ",".join(f"{key}={parameters[key]}" for key in sorted(parameters)) or "<none>")
    expands = obj.get("allowVolumeExpansion")
    w.line(0, "AllowVolumeExpansion:", "<unset>" if expands is None else "True" if expands else "False")
    options = obj.get("mountOptions") or ()
    if options:
        w.write(0, "MountOptions:\n")
        for each in options:
            w.write(1, f"{each}\n")
    else:
        w.line(0, "MountOptions:", "<none>")
    if obj.get("reclaimPolicy"):
        w.line(0, "ReclaimPolicy:", obj["reclaimPolicy"])
    if obj.get("volumeBindingMode"):
        w.line(0, "VolumeBindingMode:", obj["volumeBindingMode"])
    for topology in obj.get("allowedTopologies") or ():
        w.write(0, "AllowedTopologies:\n")
        for row in topology.get("matchLabelExpressions") or ():
            w.line(1, "Term 0:", f"{row['key']} in [{', '.join(row['values'])}]")
    events(w, found.events())


def csi_node(w: Writer, found: Found) -> None:
    obj = found.object
    metadata = obj["metadata"]
    w.line(0, "Name:", metadata["name"])
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "CreationTimestamp:", when(metadata.get("creationTimestamp")))
    w.write(0, "Spec:\n")
    w.write(1, "Drivers:\n")
    for each in (obj.get("spec") or {}).get("drivers") or ():
        w.write(2, f"{each['name']}:\n")
        w.line(3, "Node ID:", each["nodeID"])
    events(w, found.events())


KINDS: Mapping[str, Describe] = {
    "persistentvolumes": volume,
    "persistentvolumeclaims": claim,
    "storageclasses.storage.k8s.io": storage_class,
    "csinodes.storage.k8s.io": csi_node,
}
