"""The ConfigMaps and Secrets that ``kubectl create`` makes from literals, files and files of variables.

Source: k8s.io/kubectl/pkg/cmd/create/create_configmap.go, create_secret*.go.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.naming import meta, name_of

Object = dict[str, Any]


def _literals(call: Call, texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Failure(f"invalid literal source {text}, expected key=value")
        if value[:1] in ("'", '"') and value[-1:] == value[0] and len(value) > 1:
            value = value[1:-1]
        _add(call, found, key, value)
    return found


def _add(call: Call, found: dict[str, Any], key: str, value: Any) -> None:
    kind = "Secret" if call.path.startswith("create secret") else "ConfigMap"
    if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
        raise Failure(
            f'"{key}" is not a valid key name for a {kind}: a valid config key must consist of alphanumeric '
            "characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation "
            "is '[-._a-zA-Z0-9]+')"
        )
    if key in found:
        name = call.own_args[0]
        raise Failure(f'cannot add key "{key}", another key by that name already exists in Data for {kind} "{name}"')
    found[key] = value


def _file_sources(call: Call, texts: Sequence[str]) -> dict[str, bytes]:
    from seatrial.scenarios.kubectl.printing import file_problem

    found: dict[str, bytes] = {}
    files = call.session.files
    for text in texts:
        key, equals, path = text.partition("=")
        if not equals:
            key, path = text.rstrip("/").rpartition("/")[2], text
        try:
            children = files.children(path)
            if children is None:
                _add(call, found, key, files.read(path))
                continue
            if equals:
                raise Failure("cannot give a key name for a directory path")
            for child in children:
                if files.children(f"{path.rstrip('/')}/{child}") is None:
                    _add(call, found, child, files.read(f"{path.rstrip('/')}/{child}"))
        except FileNotFoundError:
            raise Failure(f"error reading {path}: no such file or directory") from None
        except OSError as problem:
            raise Failure(file_problem(path, problem)) from None
    return found


def _env_sources(call: Call, paths: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        try:
            text = call.session.files.read(path).decode()
        except OSError:
            raise Failure(f"error reading {path}: no such file or directory") from None
        for line in text.splitlines():
            line = line.lstrip()
            if line and not line.startswith("#"):
                key, equals, value = line.partition("=")
                _add(call, found, key, value if equals else "")
    return found


def configmap(call: Call) -> Object:
    name, flags = name_of(call), call.flags
    if flags["from-env-file"] and (flags["from-file"] or flags["from-literal"]):
        raise Failure("from-env-file cannot be combined with from-file or from-literal")
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, raw in _file_sources(call, flags["from-file"]).items():
        try:
            data[key] = raw.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(raw).decode()
    for key, value in {**_literals(call, flags["from-literal"]), **_env_sources(call, flags["from-env-file"])}.items():
        _add(call, data, key, value)
    found: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(call, name)}
    if data:
        found["data"] = data
    if binary:
        found["binaryData"] = binary
    return _hashed(call, found)


def _hashed(call: Call, obj: Object) -> Object:
    """``--append-hash``."""
    if call.flags["append-hash"]:
        from seatrial.scenarios.kubectl.hashing import named_by_content

        return named_by_content(obj)
    return obj


def _b64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def secret(call: Call) -> Object:
    kind, name, flags = call.path.split()[-1], name_of(call), call.flags
    found: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": meta(call, name)}
    if kind == "generic":
        if flags["from-env-file"] and (flags["from-file"] or flags["from-literal"]):
            raise Failure("from-env-file cannot be combined with from-file or from-literal")
        data: dict[str, Any] = dict(_file_sources(call, flags["from-file"]))
        for key, value in {
            **_literals(call, flags["from-literal"]),
            **_env_sources(call, flags["from-env-file"]),
        }.items():
            _add(call, data, key, value)
        if data:
            found["data"] = {key: _b64(value) for key, value in data.items()}
        if flags["type"]:
            found["type"] = flags["type"]
    elif kind == "tls":
        if not flags["cert"] or not flags["key"]:
            raise Failure("key and cert must be specified")
        read = {}
        for field, path in (("tls.crt", flags["cert"]), ("tls.key", flags["key"])):
            try:
                read[field] = call.session.files.read(path)
            except OSError as problem:
                from seatrial.scenarios.kubectl.printing import file_problem

                raise Failure(f"Cannot read file {path}, {file_problem(path, problem)}") from None
        found["type"] = "kubernetes.io/tls"
        found["data"] = {field: _b64(raw) for field, raw in read.items()}
    else:
        found["type"] = "kubernetes.io/dockerconfigjson"
        found["data"] = {".dockerconfigjson": _b64(_docker(call))}
    return _hashed(call, found)


def _docker(call: Call) -> str | bytes:
    flags = call.flags
    if flags["from-file"]:
        return next(iter(_file_sources(call, flags["from-file"]).values()))
    for field in ("docker-username", "docker-password", "docker-server"):
        if not flags[field]:
            raise Failure(
                "either --from-file or the combination of --docker-username, --docker-password and --docker-server "
                "is required"
            )
    user, password = flags["docker-username"], flags["docker-password"]
    entry: Object = {"username": user, "password": password}
    if flags["docker-email"]:
        entry["email"] = flags["docker-email"]
    entry["auth"] = _b64(f"{user}:{password}")
    return json.dumps({"auths": {flags["docker-server"]: entry}}, separators=(",", ":"))
