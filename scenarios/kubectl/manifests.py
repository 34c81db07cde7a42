"""Objects in files: YAML and JSON documents, lists taken apart, directories, standard input.

Source: k8s.io/cli-runtime/pkg/resource/visitor.go, k8s.io/apimachinery/pkg/util/yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.printing import file_problem
from seatrial.sim.machinery.reading import Unreadable
from seatrial.sim.machinery.yamltext import yaml_value

SUFFIXES = (".json", ".yaml", ".yml")
SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
STDIN = "STDIN"
CHOICE = "if you choose to ignore these errors, turn validation off with --validate=false"


class Document(NamedTuple):
    """An object and the file that it is in."""

    object: dict[str, Any]
    source: str
    raw: bytes = b""


def documents(
    call: Call, files: Sequence[str], directory: str, recursive: bool, problems: list[Exception]
) -> Iterator[Document]:
    """The objects of files in order; what cannot be read is noted and the rest goes on."""
    if directory:
        from seatrial.scenarios.kubectl.kustomizing import build

        for obj in build(call.session.files, directory):
            yield Document(obj, directory)
        return
    for name in files:
        try:
            for source, raw in _texts(call, name, recursive):
                yield from _parsed(source, raw)
        except Failure as problem:
            problems.append(problem)


def _texts(call: Call, name: str, recursive: bool, deep: bool = False) -> Iterator[tuple[str, bytes]]:
    if name == "-":
        yield STDIN, call.session.stdin.read().encode()
        return
    if re.match(r"https?://", name):
        raise Failure(f'unable to read URL "{name}": this kubectl reads files and standard input')
    files = call.session.files
    try:
        children = files.children(name)
        if children is None:
            yield name, files.read(name)
            return
        for child in children:
            path = f"{name.rstrip('/')}/{child}"
            inner = files.children(path)
            if inner is None and child.endswith(SUFFIXES):
                yield path, files.read(path)
            elif inner is not None and recursive:
                yield from _texts(call, path, recursive, True)
    except FileNotFoundError:
        if deep:
            raise
        raise Failure(f'the path "{name}" does not exist') from None
    except OSError as problem:
        raise Failure(file_problem(name, problem)) from None


def values_of(raw: bytes, source: str) -> Iterator[Any]:
    """The values of every document of a text. Raises Failure."""
    text = raw.decode(errors="replace")
    if text.lstrip().startswith("{"):
        yield from _json(text, source)
        return
    for part in SEPARATOR.split(text):
        if not part.strip() or all(line.startswith("#") or not line.strip() for line in part.splitlines()):
            continue
        try:
            value, duplicates = yaml_value(part.encode())
        except Unreadable as problem:
            text_ = re.sub(r"^yaml: line (\d+): ", lambda match: f"yaml: {_line(match[1])}", str(problem))
            raise Failure(f"error parsing {source}: error converting YAML to JSON: {text_}") from None
        if duplicates:
            listed = f"error converting YAML to JSON: yaml: unmarshal errors:\n  {duplicates[0]}"
            raise Failure(f"error parsing {source}: {listed}")
        if value is not None:
            yield value


def _line(number: str) -> str:
    """yaml.v2 names no line when it is the first."""
    return "" if number == "1" else f"line {number}: "


def _json(text: str, source: str) -> Iterator[Any]:
    import json

    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at >= len(text):
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            try:
                value, _ = yaml_value(text[at:].encode())
                at = len(text)
            except Unreadable as problem:
                raise Failure(f"error parsing {source}: {problem}") from None
        yield value


def _parsed(source: str, raw: bytes) -> Iterator[Document]:
    for value in values_of(raw, source):
        if not isinstance(value, dict):
            raise Failure(f'error validating "{source}": error validating data: invalid object to validate; {CHOICE}')
        yield from _taken_apart(value, source)


def _taken_apart(value: dict[str, Any], source: str) -> Iterator[Document]:
    """An object, or the items of a list."""
    missing = [name for name in ("apiVersion", "kind") if not value.get(name)]
    if missing:
        listed = (
            f"{missing[0]} not set" if len(missing) == 1 else f"[{', '.join(f'{name} not set' for name in missing)}]"
        )
        raise Failure(f'error validating "{source}": error validating data: {listed}; {CHOICE}')
    _check_metadata(value.get("metadata"), source)
    if isinstance(value.get("items"), list) and str(value["kind"]).endswith("List"):
        for item in value["items"]:
            if isinstance(item, dict):
                if not item.get("kind") and value["kind"] != "List":
                    item = {"apiVersion": value["apiVersion"], "kind": value["kind"][: -len("List")], **item}
                yield from _taken_apart(item, source)
        return
    yield Document(value, source)


GO_WORDS = {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def _check_metadata(metadata: Any, source: str) -> None:
    """What kubectl itself decodes of an object has to be text. Raises Failure."""
    if not isinstance(metadata, dict):
        return
    texts = [(field, metadata.get(field)) for field in ("name", "generateName", "namespace")]
    for field in ("labels", "annotations"):
        held = metadata.get(field)
        texts += [(field, value) for value in held.values()] if isinstance(held, dict) else []
    for field, value in texts:
        if type(value) in GO_WORDS:
            raise Failure(
                f'unable to decode "{source}": json: cannot unmarshal {GO_WORDS[type(value)]} into Go struct field '
                f"ObjectMeta.metadata.{field} of type string"
            )
