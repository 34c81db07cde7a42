"""Volumes of a pod: what is mounted, from where, and when its contents follow the object behind it.

Source: k8s.io/kubernetes/pkg/volume/{configmap,secret,projected,downwardapi,emptydir,hostpath,nfs} and
…/pkg/kubelet/volumemanager. Contents of ConfigMaps and Secrets follow at the pod's next sync, as upstream. Not
modelled: a CSI driver's part on the node (a volume that is attached is there), sizes of emptyDir.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from seatrial.sim.apiserver.request import Request
from seatrial.sim.nodes import podcertificates, trustbundles
from seatrial.sim.nodes.cri import Mount, Volume
from seatrial.sim.nodes.environment import ConfigError, expand, field_value, resource_value
from seatrial.sim.nodes.volumemanager import claim_of

Object = Mapping[str, Any]
Files = dict[str, tuple[Any, int]]
"""Path → (contents or a function that gives them, mode)."""
GROUP_READS = 0o440
REFERENCED = re.compile(r"(?<!\$)\$\((\w+)\)")
"""A variable in a subPathExpr."""
DEFAULT_MODE = 0o644


class MountError(Exception):
    """A volume that cannot be set up yet: ``args`` is the message."""


class PodVolumes:
    """The volumes of one pod on its node."""

    def __init__(self, kubelet: Any, pod: Object) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.mounted: dict[str, Volume] = {}
        self.payloads: dict[str, Files] = {}

    def references(self) -> list[tuple[str, str]]:
        """(kind, name) of every ConfigMap and Secret that the pod's volumes mention; trust bundles have no name."""
        found: dict[tuple[str, str], None] = {}
        for volume in self.pod["spec"].get("volumes") or ():
            for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
                if "configMap" in source:
                    found["configmap", source["configMap"].get("name", "")] = None
                if "clusterTrustBundle" in source:
                    found["trustbundle", ""] = None
                if "secret" in source:
                    secret = source["secret"]
                    found["secret", secret.get("secretName") or secret.get("name", "")] = None
        return list(found)

    def set_up(self, apart: Collection[str] = ()) -> list[tuple[str, str]]:
        """Mounts what is not mounted and refreshes contents, but for what is ``apart``; (volume, message) of what
        failed."""
        problems = []
        for volume in self.pod["spec"].get("volumes") or ():
            name = volume["name"]
            if name in apart:
                continue
            try:
                self._one(name, volume)
            except (MountError, ConfigError) as error:
                problems.append((name, str(error)))
        return problems

    def _one(self, name: str, volume: Object) -> None:
        if "projected" in volume:
            self._publish(name, self._owned(_projected(self, volume["projected"], name)))
            return
        for kind, payload in SOURCES.items():
            if kind in volume:
                self._publish(name, self._owned(payload(self, volume[kind])))
                return
        if name in self.mounted or "image" in volume:
            # An image comes when a container that mounts it starts.
            return
        kind = (volume.get("hostPath") or {}).get("type") or ""
        try:
            self.mounted[name] = self.kubelet.runtime.workloads.volume(self._key(volume), kind)
        except ValueError as problem:
            raise MountError(str(problem)) from None
        group = self._group()
        if group is not None and not self._key(volume).startswith(("host/", "nfs/")):
            self.mounted[name].give(group)

    def _group(self) -> int | None:
        group: int | None = (self.pod["spec"].get("securityContext") or {}).get("fsGroup")
        return group

    def _key(self, volume: Object) -> str:
        """What tells a directory that others share; empty for one of the pod's own."""
        if "hostPath" in volume:
            return f"host/{self.kubelet.node_name}{volume['hostPath']['path']}"
        if "nfs" in volume:
            return f"nfs/{volume['nfs']['server']}{volume['nfs']['path']}"
        claim = claim_of(self.pod, volume)
        return self._claimed(claim) if claim else ""

    def _claimed(self, name: str) -> str:
        found = self.kubelet.volume_manager.claimed(self.pod["metadata"]["namespace"], name)
        if found is None:
            raise MountError(f'PersistentVolumeClaim "{name}" is not bound')
        for kind in ("hostPath", "local", "nfs"):
            if kind in found["spec"]:
                source = found["spec"][kind]
                if kind == "nfs":
                    return f"nfs/{source['server']}{source['path']}"
                return f"host/{self.kubelet.node_name}{source['path']}"
        return f"pv/{found['metadata']['name']}"

    def _owned(self, files: Files) -> Files:
        """With an fsGroup its members may read what they could not otherwise (SetVolumeOwnership)."""
        if self._group() is None:
            return files
        return {path: (content, mode | GROUP_READS) for path, (content, mode) in files.items()}

    def _publish(self, name: str, files: Files) -> None:
        if name in self.mounted and _same(self.payloads.get(name), files):
            return
        if name not in self.mounted:
            self.mounted[name] = self.kubelet.runtime.workloads.volume("")
        self.payloads[name] = files
        self.mounted[name].publish(files, self.kubelet.clock.now)

    def read(self, name: str, path: str) -> bytes:
        """A file of a volume. Raises LookupError for no such volume, OSError for no such file."""
        return self.mounted[name].read(path)

    def mounts(self, container: Object, variables: Mapping[str, str]) -> list[Mount]:
        """The mounts of one container."""
        made = []
        images = [volume["name"] for volume in self.pod["spec"].get("volumes") or () if "image" in volume]
        for index, mount in enumerate(container.get("volumeMounts") or ()):
            volume = self.mounted.get(mount["name"])
            if volume is None:
                raise ConfigError(f'cannot find volume "{mount["name"]}" to mount into container "{container["name"]}"')
            sub_path = _sub_path(mount, variables)
            read_only = bool(mount.get("readOnly")) or mount["name"] in images
            origin = self._origin(mount["name"], f"{container['name']}/{index}" if sub_path else "")
            made.append(Mount(mount["mountPath"], volume, read_only, sub_path, origin))
        return made

    def _origin(self, name: str, below: str) -> str:
        """Where the machine has a volume, or the part of it that one mount of a container shows."""
        pod = f"/var/lib/kubelet/pods/{self.pod['metadata']['uid']}"
        if below:
            return f"{pod}/volume-subpaths/{name}/{below}"
        volume: Object = next((each for each in self.pod["spec"].get("volumes") or () if each["name"] == name), {})
        if "hostPath" in volume:
            return str(volume["hostPath"]["path"])
        kind = next((PLUGINS[kind] for kind in volume if kind in PLUGINS), "csi")
        return f"{pod}/volumes/kubernetes.io~{kind}/{name}"


PLUGINS = {
    "configMap": "configmap", "secret": "secret", "projected": "projected", "downwardAPI": "downward-api",
    "emptyDir": "empty-dir", "nfs": "nfs",
}  # fmt: skip
"""Directories of the kubelet by kind of volume."""


def _sub_path(mount: Object, variables: Mapping[str, str]) -> str:
    """The directory of a volume that is mounted. Raises ConfigError for one outside it (makeMounts)."""
    path: str = mount.get("subPath") or ""
    expression = mount.get("subPathExpr")
    if expression:
        missing = sorted({name for name in REFERENCED.findall(expression) if not variables.get(name)})
        if missing:
            raise ConfigError(f"missing value for {', '.join(missing)}")
        path = expand(expression, variables)
    if path.startswith("/"):
        raise ConfigError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ConfigError(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path


def _same(before: Files | None, now: Files) -> bool:
    if before is None or before.keys() != now.keys():
        return False
    return all(before[path] == now[path] or callable(now[path][0]) for path in now)


def _chosen(kind: str, source: Object, entries: Mapping[str, bytes], name: str, mode: int) -> Files:
    items = source.get("items")
    if not items:
        return {key: (value, mode) for key, value in entries.items()}
    files: Files = {}
    for item in items:
        if item["key"] not in entries:
            if source.get("optional"):
                continue
            raise MountError(f"{kind} references non-existent config key: {item['key']}")
        files[item["path"]] = (entries[item["key"]], item.get("mode") or mode)
    return files


def _config_map(volumes: PodVolumes, source: Object, mode: int = 0) -> Files:
    name = source.get("name", "")
    found = volumes.kubelet.referenced("configmap", volumes.pod["metadata"]["namespace"], name)
    if found is None:
        if source.get("optional"):
            return {}
        raise MountError(f'configmap "{name}" not found')
    entries = {key: text.encode() for key, text in (found.get("data") or {}).items()}
    entries.update({key: b64decode(text) for key, text in (found.get("binaryData") or {}).items()})
    return _chosen("configmap", source, entries, name, mode or source.get("defaultMode") or DEFAULT_MODE)


def _secret(volumes: PodVolumes, source: Object, mode: int = 0) -> Files:
    name = source.get("secretName") or source.get("name", "")
    found = volumes.kubelet.referenced("secret", volumes.pod["metadata"]["namespace"], name)
    if found is None:
        if source.get("optional"):
            return {}
        raise MountError(f'secret "{name}" not found')
    entries = {key: b64decode(text) for key, text in (found.get("data") or {}).items()}
    return _chosen("secret", source, entries, name, mode or source.get("defaultMode") or DEFAULT_MODE)


def _downward(volumes: PodVolumes, source: Object, mode: int = 0) -> Files:
    kubelet, pod = volumes.kubelet, volumes.pod
    mode = mode or source.get("defaultMode") or DEFAULT_MODE
    files: Files = {}
    for item in source.get("items") or ():
        if "fieldRef" in item:
            text = field_value(pod, item["fieldRef"]["fieldPath"], {})
        else:
            text = resource_value(pod, item["resourceFieldRef"], kubelet.allocatable)
        files[item["path"]] = (text.encode(), item.get("mode") or mode)
    return files


def _projected(volumes: PodVolumes, source: Object, name: str) -> Files:
    mode = source.get("defaultMode") or DEFAULT_MODE
    files: Files = {}
    for index, part in enumerate(source.get("sources") or ()):
        if "serviceAccountToken" in part:
            token = part["serviceAccountToken"]
            files[token["path"]] = (_token(volumes.kubelet, volumes.pod, token), mode)
        if "clusterTrustBundle" in part:
            bundle = part["clusterTrustBundle"]
            try:
                files[bundle["path"]] = (trustbundles.anchors(volumes.kubelet.references.trust_bundles(), bundle), mode)
            except trustbundles.NoAnchors as missing:
                raise MountError(str(missing)) from None
        if "podCertificate" in part:
            files.update(_certificate(volumes, part["podCertificate"], name, index, mode))
        for kind, payload in SOURCES.items():
            if kind in part:
                files.update(payload(volumes, part[kind], mode))
    return files


def _certificate(volumes: PodVolumes, source: Object, name: str, index: int, mode: int) -> Files:
    try:
        held = volumes.kubelet.certificates.bundle(volumes.pod["metadata"]["uid"], name, index)
    except podcertificates.NoCredentials as missing:
        raise MountError(str(missing)) from None
    contents = {
        "credentialBundlePath": held.key + held.chain,
        "keyPath": held.key,
        "certificateChainPath": held.chain,
    }
    return {source[field]: (content, mode) for field, content in contents.items() if source.get(field)}


SOURCES: Mapping[str, Callable[..., Files]] = {
    "configMap": _config_map,
    "secret": _secret,
    "downwardAPI": _downward,
}
"""Volumes whose contents the kubelet writes, which can also be part of a projected one."""


def _token(kubelet: Any, pod: Object, source: Object) -> Callable[[], bytes]:
    """A function that gives the bytes of a projected token, asked for when somebody reads it."""
    metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
    return partial(_read_token, kubelet, metadata["namespace"], account, metadata["name"], metadata["uid"], source)


def _read_token(kubelet: Any, namespace: str, account: str, name: str, uid: str, source: Object) -> bytes:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": account},
        "spec": {
            "expirationSeconds": source.get("expirationSeconds") or 3600,
            "audiences": [source["audience"]] if source.get("audience") else [],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid},
        },
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    request = Request("POST", path, body=body, user=kubelet.client.user, user_agent=kubelet.client.user_agent)
    response = kubelet.wiring.endpoint.server.handle(request)
    if response.code >= 400:
        return b""
    return str(response.body["status"]["token"]).encode()
