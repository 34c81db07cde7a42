"""``kubectl config``. Source: k8s.io/kubectl/pkg/cmd/config."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.tabwriter import table
from seatrial.scenarios.kubectl.values import pretty, yaml_text

Object = Mapping[str, Any]
SECTIONS = {"cluster": "clusters", "context": "contexts", "user": "users"}
OMITTED = {
    "certificate-authority-data": "DATA+OMITTED", "client-certificate-data": "DATA+OMITTED",
    "client-key-data": "DATA+OMITTED", "token": "REDACTED", "password": "REDACTED",
}  # fmt: skip


def run(call: Call) -> int:
    word = call.path.split()[-1]
    config = call.session.config
    match word:
        case "view":
            return view(call)
        case "current-context":
            if not config.get("current-context"):
                raise Failure("current-context is not set")
            call.out(config["current-context"])
        case "use-context" | "use":
            _use(call)
        case "get-contexts":
            return contexts(call)
        case "get-clusters" | "get-users":
            rows = config.get(word.removeprefix("get-")) or ()
            call.out("NAME")
            for name in sorted(row["name"] for row in rows):
                call.out(name)
        case "set-context":
            _set_context(call)
        case "set-cluster" | "set-credentials":
            _set_entry(call, word)
        case "delete-context" | "delete-cluster" | "delete-user":
            _delete(call, word.removeprefix("delete-"))
        case "rename-context":
            _rename(call)
        case "set" | "unset":
            _set_path(call, word)
    return 0


def _rows(config: Any, kind: str) -> list[dict[str, Any]]:
    section = SECTIONS[kind]
    if config.get(section) is None:
        config[section] = []
    rows: list[dict[str, Any]] = config[section]
    return rows


def _named(config: Any, kind: str, name: str) -> dict[str, Any] | None:
    return next((row for row in _rows(config, kind) if row.get("name") == name), None)


def _one(call: Call, what: str) -> str:
    if len(call.args) != 1:
        raise call.misused(f"Unexpected args: [{' '.join(call.args)}]" if call.args else what)
    return call.args[0]


def ordered(config: Object) -> dict[str, Any]:
    """The file with its sections there and in order, as ``view`` shows it."""
    found: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    for kind, section in SECTIONS.items():
        rows = config.get(section) or []
        found[section] = (
            sorted(({kind: row.get(kind) or {}, "name": row["name"]} for row in rows), key=lambda row: str(row["name"]))
            or None
        )
    found["current-context"] = config.get("current-context") or ""
    found.pop("preferences")
    return found


def view(call: Call) -> int:
    flags = call.flags
    if call.args:
        raise call.misused(f"unexpected arguments: [{' '.join(call.args)}]")
    shown = ordered(copy.deepcopy(dict(call.session.config)))
    if flags["minify"]:
        shown = _minified(call, shown)
    if not flags["raw"]:
        for section in ("clusters", "users"):
            for row in shown.get(section) or ():
                for inner in row.values():
                    if isinstance(inner, dict):
                        inner.update({key: OMITTED[key] for key in inner if key in OMITTED})
    output = flags["output"] or "yaml"
    if output == "yaml":
        call.write(yaml_text(shown))
    elif output == "json":
        call.write(pretty(shown) + "\n")
    else:
        show = printing.printer(call)
        assert show is not None
        call.write(show(shown))
    return 0


def _minified(call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    name = call.flags.get("context") or shown["current-context"]
    if not name:
        raise Failure("current-context must exist in order to minify")
    context = next((row for row in shown["contexts"] or () if row["name"] == name), None)
    if context is None:
        raise Failure(f"cannot locate context {name}")
    held = context["context"]
    keep = {"contexts": name, "clusters": held.get("cluster"), "users": held.get("user")}
    for section, wanted in keep.items():
        shown[section] = [row for row in shown[section] or () if row["name"] == wanted] or None
    shown["current-context"] = name
    return shown


def contexts(call: Call) -> int:
    config, flags = call.session.config, call.flags
    rows = {row["name"]: row.get("context") or {} for row in _rows(config, "context")}
    names = call.args or sorted(rows)
    problems = [name for name in names if name not in rows]
    current = config.get("current-context")
    if flags["output"] == "name":
        for name in names:
            if name in rows:
                call.out(name)
    else:
        lines = [] if flags["no-headers"] else [["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]]
        for name in names:
            if name in rows:
                held = rows[name]
                mark = "*" if name == current else ""
                lines.append([mark, name, held.get("cluster", ""), held.get("user", ""), held.get("namespace", "")])
        call.write(table(lines))
    if problems:
        raise Failure("\n".join(f"error: context {name} not found" for name in problems))
    return 0


def _use(call: Call) -> None:
    name = _one(call, "you must specify a context")
    if _named(call.session.config, "context", name) is None:
        raise Failure(f'no context exists with the name: "{name}"')
    call.session.config["current-context"] = name
    call.session.save()
    call.out(f'Switched to context "{name}".')


def _set_context(call: Call) -> None:
    flags, config = call.flags, call.session.config
    if len(call.args) > 1:
        raise call.misused(f"Unexpected args: [{' '.join(call.args)}]")
    if flags["current"] == bool(call.args):
        raise Failure("you must specify a non-empty context name or --current" if not call.args
                      else "you cannot specify both a context name and --current")  # fmt: skip
    name = config.get("current-context") if flags["current"] else call.args[0]
    if not name:
        raise Failure("no current context is set")
    row = _named(config, "context", name)
    existed = row is not None
    if row is None:
        row = {"name": name, "context": {}}
        _rows(config, "context").append(row)
    held = row["context"] = dict(row.get("context") or {})
    for field in ("cluster", "user", "namespace"):
        if flags.changed(field):
            if flags[field]:
                held[field] = flags[field]
            else:
                held.pop(field, None)
    call.session.save()
    call.out(f'Context "{name}" {"modified" if existed else "created"}.')


def _set_entry(call: Call, word: str) -> None:
    flags, config = call.flags, call.session.config
    name = _one(call, "you must specify a non-empty name")
    kind = "cluster" if word == "set-cluster" else "user"
    row = _named(config, kind, name)
    if row is None:
        row = {"name": name, kind: {}}
        _rows(config, kind).append(row)
    held = row[kind] = dict(row.get(kind) or {})
    names = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority", "proxy-url")
    if kind == "user":
        names = ("client-certificate", "client-key", "token", "username", "password")
    for field in names:
        if flags.changed(field):
            value = flags[field]
            if flags.get("embed-certs") and field in ("certificate-authority", "client-certificate", "client-key"):
                import base64

                held[f"{field}-data"] = base64.b64encode(call.session.files.read(value)).decode()
                held.pop(field, None)
            else:
                held[field] = value
    call.session.save()
    if kind == "cluster":
        call.out(f'Cluster "{name}" set.')
    else:
        call.out(f'User "{name}" set.')


def _delete(call: Call, kind: str) -> None:
    config = call.session.config
    name = _one(call, f"you must specify a {kind}")
    row = _named(config, kind, name)
    where = getattr(call.session, "path", "the kubeconfig")
    if row is None:
        raise Failure(f"cannot delete {kind} {name}, not in {where}")
    _rows(config, kind).remove(row)
    if kind == "context" and config.get("current-context") == name:
        call.err(
            'warning: this removed your active context, use "kubectl config use-context" to select a different one'
        )
    call.session.save()
    call.out(f"deleted {kind} {name} from {where}")


def _rename(call: Call) -> None:
    config = call.session.config
    if len(call.args) != 2:
        raise call.misused(f"Unexpected args: [{' '.join(call.args)}]")
    old, new = call.args
    row = _named(config, "context", old)
    if row is None:
        raise Failure(
            f'cannot rename the context "{old}", it\'s not in {getattr(call.session, "path", "the kubeconfig")}'
        )
    if _named(config, "context", new) is not None:
        raise Failure(
            f'cannot rename the context "{old}", the context "{new}" already exists in {getattr(call.session, "path", "the kubeconfig")}'
        )
    row["name"] = new
    if config.get("current-context") == old:
        config["current-context"] = new
    call.session.save()
    call.out(f'Context "{old}" renamed to "{new}".')


def _set_path(call: Call, word: str) -> None:
    """``config set clusters.lab.server https://…`` and its opposite."""
    config = call.session.config
    if len(call.args) != (2 if word == "set" else 1):
        raise call.misused(f"Unexpected args: [{' '.join(call.args)}]")
    path, *rest = call.args
    parts = path.split(".")
    if parts == ["current-context"]:
        config["current-context"] = rest[0] if rest else ""
    else:
        kind = next((kind for kind, section in SECTIONS.items() if section == parts[0]), None)
        if kind is None or len(parts) < 2:
            raise Failure(f"unknown path {path}: it begins with clusters, contexts, users or current-context")
        field = parts[-1] if len(parts) > 2 else ""
        name = ".".join(parts[1:-1]) if field else parts[1]
        row = _named(config, kind, name)
        if row is None and rest:
            row = {"name": name, kind: {}}
            _rows(config, kind).append(row)
        if row is None:
            pass  # what is not there is unset
        elif not field:
            _rows(config, kind).remove(row)
        elif rest:
            row[kind] = {**(row.get(kind) or {}), field: rest[0]}
        else:
            row[kind] = {key: value for key, value in (row.get(kind) or {}).items() if key != field}
    call.session.save()
    call.out(f'Property "{path}" {"set" if rest else "unset"}.')
