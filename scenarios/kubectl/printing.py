"""``-o``: objects as JSON, YAML, names, templates and columns.

Source: k8s.io/cli-runtime/pkg/printers, k8s.io/cli-runtime/pkg/genericclioptions, k8s.io/kubectl/pkg/cmd/get.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl import jsonpath
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.tabwriter import table
from seatrial.scenarios.kubectl.values import as_struct, pretty, yaml_text

Object = Mapping[str, Any]
Print = Callable[[Object], str]
"""The text of an object, ended."""

PLAIN = ("json", "yaml", "kyaml", "name")
TEMPLATES = ("go-template", "go-template-file", "template", "templatefile", "jsonpath", "jsonpath-as-json",
             "jsonpath-file")  # fmt: skip
COLUMNS = ("custom-columns", "custom-columns-file")
PREFIXED = ("jsonpath-as-json", "jsonpath-file", "jsonpath", "go-template-file", "go-template", "templatefile",
            "template", "custom-columns-file", "custom-columns")  # fmt: skip


def printer(call: Call, allowed: Sequence[str] = ()) -> Print | None:
    """How ``-o`` wants objects; None for the command's own words. ``allowed`` are formats beyond the usual ones.

    Raises Failure for a format that there is not.
    """
    given = call.flags.get("output") or ""
    if not given and call.flags.get("template"):
        given = "go-template"
    if not given or given in allowed:
        return None
    name, _, argument = given.partition("=")
    if name not in PREFIXED or not argument:
        name, argument = given, call.flags.get("template") or ""
    if given == "custom-columns=":
        column_spec("")
    made = _printer(call, name, argument, given)
    if made is None or (name in COLUMNS and "wide" not in allowed):
        formats = ",".join(sorted({*PLAIN, *TEMPLATES, *allowed, *(COLUMNS if "wide" in allowed else ())}))
        raise Failure(
            f'unable to match a printer suitable for the output format "{given}", allowed formats are: {formats}'
        )
    return made


def _printer(call: Call, name: str, argument: str, given: str) -> Print | None:
    keep = bool(call.flags.get("show-managed-fields"))
    lenient = bool(call.flags.get("allow-missing-template-keys", True))

    def shown(obj: Object) -> Object:
        return obj if keep else without_managed_fields(obj)

    match name:
        case "json":
            if call.is_typed:
                return lambda obj: pretty(as_struct(shown(obj)), sort=False) + "\n"
            return lambda obj: pretty(shown(obj)) + "\n"
        case "yaml":
            return _with_separators(lambda obj: yaml_text(shown(obj)))
        case "kyaml":
            from seatrial.scenarios.kubectl.kyaml import kyaml

            return lambda obj: kyaml(shown(obj))
        case "name":
            return named
        case "jsonpath" | "jsonpath-as-json" | "jsonpath-file":
            if not argument:
                raise Failure(f"template format specified but no template given\ntemplate format: {given}")
            template = _file(call, argument) if name == "jsonpath-file" else argument
            jsonpath.parse(template)
            if name == "jsonpath-as-json":
                return lambda obj: pretty(_found(template, obj)) + "\n"
            return lambda obj: jsonpath.render(template, obj, lenient)
        case "go-template" | "template" | "go-template-file" | "templatefile":
            from seatrial.scenarios.kubectl.gotemplate import Template

            if not argument:
                raise Failure(f"template format specified but no template given\ntemplate format: {given}")
            compiled = Template(_file(call, argument) if name.endswith("file") else argument, lenient)
            return lambda obj: compiled.render(obj)
        case "custom-columns" | "custom-columns-file":
            columns = column_file(_file(call, argument)) if name.endswith("file") else column_spec(argument)
            hidden = bool(call.flags.get("no-headers"))
            return lambda obj: custom_columns(columns, items_of(obj), hidden)
    return None


def _with_separators(make: Print) -> Print:
    """YAML documents after the first are set apart."""
    count = [0]

    def show(obj: Object) -> str:
        count[0] += 1
        return ("---\n" if count[0] > 1 else "") + make(obj)

    return show


def _found(template: str, obj: Object) -> list[Any]:
    return [
        each for part in jsonpath.parse(template) if part.op == "path"
        for each in jsonpath.find(part.value, [obj], obj, False)
    ]  # fmt: skip


def _file(call: Call, path: str) -> str:
    try:
        return call.session.files.read(path).decode()
    except OSError as problem:
        raise Failure(f"error reading --template {path}, {file_problem(path, problem)}\n") from None


def file_problem(path: str, problem: OSError) -> str:
    """How Go tells that a file cannot be opened."""
    return f"open {path}: {(problem.strerror or str(problem)).lower()}"


def without_managed_fields(obj: Object) -> Object:
    """The object, or every item of a list, without managedFields."""
    if "items" in obj and isinstance(obj["items"], list):
        return {**obj, "items": [without_managed_fields(item) for item in obj["items"]]}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and "managedFields" in metadata:
        return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
    return obj


def items_of(obj: Object) -> list[Any]:
    items = obj.get("items")
    return items if isinstance(items, list) and str(obj.get("kind", "")).endswith("List") else [obj]


def kind_name(obj: Object) -> str:
    """``deployment.apps`` of an object."""
    group, slash, _ = str(obj.get("apiVersion", "")).rpartition("/")
    kind = str(obj.get("kind", "")).lower()
    return f"{kind}.{group}" if slash else kind


def full_name(obj: Object) -> str:
    """``deployment.apps/web``."""
    metadata = obj.get("metadata") or {}
    return f"{kind_name(obj)}/{metadata.get('name', '')}"


def named(obj: Object) -> str:
    """``-o name``."""
    return "".join(f"{full_name(each)}\n" for each in items_of(obj))


# columns of one's own


def column_spec(spec: str) -> list[tuple[str, str]]:
    """(header, JSONPath) of each column. Raises Failure."""
    if not spec:
        raise Failure("custom-columns format specified but no custom columns given")
    columns = []
    for part in _commas(spec):
        name, colon, path = part.partition(":")
        if not colon:
            raise Failure(f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>")
        columns.append((name, jsonpath.relaxed(path)))
    return columns


def _commas(spec: str) -> list[str]:
    """Parts between commas outside brackets."""
    return [part for part in re.split(r",(?![^\[]*\])", spec) if part]


def column_file(text: str) -> list[tuple[str, str]]:
    """A line of headers and a line of paths."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        raise Failure(f"number of headers ({len(lines[0]) if lines else 0}) and field specifications do not match")
    return [(name, jsonpath.relaxed(path)) for name, path in zip(*lines[:2], strict=True)]


def custom_columns(columns: Sequence[tuple[str, str]], objects: Sequence[Object], hidden: bool) -> str:
    rows = [] if hidden else [[name for name, _ in columns]]
    rows += [[_cell(path, obj) for _, path in columns] for obj in objects]
    return table(rows)


def _cell(path: str, obj: Object) -> str:
    from seatrial.scenarios.kubectl.gotemplate import inner

    found = jsonpath.values(path, obj)
    return ",".join(inner(value) for value in found) if found else "<none>"


def told(call: Call, obj: Object, verb: str, allowed: Sequence[str] = (), dry: bool = True) -> None:
    """Tells what became of an object: in the words of the verb, or as ``-o`` wants. Some commands do not say that it was
    a ``dry`` run."""
    if not call.is_chosen:
        call.show, call.is_chosen = printer(call, allowed), True
    if call.show is not None:
        call.write(call.show(obj))
    else:
        call.out(f"{full_name(obj)} {verb}{call.dry_note if dry else ''}")
