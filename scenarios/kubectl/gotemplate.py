"""Go templates, as far as people use them with kubectl: fields, range, if, with, variables, pipelines and functions.

Source: text/template and k8s.io/cli-runtime/pkg/printers/template.go. Not modelled: ``define``, ``block`` and
``template``, methods, and complex or character constants; using one is refused.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from seatrial.scenarios.kubectl.failures import Failure

TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<variable>\$\w*)
    |(?P<field>(?:\.\w+)+)|(?P<dot>\.)|(?P<word>[A-Za-z_]\w*)|(?P<mark>:=|[|()=,]))""",
    re.VERBOSE,
)
NO_VALUE = "<no value>"


class _Nothing:
    """A missing key, which prints as ``<no value>``."""

    def __bool__(self) -> bool:
        return False


NOTHING = _Nothing()
Node = tuple[Any, ...]
Scope = list[dict[str, Any]]


class Template:
    """A template read once. Raises Failure for what cannot be read, and when it meets what it cannot do."""

    def __init__(self, text: str, lenient: bool = True) -> None:
        self._text = text
        self._lenient = lenient
        self._nodes, rest = _block(list(_pieces(text)), ())
        if rest:
            raise _bad("unexpected {{end}}")

    def render(self, value: Any) -> str:
        out: list[str] = []
        try:
            self._run(self._nodes, value, [{"$": value}], out)
        except (_Break, _Continue):
            pass
        except Failure as problem:
            text = f'error executing template "{self._text}": template: output:1: {problem.text}'
            raise Failure(text) from None
        return "".join(out)

    def _run(self, nodes: list[Node], dot: Any, scope: Scope, out: list[str]) -> None:
        for node in nodes:
            match node[0]:
                case "text":
                    out.append(node[1])
                case "print":
                    value = self._pipe(node[1], dot, scope)
                    if node[1][0] not in ("set", "assign"):
                        out.append(shown(value))
                case "if":
                    self._if(node, dot, scope, out)
                case "with":
                    subject = self._pipe(node[1], dot, inner := [*scope, {}])
                    if truth(subject):
                        self._run(node[2], subject, inner, out)
                    else:
                        self._run(node[3], dot, [*scope, {}], out)
                case "range":
                    self._range(node, dot, scope, out)
                case "break":
                    raise _Break
                case "continue":
                    raise _Continue

    def _if(self, node: Node, dot: Any, scope: Scope, out: list[str]) -> None:
        inner = [*scope, {}]
        chosen = node[2] if truth(self._pipe(node[1], dot, inner)) else node[3]
        self._run(chosen, dot, inner, out)

    def _range(self, node: Node, dot: Any, scope: Scope, out: list[str]) -> None:
        names, pipe = node[4], node[1]
        value = self._pipe(pipe, dot, scope)
        pairs: list[tuple[Any, Any]] = []
        if isinstance(value, Mapping):
            pairs = [(key, value[key]) for key in sorted(value)]
        elif isinstance(value, list):
            pairs = list(enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs = [(number, number) for number in range(value)]
        elif value is not None and value is not NOTHING:
            raise Failure(f"range can't iterate over {shown(value)}")
        if not pairs:
            self._run(node[3], dot, [*scope, {}], out)
        for key, each in pairs:
            held: dict[str, Any] = {}
            if len(names) == 1:
                held[names[0]] = each
            elif names:
                held.update({names[0]: key, names[1]: each})
            try:
                self._run(node[2], each, [*scope, held], out)
            except _Continue:
                continue
            except _Break:
                break

    # expressions

    def _pipe(self, pipe: Node, dot: Any, scope: Scope) -> Any:
        if not pipe:
            raise _bad("missing value for command")
        if pipe[0] in ("set", "assign"):
            return self._assign(pipe, dot, scope)
        value: Any = None
        for position, command in enumerate(pipe[1]):
            value = self._command(command, dot, scope, (value,) if position else ())
        return value

    def _assign(self, pipe: Node, dot: Any, scope: Scope) -> Any:
        value = self._pipe(pipe[2], dot, scope)
        target = scope[-1]
        if pipe[0] == "assign":
            target = next((each for each in reversed(scope) if pipe[1] in each), target)
        target[pipe[1]] = value
        return value

    def _command(self, operands: list[Node], dot: Any, scope: Scope, last: tuple[Any, ...]) -> Any:
        first = operands[0]
        if first[0] == "call":
            name = first[1]
            if name in ("and", "or"):
                return self._logic(name, operands[1:], dot, scope, last)
            arguments = [self._operand(each, dot, scope) for each in operands[1:]]
            return FUNCTIONS[name](*arguments, *last)
        if len(operands) > 1 or last:
            raise Failure(f"can't give argument to non-function {first[1]}")
        return self._operand(first, dot, scope)

    def _logic(self, name: str, operands: list[Node], dot: Any, scope: Scope, last: tuple[Any, ...]) -> Any:
        value: Any = None
        for each in operands:
            value = self._operand(each, dot, scope)
            if truth(value) == (name == "or"):
                return value
        return last[0] if last else value

    def _operand(self, node: Node, dot: Any, scope: Scope) -> Any:
        match node[0]:
            case "constant":
                return node[1]
            case "dot":
                return dot
            case "variable":
                for each in reversed(scope):
                    if node[1] in each:
                        return self._fields(each[node[1]], node[2])
                raise Failure(f'undefined variable "{node[1]}"')
            case "field":
                return self._fields(dot, node[1])
            case "paren":
                return self._fields(self._pipe(node[1], dot, scope), node[2])
            case "call":
                return FUNCTIONS[node[1]]()
        raise _bad("unexpected operand")

    def _fields(self, value: Any, names: list[str]) -> Any:
        for name in names:
            if isinstance(value, Mapping):
                if name not in value:
                    if not self._lenient:
                        raise Failure(f'map has no entry for key "{name}"')
                    return NOTHING
                value = value[name]
            elif value is None or value is NOTHING:
                return NOTHING
            else:
                raise Failure(f"can't evaluate field {name} in type {_type(value)}")
        return value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def _bad(text: str) -> Failure:
    return Failure(f"error parsing template: template: output:1: {text}")


def _type(value: Any) -> str:
    return {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}.get(
        type(value), "interface {}"
    )


def truth(value: Any) -> bool:
    """Whether a value counts as true: not empty, not zero, not missing."""
    return bool(value)


def shown(value: Any) -> str:
    """A value as fmt.Fprint writes it."""
    if value is NOTHING or value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{inner(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(inner(each) for each in value) + "]"
    return str(value)


def inner(value: Any) -> str:
    """A value inside another one, as fmt writes it."""
    return "<nil>" if value is None else shown(value)


# reading


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Text and actions in turn, blanks trimmed where ``{{-`` and ``-}}`` ask for it."""
    trim = False
    if text.count("{{") > text.count("}}"):
        raise _bad("unclosed action")
    for position, part in enumerate(re.split(r"\{\{(.*?)\}\}", text, flags=re.DOTALL)):
        if position % 2 == 0:
            rest = text_after(text, position)
            piece = part.lstrip() if trim else part
            yield False, piece.rstrip() if rest else piece
            continue
        action = part
        trim = bool(re.search(r"\s-$", action))
        action = re.sub(r"^-\s|\s-$", " ", action).strip()
        if not re.fullmatch(r"/\*.*\*/", action, re.DOTALL):
            yield True, action


def text_after(text: str, position: int) -> bool:
    """Whether the action after a text trims it."""
    actions = re.findall(r"\{\{(.*?)\}\}", text, flags=re.DOTALL)
    at = position // 2
    return at < len(actions) and bool(re.match(r"-\s", actions[at]))


def _block(pieces: list[tuple[bool, str]], until: tuple[str, ...]) -> tuple[list[Node], list[tuple[bool, str]]]:
    """The nodes up to an ``end`` or ``else``, which is left as the first of the rest."""
    nodes: list[Node] = []
    while pieces:
        is_action, text = pieces[0]
        if not is_action:
            nodes.append(("text", text))
            pieces = pieces[1:]
            continue
        word = text.split(None, 1)[0] if text.split() else ""
        if word in until:
            return nodes, pieces
        if word in ("end", "else"):
            raise _bad(f"unexpected {{{{{word}}}}}")
        if word in ("define", "block", "template"):
            raise _bad(f"{word} is not supported here")
        pieces = pieces[1:]
        if word in ("if", "range", "with"):
            node, pieces = _control(word, text[len(word) :].strip(), pieces)
            nodes.append(node)
        elif text in ("break", "continue"):
            nodes.append((text,))
        else:
            nodes.append(("print", _pipeline(text)))
    if until:
        raise _bad("unexpected EOF")
    return nodes, pieces


def _control(word: str, head: str, pieces: list[tuple[bool, str]]) -> tuple[Node, list[tuple[bool, str]]]:
    names: list[str] = []
    if word == "range" and (match := re.match(r"((?:\$\w+\s*,\s*)?\$\w+)\s*:=\s*(.*)$", head, re.DOTALL)):
        names, head = [name.strip() for name in match[1].split(",")], match[2]
    body, pieces = _block(pieces, ("end", "else"))
    other: list[Node] = []
    closing = pieces[0][1]
    pieces = pieces[1:]
    if closing.startswith("else"):
        rest = closing[4:].strip()
        if rest:
            inner_word = rest.split(None, 1)[0]
            node, pieces = _control(inner_word, rest[len(inner_word) :].strip(), pieces)
            return (word, _pipeline(head), body, [node], names), pieces
        other, pieces = _block(pieces, ("end",))
        pieces = pieces[1:]
    return (word, _pipeline(head), body, other, names), pieces


def _pipeline(text: str) -> Node:
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None:
            raise _bad(f"unexpected {text[at:].strip()[:1]!r} in command")
        kind = match.lastgroup or ""
        glued = at == match.start(kind) and at > 0
        tokens.append(("glued" if kind == "field" and glued and tokens[-1][1] == ")" else kind, match[kind]))
        if kind == "field" and glued and tokens[-2][0] == "variable":
            tokens[-1] = ("glued", match[kind])
        at = match.end()
    node, rest = _parsed(tokens)
    if rest:
        raise _bad(f"unexpected {rest[0][1]!r} in command")
    return node


def _parsed(tokens: list[tuple[str, str]]) -> tuple[Node, list[tuple[str, str]]]:
    if len(tokens) > 1 and tokens[0][0] == "variable" and tokens[1][1] in (":=", "="):
        inner, rest = _parsed(tokens[2:])
        return ("set" if tokens[1][1] == ":=" else "assign", tokens[0][1], inner), rest
    commands: list[list[Node]] = [[]]
    while tokens:
        kind, text = tokens[0]
        if text == ")" and kind == "mark":
            break
        tokens = tokens[1:]
        if kind == "mark" and text == "|":
            commands.append([])
        elif kind == "mark" and text == "(":
            inner, tokens = _parsed(tokens)
            if not tokens:
                raise _bad("unclosed left paren")
            tokens = tokens[1:]
            commands[-1].append(("paren", inner, []))
        elif kind == "glued":
            last = commands[-1][-1]
            commands[-1][-1] = (*last[:-1], text[1:].split("."))
        else:
            commands[-1].append(_term(kind, text))
    if not all(commands):
        raise _bad("missing value for command")
    return ("pipe", commands), tokens


def _term(kind: str, text: str) -> Node:
    if kind == "string":
        return ("constant", text[1:-1] if text[0] == "`" else _unescaped(text[1:-1]))
    if kind == "number":
        return ("constant", float(text) if "." in text else int(text))
    if kind == "variable":
        return ("variable", text, [])
    if kind == "field":
        return ("field", text[1:].split("."))
    if kind == "dot":
        return ("dot",)
    if text in ("true", "false", "nil"):
        return ("constant", {"true": True, "false": False, "nil": None}[text])
    if kind == "word":
        if text not in FUNCTIONS and text not in ("and", "or"):
            raise _bad(f'function "{text}" not defined')
        return ("call", text)
    raise _bad(f"unexpected {text!r} in operand")


def _unescaped(text: str) -> str:
    names = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda match: names.get(match[1], match[1]), text)


# functions


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key, NOTHING)
        elif isinstance(value, list):
            if not isinstance(key, int) or not 0 <= key < len(value):
                raise Failure(f"error calling index: index out of range: {key}")
            value = value[key]
        else:
            raise Failure("error calling index: index of untyped nil" if value in (None, NOTHING)
                          else f"error calling index: can't index item of type {_type(value)}")  # fmt: skip
    return value


def _exists(value: Any, *keys: Any) -> bool:
    for key in keys:
        if (isinstance(value, Mapping) and key in value) or (
            isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value)
        ):
            value = value[key]
        else:
            return False
    return True


def _printf(form: str, *values: Any) -> str:
    waiting = list(values)

    def put(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        value: Any = waiting.pop(0) if waiting else NOTHING
        spec, letter = match[1], match[2]
        if letter == "d":
            return str(f"%{spec}d" % int(value))
        if letter in "fge":
            return str(f"%{spec}{letter}" % float(value))
        if letter == "q":
            return '"' + str(value).replace('"', '\\"') + '"'
        return f"%{spec}s" % shown(value)

    return re.sub(r"%([-+ 0]*\d*(?:\.\d+)?)([a-zA-Z%])", put, form)


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        try:
            return test(left, right)
        except TypeError:
            raise Failure("error calling comparison: incompatible types for comparison") from None

    return compare


def _slice(value: Any, *bounds: int) -> Any:
    return value[slice(*bounds)] if bounds else value


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "index": _index,
    "exists": _exists,
    "len": lambda value: len(value),
    "not": lambda value: not truth(value),
    "print": lambda *values: "".join(shown(value) for value in values),
    "println": lambda *values: " ".join(shown(value) for value in values) + "\n",
    "printf": _printf,
    "eq": lambda left, *others: any(left == other for other in others),
    "ne": lambda left, right: left != right,
    "lt": _compare(lambda left, right: bool(left < right)),
    "le": _compare(lambda left, right: bool(left <= right)),
    "gt": _compare(lambda left, right: bool(left > right)),
    "ge": _compare(lambda left, right: bool(left >= right)),
    "slice": _slice,
    "html": lambda value: html.escape(shown(value)),
    "js": lambda value: shown(value).replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"'),
    "urlquery": lambda value: quote_plus(shown(value)),
    "base64decode": lambda value: base64.b64decode(value).decode(errors="replace"),
}
