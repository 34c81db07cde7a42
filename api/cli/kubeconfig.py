"""The user's kubeconfig: our context goes in and out, everything else stays what it was.

The file is edited as a tree of YAML nodes, so values that are not ours keep their spelling (a date stays a date, ``on``
stays ``on``); comments are lost, as with every other tool. It is replaced in one step, under the lock file that
client-go uses, and keeps its mode. Source: k8s.io/client-go/tools/clientcmd (loader.go, config.go); which file of
several is kind's rule.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from seatrial.api.problem import Problem

MARK = "seatrial.dev/cluster"
"""The extension by which we know entries of ours."""
LOCK_WAIT_S = 5.0
CURRENT = re.compile(r"""^current-context:[ \t]*["']?seatrial(?:-([a-z0-9][-a-z0-9]*))?["']?[ \t]*$""", re.MULTILINE)
SECTIONS = ("clusters", "contexts", "users")
STR, SEQ, MAP = "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"


@dataclass(frozen=True, slots=True)
class Entry:
    """A cluster, its administrator and the context that joins them; all three have one name."""

    name: str
    server: str
    authority: bytes
    certificate: bytes
    key: bytes


def context_name(cluster: str) -> str:
    """``seatrial`` for the default cluster, ``seatrial-NAME`` for others."""
    return cluster if cluster == "seatrial" else f"seatrial-{cluster}"


def current(path: Path) -> str:
    """The cluster of a kubeconfig's current context, if that is one of ours; else empty."""
    try:
        found = CURRENT.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return (found[1] or "seatrial") if found else ""


def chosen(explicit: str | None, environment: Mapping[str, str]) -> Path:
    """The file that is written: the explicit one; of several in KUBECONFIG the first that exists, otherwise the
    last.
    """
    if explicit:
        return Path(explicit).expanduser().absolute()
    listed = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    paths = [Path(part).expanduser().absolute() for part in listed]
    if not paths:
        return Path.home() / ".kube" / "config"
    return next((path for path in paths if path.is_file()), paths[-1])


def check(path: Path, name: str) -> None:
    """Finds out before anything is started whether an entry could be written. Raises Problem."""
    root = _read(path)
    if root is None:
        return
    cluster = _named(root, "clusters", name)
    if cluster is not None and not _is_ours(cluster):
        raise Problem(
            f"kubeconfig {path}",
            f"it holds a cluster {name!r} that seatrial did not write",
            "rename that entry, choose another cluster name, or use --kubeconfig FILE",
        )


def check_readable(path: Path) -> None:
    """Raises Problem for a file that is there and no kubeconfig."""
    _read(path)


def merge(path: Path, entry: Entry) -> None:
    """Puts the entry in, or brings it up to date, and makes it the current context. Raises Problem."""
    with _locked(path):
        root = _read(path) or yaml.MappingNode(MAP, [])
        _set_default(root, "apiVersion", "v1")
        _set_default(root, "kind", "Config")
        extension = {"name": MARK, "extension": {"cluster": entry.name}}
        values: dict[str, dict[str, object]] = {
            "clusters": {
                "cluster": {
                    "certificate-authority-data": base64.b64encode(entry.authority).decode(),
                    "extensions": [extension],
                    "server": entry.server,
                }
            },
            "contexts": {"context": {"cluster": entry.name, "user": entry.name}},
            "users": {
                "user": {
                    "client-certificate-data": base64.b64encode(entry.certificate).decode(),
                    "client-key-data": base64.b64encode(entry.key).decode(),
                }
            },
        }
        for section in SECTIONS:
            _put(root, section, entry.name, {"name": entry.name, **values[section]})
        _set(root, "current-context", yaml.ScalarNode(STR, entry.name))
        _write(path, root)


def remove(path: Path, name: str) -> bool:
    """Takes our entry out, if it is there; whether it was. Raises Problem."""
    root = _read(path)
    cluster = _named(root, "clusters", name) if root is not None else None
    if root is None or cluster is None or not _is_ours(cluster):
        return False
    with _locked(path):
        root = _read(path)
        if root is None:
            return False
        for section in SECTIONS:
            listed = _get(root, section)
            if isinstance(listed, yaml.SequenceNode):
                listed.value = [item for item in listed.value if _text(item, "name") != name]
        if _text(root, "current-context") == name:
            _set(root, "current-context", yaml.ScalarNode(STR, "", style='"'))
        _write(path, root)
    return True


# the file


def _read(path: Path) -> yaml.MappingNode | None:
    """The tree; None for a file that is missing or empty. Raises Problem for anything that is no kubeconfig."""
    mend = f"mend or move {path}, or use --kubeconfig FILE; nothing was started or changed"
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError:
        return None
    except yaml.YAMLError as problem:
        reason = " ".join(str(problem).split())
        raise Problem(f"kubeconfig {path}", f"it is not valid YAML ({reason})", mend) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise Problem(f"kubeconfig {path}", f"it cannot be read ({problem})", mend) from None
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value in ("", "~", "null")):
        return None
    if not isinstance(root, yaml.MappingNode):
        raise Problem(f"kubeconfig {path}", "it is not a mapping, as a kubeconfig is", mend)
    for section in SECTIONS:
        node = _get(root, section)
        if node is not None and not isinstance(node, yaml.SequenceNode) and not _is_null(node):
            raise Problem(f"kubeconfig {path}", f"its {section!r} is not a list", mend)
    return root


def _write(path: Path, root: yaml.Node) -> None:
    """Replaces the file in one step; a new one is readable by its owner alone."""
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o600
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                yaml.serialize(root, file, Dumper=yaml.SafeDumper, allow_unicode=True, width=10**9)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(draft, mode)
            os.replace(draft, target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as problem:
        mend = "make the file and its directory writable, or use --kubeconfig FILE"
        raise Problem(f"kubeconfig {path}", f"it cannot be written ({problem.strerror})", mend) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """client-go's lock: whoever creates PATH.lock may write."""
    lock = path.with_name(path.name + ".lock")
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0))
            break
        except FileExistsError:
            if time.monotonic() > until:
                mend = f"wait for it; if nothing of the kind runs, remove {lock}"
                raise Problem(f"kubeconfig {path}", "another program holds its lock file", mend) from None
            time.sleep(0.05)
        except OSError as problem:
            mend = "make its directory writable, or use --kubeconfig FILE"
            raise Problem(f"kubeconfig {path}", f"it cannot be locked ({problem.strerror})", mend) from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


# the tree


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")


def _get(mapping: yaml.Node, key: str) -> yaml.Node | None:
    if not isinstance(mapping, yaml.MappingNode):
        return None
    return next((value for name, value in mapping.value if name.value == key), None)


def _text(mapping: yaml.Node, key: str) -> str:
    node = _get(mapping, key)
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _set(mapping: yaml.MappingNode, key: str, value: yaml.Node) -> None:
    for position, (name, _) in enumerate(mapping.value):
        if name.value == key:
            mapping.value[position] = (name, value)
            return
    mapping.value.append((yaml.ScalarNode(STR, key), value))


def _set_default(mapping: yaml.MappingNode, key: str, value: str) -> None:
    if _get(mapping, key) is None:
        _set(mapping, key, yaml.ScalarNode(STR, value))


def _node(value: object) -> yaml.Node:
    """A value of ours as nodes."""
    if isinstance(value, dict):
        return yaml.MappingNode(MAP, [(_node(key), _node(item)) for key, item in value.items()], flow_style=False)
    if isinstance(value, list):
        return yaml.SequenceNode(SEQ, [_node(item) for item in value], flow_style=False)
    return yaml.ScalarNode(STR, str(value))


def _put(root: yaml.MappingNode, section: str, name: str, value: dict[str, object]) -> None:
    listed = _get(root, section)
    if not isinstance(listed, yaml.SequenceNode):
        listed = yaml.SequenceNode(SEQ, [], flow_style=False)
        _set(root, section, listed)
    for position, item in enumerate(listed.value):
        if _text(item, "name") == name:
            listed.value[position] = _node(value)
            return
    if not listed.value:
        listed.flow_style = False
    listed.value.append(_node(value))


def _named(root: yaml.Node, section: str, name: str) -> yaml.Node | None:
    listed = _get(root, section)
    if not isinstance(listed, yaml.SequenceNode):
        return None
    return next((item for item in listed.value if _text(item, "name") == name), None)


def _is_ours(cluster: yaml.Node) -> bool:
    body = _get(cluster, "cluster")
    extensions = _get(body, "extensions") if body is not None else None
    if not isinstance(extensions, yaml.SequenceNode):
        return False
    return any(_text(item, "name") == MARK for item in extensions.value)
