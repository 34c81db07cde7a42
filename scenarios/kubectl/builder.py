"""What a command is about: objects by type and name, by selector, or in files.

Source: k8s.io/cli-runtime/pkg/resource (builder.go, visitor.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import Kind
from seatrial.scenarios.kubectl.failures import Failure, NoMatch
from seatrial.scenarios.kubectl.manifests import Document, documents
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.errors import ApiError

EXAMPLES = (
    "You must provide one or more resources by argument or filename.\n"
    "Example resource specifications include:\n"
    "   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'"
)
JOINED = (
    "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form "
    "(e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'"
)


@dataclass(slots=True)
class Target:
    """One object, or a whole type when ``name`` is empty."""

    kind: Kind
    namespace: str
    name: str = ""
    object: Any = None
    """As the server has it once it was fetched; of a file before that, as it is there."""
    source: str = ""
    uid: str = ""
    """Of the object that is being deleted, so that another of its name is not waited for."""
    given_namespace: str = ""
    """What the file said of it."""

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.name)

    @property
    def full_name(self) -> str:
        return f"{self.kind.short}/{self.name}"


@dataclass(slots=True)
class Wanted:
    """What a line asks for; ``single`` when it named exactly one object."""

    targets: list[Target] = field(default_factory=list)
    single: bool = False
    problems: list[Exception] = field(default_factory=list)
    several_kinds: bool = False


def kinds_of(call: Call, word: str) -> list[Kind]:
    """The types that ``pods,svc`` or ``all`` means. Raises NoMatch."""
    found: list[Kind] = []
    for each in word.split(","):
        if not each:
            continue
        kind = call.client.find(each)
        if kind is not None:
            found.append(kind)
            continue
        members = call.client.category(each)
        if not members:
            raise NoMatch(f'the server doesn\'t have a resource type "{each}"')
        found += members
    return found


def place(call: Call, kind: Kind) -> str:
    """Where objects of a type are looked for."""
    if not kind.namespaced or call.flags.get("all-namespaces"):
        return ""
    return call.namespace


def wanted(call: Call, args: Sequence[str], everything: bool = False, selectable: bool = True) -> Wanted:
    """What arguments, ``-f``/``-k`` and selectors ask for, nothing fetched yet. Raises Failure.

    ``everything``: types without names mean all of their objects, as get does; otherwise only with a selector or
    ``--all``.
    """
    files = call.flags.get("filename") or ()
    directory = call.flags.get("kustomize") or ""
    if files or directory:
        if args:
            raise Failure(
                "when paths, URLs, or stdin is provided as resource input, you may not specify resource arguments as well"
            )
        return from_files(call)
    if not args:
        raise Failure(EXAMPLES)
    selector = call.flags.get("selector") or "" if selectable else ""
    selected = bool(selector) or bool(call.flags.get("field-selector")) or bool(call.flags.get("all"))
    if any("/" in word for word in args):
        return _joined(call, args, selected)
    kinds = kinds_of(call, args[0])
    names = args[1:]
    found = Wanted(several_kinds=len(kinds) > 1)
    if names:
        if selector:
            raise Failure("name cannot be provided when a selector is specified")
        if call.flags.get("all"):
            raise Failure("name cannot be provided when a selector is specified")
        if call.flags.get("all-namespaces"):
            raise Failure("a resource cannot be retrieved by name across all namespaces")
        found.single = len(names) == 1 and len(kinds) == 1
        found.targets = [Target(kind, place(call, kind), name) for kind in kinds for name in dict.fromkeys(names)]
        return found
    if not (selected or everything):
        raise Failure("resource(s) were provided, but no name was specified")
    found.targets = [Target(kind, place(call, kind)) for kind in kinds]
    return found


def _joined(call: Call, args: Sequence[str], selected: bool) -> Wanted:
    """``TYPE/NAME …``."""
    if any("/" not in word for word in args):
        raise Failure(JOINED)
    if selected and (call.flags.get("selector") or call.flags.get("field-selector")):
        raise Failure("selectors and the all flag cannot be used when passing resource/name arguments")
    if call.flags.get("all-namespaces"):
        raise Failure("a resource cannot be retrieved by name across all namespaces")
    found = Wanted(single=len(args) == 1)
    for word in args:
        first, _, name = word.partition("/")
        if not first or not name or "/" in name:
            raise Failure("arguments in resource/name form must have a single resource and name")
        kinds = kinds_of(call, first)
        found.targets += [Target(kind, place(call, kind), name) for kind in kinds]
    found.several_kinds = len({target.kind for target in found.targets}) > 1
    return found


def from_files(call: Call, doing: str = "") -> Wanted:
    """The objects of ``-f`` and ``-k``."""
    found = Wanted()
    files = list(call.flags.get("filename") or ())
    read = list(
        documents(call, files, call.flags.get("kustomize") or "", bool(call.flags.get("recursive")), found.problems)
    )
    found.single = len(read) == 1
    chosen = selectors.labels(call.flags.get("selector") or "")
    for document in read:
        try:
            target = target_of(call, document)
            if chosen((target.object.get("metadata") or {}).get("labels") or {}):
                found.targets.append(target)
        except Failure as problem:
            found.problems.append(problem)
    found.several_kinds = len({target.kind for target in found.targets}) > 1
    return found


def target_of(call: Call, document: Document) -> Target:
    """The place of an object of a file. Raises Failure."""
    obj = document.object
    api_version, kind_name = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    kind = call.client.kind_for(api_version, kind_name)
    metadata = obj.get("metadata") or {}
    name = str(metadata.get("name") or "")
    if kind is None:
        group, slash, version = api_version.rpartition("/")
        raise Failure(
            f'resource mapping not found for name: "{name}" namespace: "{metadata.get("namespace") or ""}" from '
            f'"{document.source}": no matches for kind "{kind_name}" in version "{group + slash + version}"\n'
            "ensure CRDs are installed first"
        )
    namespace = ""
    if kind.namespaced:
        given = metadata.get("namespace") or ""
        if given and call.explicit_namespace and given != call.namespace:
            raise Failure(
                f'the namespace from the provided object "{given}" does not match the namespace "{call.namespace}". '
                f"You must pass '--namespace={given}' to perform this operation."
            )
        namespace = given or call.namespace
        obj = {**obj, "metadata": {**metadata, "namespace": namespace}}
    return Target(kind, namespace, name, obj, document.source, given_namespace=str(metadata.get("namespace") or ""))


def fetched(call: Call, found: Wanted, problems: list[Exception] | None = None) -> Iterator[Target]:
    """The targets with their objects from the server, whole types taken apart. Problems are noted, or raised when no
    list for them is given."""
    for target in found.targets:
        try:
            if target.name:
                target.object = call.client.get(target.path)
                yield target
            else:
                yield from _listed(call, target)
        except ApiError as problem:
            if problems is None:
                raise
            problems.append(problem)


def selection(call: Call) -> dict[str, Any]:
    """The query of ``-l`` and ``--field-selector``."""
    return {
        "labelSelector": call.flags.get("selector") or "",
        "fieldSelector": call.flags.get("field-selector") or "",
    }


def _listed(call: Call, target: Target) -> Iterator[Target]:
    kind = target.kind
    for item in call.client.items(kind, target.namespace, selection(call)):
        metadata = item["metadata"]
        yield Target(kind, metadata.get("namespace", ""), metadata["name"], item)


def objects(call: Call, args: Sequence[str], everything: bool = False) -> list[Target]:
    """Everything that a line asks for, fetched; the first problem is raised after the rest was found.

    Raises Failure, ApiError or Several.
    """
    found = wanted(call, args, everything)
    targets = list(fetched(call, found, found.problems))
    if found.problems:
        raise found.problems[0]
    return targets
