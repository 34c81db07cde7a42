"""nginx's configuration: directives, blocks, what is included, and the servers that come of it.

Source: nginx.org/en/docs. Directives that nothing here follows are read and passed over; *not modelled*: that nginx
refuses unknown ones.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.shell.patterns import files

MAIN = "/etc/nginx/nginx.conf"
PREFIX = "/etc/nginx"
DEPTH_MAX = 40
"""Of blocks and of files that include each other; nginx has no more contexts, and soon no more descriptors."""
TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | (?P<mark>[{};]) | "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)'
    | (?P<word>(?:\$\{\w+\}|\\.|[^\s{};"'])+)""",
    re.VERBOSE,
)


class Refused(Exception):
    """``args`` is what nginx says, after ``nginx: [emerg]``."""


class Directive(NamedTuple):
    name: str
    words: tuple[str, ...]
    block: tuple[Directive, ...] | None
    at: str
    """File and line."""


class Location(NamedTuple):
    """``how``: empty for a prefix, or ``=``, ``^~``, ``~``, ``~*``; of the last two ``regex`` is the path."""

    how: str
    path: str
    block: tuple[Directive, ...]
    regex: re.Pattern[str] | None = None


class Listen(NamedTuple):
    port: int
    tls: bool
    default: bool


class Virtual(NamedTuple):
    """One ``server``; ``block`` begins with what it inherits."""

    listens: tuple[Listen, ...]
    names: tuple[str, ...]
    locations: tuple[Location, ...]
    block: tuple[Directive, ...]


class Configuration(NamedTuple):
    servers: tuple[Virtual, ...]
    upstreams: dict[str, tuple[str, ...]]


class _Reader:
    """The tokens of one file."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text, self._at = path, text, 0

    def directives(self, inside: bool, depth: int = 0) -> Iterator[Directive]:
        words: list[str] = []
        while (found := self._next()) is not None:
            word, is_mark = found
            if not is_mark:
                words.append(word)
                continue
            place = f"{self._path}:{self._line()}"
            if word == "}":
                if words or not inside:
                    raise Refused(f'unexpected "}}" in {place}')
                return
            if not words:
                raise Refused(f'unexpected "{word}" in {place}')
            name, rest, words = words[0], tuple(words[1:]), []
            if depth > DEPTH_MAX:
                raise Refused(f'"{name}" directive is not allowed here in {place}')
            block = tuple(self.directives(True, depth + 1)) if word == "{" else None
            yield Directive(name, rest, block, place)
        end = f"{self._path}:{self._line()}"
        if words:
            raise Refused(f'unexpected end of file, expecting ";" or "}}" in {end}')
        if inside:
            raise Refused(f'unexpected end of file, expecting "}}" in {end}')

    def _next(self) -> tuple[str, bool] | None:
        while self._at < len(self._text):
            match = TOKEN.match(self._text, self._at)
            if match is None:
                raise Refused(f'unexpected end of file, expecting "}}" in {self._path}:{self._line()}')
            self._at = match.end()
            if match["mark"]:
                return match["mark"], True
            for kind in ("double", "single", "word"):
                if match[kind] is not None:
                    return re.sub(r"\\([\"'\\])", r"\1", match[kind]), False
        return None

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1


def directives(proc: Proc) -> tuple[Directive, ...]:
    """What ``-g`` and the files say, ``-c`` naming the first of them. Raises Refused."""
    options = dict(zip(proc.argv[1:], proc.argv[2:], strict=False))
    told = _Reader("command line", options.get("-g", "")).directives(False)
    return (*told, *_included(proc, posixpath.join(PREFIX, options.get("-c", MAIN))))


def loaded(proc: Proc) -> Configuration:
    """The servers that come of it. Raises Refused."""
    top = directives(proc)
    http = [each for directive in top if directive.name == "http" and directive.block for each in directive.block]
    inherited = tuple(each for each in http if each.block is None)
    servers = tuple(_virtual(each, inherited) for each in http if each.name == "server" and each.block is not None)
    upstreams = {
        each.words[0]: tuple(one.words[0] for one in each.block if one.name == "server" and one.words)
        for each in http
        if each.name == "upstream" and each.block is not None and each.words
    }
    return Configuration(servers, upstreams)


def _included(proc: Proc, path: str, by: str = "", depth: int = 0) -> Iterator[Directive]:
    try:
        if depth > DEPTH_MAX:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        text = proc.fs.read(path).decode(errors="replace")
    except OSError as error:
        raise Refused(f'open() "{path}" failed ({error.errno}: {error.strerror}){by}') from None
    yield from _spread(proc, _Reader(path, text).directives(False), depth)


def _spread(proc: Proc, directives: Iterator[Directive] | tuple[Directive, ...], depth: int) -> Iterator[Directive]:
    for directive in directives:
        if directive.name == "include" and directive.words:
            pattern = posixpath.join(PREFIX, directive.words[0])
            wild = any(char in pattern for char in "*?[")
            for path in files(proc.fs, "/", pattern) if wild else [pattern]:
                yield from _included(proc, path, f" in {directive.at}", depth + 1)
        elif directive.block is not None:
            yield directive._replace(block=tuple(_spread(proc, directive.block, depth)))
        else:
            _check(directive)
            yield directive


def _check(directive: Directive) -> None:
    """Refuses words that the answers could not go by."""
    name, words = directive.name, directive.words
    least = LEAST.get(name, 0)
    if len(words) < least:
        raise Refused(f'invalid number of arguments in "{name}" directive in {directive.at}')
    if name == "return" and len(words) > 1 and not _is_code(words[0]):
        raise Refused(f'invalid return code "{words[0]}" in {directive.at}')
    if name == "return" and len(words) == 1 and not _is_code(words[0]) and "/" not in words[0]:
        raise Refused(f'invalid return code "{words[0]}" in {directive.at}')
    if name == "try_files" and words[-1].startswith("=") and not _is_code(words[-1][1:]):
        raise Refused(f'invalid code "{words[-1]}" in {directive.at}')
    if name == "proxy_pass" and "$" not in words[0]:
        if not words[0].startswith(("http://", "https://")):
            raise Refused(f"invalid URL prefix in {directive.at}")
        _check_port(words[0].partition("://")[2].partition("/")[0], directive.at)
    if name == "server":
        _check_port(words[0], directive.at)


def _check_port(address: str, at: str) -> None:
    port = address.rpartition("]")[2].partition(":")[2]
    if (
        not address.startswith("unix:")
        and ":" in address.rpartition("]")[2]
        and not (port.isdigit() and 0 < int(port) < 65536)
    ):
        raise Refused(f'invalid port in upstream "{address}" in {at}')


def _is_code(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3


LEAST = {
    "return": 1,
    "try_files": 2,
    "proxy_pass": 1,
    "root": 1,
    "alias": 1,
    "add_header": 2,
    "proxy_set_header": 2,
    "server": 1,
    "listen": 1,
    "ssl_certificate": 1,
    "ssl_certificate_key": 1,
}
"""How many words directives have at least."""
INHERITED_TOGETHER = ("add_header", "proxy_set_header")
"""Directives of which a block has its own, or all of those around it."""


def _inheriting(inherited: tuple[Directive, ...], own: tuple[Directive, ...]) -> tuple[Directive, ...]:
    named = {each.name: None for each in own if each.name in INHERITED_TOGETHER}
    return (*(each for each in inherited if each.name not in named), *own)


def _virtual(server: Directive, inherited: tuple[Directive, ...]) -> Virtual:
    block = server.block or ()
    listens = tuple(_listen(each) for each in block if each.name == "listen")
    names = tuple(name for each in block if each.name == "server_name" for name in each.words)
    own = _inheriting(inherited, tuple(each for each in block if each.block is None))
    return Virtual(listens or (Listen(80, False, False),), names, tuple(_locations(block, own)), own)


def _locations(block: tuple[Directive, ...], inherited: tuple[Directive, ...]) -> Iterator[Location]:
    for each in block:
        if each.name != "location" or each.block is None or not each.words:
            continue
        if len(each.words) > 2 or (len(each.words) == 2 and each.words[0] not in MODIFIERS):
            raise Refused(f'invalid location modifier "{each.words[0]}" in {each.at}')
        how, path = each.words if len(each.words) == 2 else ("", each.words[0])
        # What decides the answer is not inherited: whoever is here has come past it.
        kept = tuple(one for one in inherited if one.name not in ANSWERING)
        own = _inheriting(kept, tuple(one for one in each.block if one.block is None))
        yield Location(how, path, own, _regex(how, path, each.at))
        yield from _locations(each.block, own)


MODIFIERS = ("=", "^~", "~", "~*")


def _regex(how: str, path: str, at: str) -> re.Pattern[str] | None:
    if how not in ("~", "~*"):
        return None
    try:
        return re.compile(path, re.IGNORECASE if how == "~*" else 0)
    except re.error as error:
        raise Refused(f'pcre2_compile() failed: {error.msg} in "{path}" in {at}') from None


def _listen(directive: Directive) -> Listen:
    where, *options = directive.words or ("80",)
    port = where.rpartition(":")[2] if not where.endswith("]") else "80"
    if not port.isdigit():
        port = "80"
    if not 0 < int(port) < 65536:
        raise Refused(f'invalid port in "{where}" of the "listen" directive in {directive.at}')
    return Listen(int(port), "ssl" in options, "default_server" in options)


ANSWERING = ("return", "proxy_pass", "try_files", "stub_status")


def last(block: tuple[Directive, ...], name: str) -> Directive | None:
    """The directive of a name that counts: the innermost."""
    return next((each for each in reversed(block) if each.name == name), None)
