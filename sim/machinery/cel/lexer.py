"""Tokens of an expression, with the messages of upstream's generated lexer.

Source: github.com/google/cel-go/parser/gen/CEL.g4 and …/parser (unescape.go).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from seatrial.sim.machinery.cel.errors import Issue

EOF = "<EOF>"
IDENTIFIER, STRING, BYTES = "IDENTIFIER", "STRING", "BYTES"
NUM_FLOAT, NUM_INT, NUM_UINT = "NUM_FLOAT", "NUM_INT", "NUM_UINT"

ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})"
QUOTED = (
    rf'"""(?:{ESCAPE}|[^\\])*?"""',
    rf"'''(?:{ESCAPE}|[^\\])*?'''",
    rf'"(?:{ESCAPE}|[^\\"\n\r])*"',
    rf"'(?:{ESCAPE}|[^\\'\n\r])*'",
)
RAW = (r'"""(?:[^"]|"(?!""))*"""', r"'''(?:[^']|'(?!''))*'''", r'"[^"\n\r]*"', r"'[^'\n\r]*'")
TEXT = f"(?:{'|'.join(QUOTED)}|[rR](?:{'|'.join(RAW)}))"
NUMBER = r"(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"

TOKEN = re.compile(
    rf"(?P<space>[ \t\r\n\f]+|//[^\n]*)|(?P<BYTES>[bB]{TEXT})|(?P<STRING>{TEXT})|(?P<NUM_FLOAT>{NUMBER})"
    r"|(?P<NUM_UINT>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])|(?P<NUM_INT>0x[0-9a-fA-F]+|[0-9]+)"
    r"|(?P<IDENTIFIER>[_a-zA-Z][_a-zA-Z0-9]*)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[<>\[\]{}().,\-!?:+*/%])",
    re.ASCII,
)
WORDS = {"true", "false", "null", "in"}

SIMPLE_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    '"': '"', "'": "'", "\\": "\\", "?": "?", "`": "`",
}  # fmt: skip


class Token(NamedTuple):
    """``kind`` is the token's text for signs and words, else one of the names above."""

    kind: str
    text: str
    at: int


def tokens(source: str, issues: list[Issue]) -> list[Token]:
    """The tokens, ending with EOF; what is none is noted among the issues and left out."""
    found: list[Token] = []
    at, size = 0, len(source)
    while at < size:
        match = TOKEN.match(source, at)
        if match is None:
            wrong = _unrecognised(source, at)
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{_display(wrong)}'"))
            at += len(wrong)
            continue
        kind, text = match.lastgroup, match[0]
        if kind != "space":
            assert kind is not None
            if kind == "sign" or text in WORDS:
                kind = text
            found.append(Token(kind, text, at))
        at = match.end()
    found.append(Token(EOF, EOF, size))
    return found


def _unrecognised(source: str, at: int) -> str:
    """How far the lexer reads before it gives up."""
    first = source[at]
    if first in "&|=":
        return source[at : at + 2]
    if first in "\"'":
        closing = re.compile(rf"(?:{ESCAPE}|[^\\{first}\n\r])*").match(source, at + 1)
        assert closing is not None
        return source[at : closing.end() + 1 + (source[closing.end() : closing.end() + 1] == "\\")]
    return first


def _display(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def text_value(token: str) -> str | bytes:
    """What a string or bytes literal stands for. Raises ValueError."""
    is_bytes = token[0] in "bB"
    body = token[1:] if is_bytes else token
    raw = body[0] in "rR"
    body = body[1:] if raw else body
    width = 3 if body[:3] in ('"""', "'''") else 1
    body = body[width:-width].replace("\r\n", "\n").replace("\r", "\n")
    if raw or "\\" not in body:
        return body.encode() if is_bytes else body
    return _unescaped(body, is_bytes)


def _unescaped(body: str, is_bytes: bool) -> str | bytes:
    out: list[str] = []
    data = bytearray()
    at = 0
    while at < len(body):
        character = body[at]
        if character != "\\":
            out.append(character)
            data += character.encode()
            at += 1
            continue
        kind = body[at + 1]
        if kind in SIMPLE_ESCAPES:
            out.append(SIMPLE_ESCAPES[kind])
            data += SIMPLE_ESCAPES[kind].encode()
            at += 2
            continue
        digits, base = {"x": (2, 16), "X": (2, 16), "u": (4, 16), "U": (8, 16)}.get(kind, (3, 8))
        start = at + 1 if base == 8 else at + 2
        code = int(body[start : start + digits], base)
        if is_bytes and kind in "uU":
            raise ValueError("unsupported escape sequence in bytes literal")
        data.append(code & 0xFF)
        out.append(chr(code))
        at = start + digits
    return bytes(data) if is_bytes else "".join(out)
