"""``kubectl get``: tables as the server prints them, objects in every other form, watches.

Source: k8s.io/kubectl/pkg/cmd/get (get.go, sorter.go, table_printer.go, humanreadable_flags.go).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl import jsonpath, printing
from seatrial.scenarios.kubectl.builder import Target, Wanted, fetched, selection, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import TABLE, Kind, answer_of
from seatrial.scenarios.kubectl.failures import Failure, error_of, finish
from seatrial.scenarios.kubectl.tabwriter import Columns
from seatrial.scenarios.kubectl.values import compact
from seatrial.sim.machinery import quantity
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]
FORMATS = ("wide",)


def run(call: Call) -> int:
    flags = call.flags
    if flags["raw"]:
        return raw(call)
    if not call.args and not flags["filename"] and not flags["kustomize"]:
        call.err("You must specify the type of resource to get. "
                 'Use "kubectl api-resources" for a complete list of supported resources.\n')  # fmt: skip
        raise call.misused(
            "Required resource not specified.\n"
            'Use "kubectl explain <resource>" for a detailed description of that resource (e.g. kubectl explain pods).'
        )
    if flags["show-labels"] and flags["output"] and flags["output"] not in ("wide",):
        name = flags["output"].partition("=")[0]
        raise Failure(f"--show-labels option cannot be used with {name} printer")
    if flags["subresource"] and flags["subresource"] not in ("status", "scale", "resize"):
        raise Failure(f'invalid subresource value: "{flags["subresource"]}". Must be one of [resize scale status]')
    show = printing.printer(call, FORMATS)
    if flags["watch"] or flags["watch-only"]:
        return watch(call, show)
    found = wanted(call, call.args, everything=True)
    if flags["subresource"] and not all(target.name for target in found.targets):
        raise Failure("subresource cannot be used when bulk resources are specified")
    if show is not None:
        return generic(call, found, show)
    return tables(call, found)


def raw(call: Call) -> int:
    from urllib.parse import parse_qs

    path, _, query = call.flags["raw"].partition("?")
    answer = call.client.ask("GET", path, parse_qs(query, keep_blank_values=True))
    if answer.code >= 400:
        answer_of(answer, "GET", path)
    body = answer.body
    call.write(compact(body, sort=False) + "\n" if isinstance(body, Mapping) else bytes(body).decode(errors="replace"))
    return 0


# objects in other forms


def generic(call: Call, found: Wanted, show: printing.Print) -> int:
    problems = found.problems
    subresource = call.flags["subresource"]
    objects: list[Any] = [target.object for target in _gathered(call, found, problems, subresource)]
    if call.flags["ignore-not-found"]:
        problems = [each for each in problems if not _is_not_found(each)]
    if call.flags["sort-by"]:
        objects = [objects[at] for at in order(call.flags["sort-by"], objects)]
    if found.single and not objects:
        if problems:
            raise problems[0]
        return 0
    if found.single and len(objects) == 1:
        shown: Any = objects[0]
    else:
        shown = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects}
    call.write(show(shown))
    finish(problems)
    return 0


def _gathered(call: Call, found: Wanted, problems: list[Exception], subresource: str) -> Iterator[Target]:
    if not subresource:
        yield from fetched(call, found, problems)
        return
    for target in found.targets:
        try:
            target.object = call.client.get(target.kind.path(target.namespace, target.name, subresource))
            yield target
        except ApiError as problem:
            problems.append(problem)


def _is_not_found(problem: Exception) -> bool:
    return isinstance(problem, ApiError) and problem.reason == "NotFound"


# tables


class Table:
    """A table in the form of kubectl: which columns, what before and after them."""

    def __init__(self, call: Call, kind: Kind, prefixed: bool) -> None:
        flags = call.flags
        self._wide = flags.get("output") == "wide"
        self._labels = list(flags.get("label-columns") or ())
        self._all_labels = bool(flags.get("show-labels"))
        self._namespace = bool(flags.get("all-namespaces")) and kind.namespaced
        self._prefix = f"{kind.short}/" if prefixed else ""
        self._headers = not flags.get("no-headers")
        self._columns = Columns()
        self._definitions: Sequence[Object] = ()
        self._event = bool(flags.get("output-watch-events"))

    def lines(self, table: Object, event: str = "") -> list[str]:
        """The lines of a server's table, headers before the first."""
        rows: list[list[str]] = []
        if table.get("columnDefinitions"):
            self._definitions = table["columnDefinitions"]
        shown = [at for at, row in enumerate(self._definitions) if self._wide or not row.get("priority")]
        if self._headers and (table.get("rows") or event):
            self._headers = False
            head = [self._definitions[at]["name"].upper() for at in shown]
            rows.append([*(["EVENT"] if self._event else []), *(["NAMESPACE"] if self._namespace else []), *head,
                         *(label.rpartition("/")[2].upper() for label in self._labels),
                         *(["LABELS"] if self._all_labels else [])])  # fmt: skip
        rows += [self._row(row, shown, event) for row in table.get("rows") or ()]
        return self._columns.lines(rows)

    def _row(self, row: Object, shown: Sequence[int], event: str) -> list[str]:
        cells = [cell_text(row["cells"][at]) if at < len(row["cells"]) else "" for at in shown]
        metadata = (row.get("object") or {}).get("metadata") or {}
        if self._prefix and cells:
            cells[0] = self._prefix + cells[0]
        labels = metadata.get("labels") or {}
        before = [event] if self._event else []
        if self._namespace:
            before.append(metadata.get("namespace", ""))
        after = [labels.get(label, "") for label in self._labels]
        if self._all_labels:
            after.append(",".join(f"{key}={labels[key]}" for key in sorted(labels)) or "<none>")
        return before + cells + after


def cell_text(cell: Any) -> str:
    """A cell as it is printed: the first line of a text."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    text = str(cell)
    match = re.search(r"[\f\n\r]", text)
    return f"{text[: match.start()]}..." if match else text


def tables(call: Call, found: Wanted) -> int:
    problems = found.problems
    flags = call.flags
    with_kind = flags["show-kind"] or found.several_kinds
    groups: list[tuple[Kind, list[Object]]] = []
    for target in found.targets:
        try:
            table = _table(call, target)
        except ApiError as problem:
            problems.append(problem)
            continue
        if not table.get("rows"):
            continue
        if groups and groups[-1][0] == target.kind:
            groups[-1][1].append(table)
        else:
            groups.append((target.kind, [table]))
    if flags["sort-by"]:
        groups = [(kind, [_sorted(flags["sort-by"], each)]) for kind, each in groups]
        groups = [(kind, tables_) for kind, tables_ in groups if tables_[0]["rows"]]
    several = len({kind for kind, _ in groups}) > 1
    for position, (kind, listed) in enumerate(groups):
        if position and not flags["no-headers"]:
            call.out()
        merged = {**listed[0], "rows": [row for each in listed for row in each.get("rows") or ()]}
        for line in Table(call, kind, bool(with_kind or several)).lines(merged):
            call.out(line)
    if flags["ignore-not-found"]:
        problems = [each for each in problems if not _is_not_found(each)]
    if not groups and not problems and not flags["ignore-not-found"]:
        namespaced = not flags["all-namespaces"] and all(target.kind.namespaced for target in found.targets)
        call.err(f"No resources found in {call.namespace} namespace." if namespaced and found.targets
                 else "No resources found")  # fmt: skip
    finish(problems)
    return 0


def _query(call: Call, target: Target) -> dict[str, Any]:
    query: dict[str, Any] = {}
    if not target.name:
        query.update(selection(call))
        if call.flags["chunk-size"] > 0:
            query["limit"] = call.flags["chunk-size"]
    if call.flags["sort-by"]:
        query["includeObject"] = "Object"
    return query


def _table(call: Call, target: Target) -> dict[str, Any]:
    """The table of one object or of a whole type, all of its pages."""
    path = target.kind.path(target.namespace, target.name, call.flags["subresource"])
    query = _query(call, target)
    try:
        table: dict[str, Any] = dict(call.client.get(path, query, TABLE))
        while (more := (table.get("metadata") or {}).get("continue")) and not target.name:
            page = call.client.get(path, {**query, "continue": more}, TABLE)
            table = {**page, "columnDefinitions": table["columnDefinitions"], "rows": [*table["rows"], *page["rows"]]}
    except ApiError as problem:
        raise unlisted(problem, target, query) from None
    return table if table.get("kind") == "Table" else _made(table)


def unlisted(problem: ApiError, target: Target, query: Mapping[str, Any]) -> ApiError:
    """The refusal of a list with what was asked in it (selector.go EnhanceListError)."""
    if target.name:
        return problem
    kind = target.kind
    what = f'"{kind.group}/{kind.version}, Resource={kind.plural}"'
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if problem.reason == "BadRequest" or problem.reason == "NotFound":
        if problem.reason == "BadRequest":
            text = f'Unable to find {what} that match label selector "{labels}", field selector "{fields}": {problem}'
        else:
            text = f"Unable to list {what}: {problem}"
            if problem.message == "the server could not find the requested resource":
                text += f" (get {kind.resource})"
        return ApiError(problem.code, problem.reason, text, problem.details)
    return problem


def _made(answer: Object) -> dict[str, Any]:
    """A table of what came as objects."""
    items = answer.get("items", [answer])
    rows = [{"cells": [item["metadata"]["name"], ""], "object": item} for item in items]
    return {"kind": "Table", "columnDefinitions": [{"name": "Name"}, {"name": "Age"}], "rows": rows}


# order


def _sorted(expression: str, tables_: Sequence[Object]) -> dict[str, Any]:
    rows = [row for table in tables_ for row in table.get("rows") or ()]
    try:
        placed = order(expression, [row.get("object") or {} for row in rows])
    except Failure:
        placed = []  # kubectl shows no rows then, and no error
    return {**tables_[0], "rows": [rows[at] for at in placed]}


def order(expression: str, objects: Sequence[Any]) -> list[int]:
    """The places of the objects in the order of a field. Raises Failure when none of them has it."""
    keys = [jsonpath.values(expression, obj) for obj in objects]
    if objects and not any(keys):
        raise Failure(f'couldn\'t find any field with path "{jsonpath.relaxed(expression)}" in the list of objects')

    def compare(left: int, right: int) -> int:
        a, b = keys[left], keys[right]
        if not a or not b:
            return bool(a) - bool(b)
        return _less(a[0], b[0])

    return sorted(range(len(objects)), key=functools.cmp_to_key(compare))


def _less(a: Any, b: Any) -> int:
    if a is None or b is None:
        return (a is not None) - (b is not None)
    if isinstance(a, str) and isinstance(b, str):
        left, right = _quantity(a), _quantity(b)
        if left is not None and right is not None:
            return (left > right) - (left < right)
        return _natural(a, b)
    try:
        return bool(a > b) - bool(a < b)
    except TypeError:
        return (str(a) > str(b)) - (str(a) < str(b))


def _quantity(text: str) -> quantity.Quantity | None:
    try:
        return quantity.parse(text)
    except ValueError:
        return None


def _natural(a: str, b: str) -> int:
    """sortorder.NaturalLess: runs of digits by what they are worth."""
    left = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", a)]
    right = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", b)]
    return (left > right) - (left < right)


# watches


def watch(call: Call, show: printing.Print | None) -> int:
    found = wanted(call, call.args, everything=True)
    if len(found.targets) != 1 or (found.several_kinds):
        raise Failure("watch is only supported on individual resources and resource collections")
    target, flags = found.targets[0], call.flags
    query = _query(call, target)
    query.pop("limit", None)
    path = target.kind.path(target.namespace)
    if target.name:
        query["fieldSelector"] = f"metadata.name={target.name}"
    accept = TABLE if show is None else "application/json"
    table = Table(call, target.kind, bool(flags["show-kind"]))
    until = call.deadline(request_timeout(call))
    listed = call.client.get(target.path if target.name else path, query if not target.name else None, accept)
    version = (listed.get("metadata") or {}).get("resourceVersion", "")
    if not flags["watch-only"]:
        _first(call, show, table, listed)
    if target.name and show is not None:
        version = listed["metadata"]["resourceVersion"]
    for event in call.client.watch(path, {**query, "resourceVersion": version}, until, accept):
        kind, obj = event["type"], event["object"]
        if kind in ("BOOKMARK",):
            continue
        if kind == "ERROR":
            raise error_of(obj)
        if show is None:
            for line in table.lines(obj, kind):
                call.out(line)
        elif flags["output-watch-events"]:
            call.write(show({"type": kind, "object": obj}))
        else:
            call.write(show(obj))
    return 0


def _first(call: Call, show: printing.Print | None, table: Table, listed: Object) -> None:
    if show is None:
        for line in table.lines(listed, "ADDED" if listed.get("rows") else ""):
            call.out(line)
        return
    for obj in printing.items_of(listed):
        group = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
        full = obj if "kind" in obj else {**group, **obj}
        call.write(show({"type": "ADDED", "object": full} if call.flags["output-watch-events"] else full))


def request_timeout(call: Call) -> float:
    """``--request-timeout`` in seconds; 0 for none."""
    from seatrial.scenarios.kubectl.commands import duration

    given = call.flags.get("request-timeout") or "0"
    try:
        return float(given)
    except ValueError:
        pass
    try:
        return duration(given)
    except ValueError:
        raise Failure(
            "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a "
            "corresponding time unit (e.g. 1s | 2m | 3h)"
        ) from None
