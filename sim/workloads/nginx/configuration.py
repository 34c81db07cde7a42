"""nginx's configuration: directives, blocks, what is included, and the servers that come of it.

Source: nginx.org/en/docs. Directives that nothing here follows are read and passed over; *not modelled*: that nginx
refuses unknown ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.shell.patterns import files

MAIN = "/etc/nginx/nginx.conf"
PREFIX = "/etc/nginx"
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
    """``how``: empty for a prefix, or ``=``, ``^~``, ``~``, ``~*``."""

    how: str
    path: str
    block: tuple[Directive, ...]


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

    def directives(self, inside: bool) -> Iterator[Directive]:
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
            block = tuple(self.directives(True)) if word == "{" else None
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


def loaded(proc: Proc, path: str = MAIN) -> Configuration:
    """What the files say. Raises Refused."""
    top = tuple(_included(proc, path))
    http = [each for directive in top if directive.name == "http" and directive.block for each in directive.block]
    inherited = tuple(each for each in http if each.block is None)
    servers = tuple(_virtual(each, inherited) for each in http if each.name == "server" and each.block is not None)
    upstreams = {
        each.words[0]: tuple(one.words[0] for one in each.block if one.name == "server" and one.words)
        for each in http
        if each.name == "upstream" and each.block is not None and each.words
    }
    return Configuration(servers, upstreams)


def _included(proc: Proc, path: str) -> Iterator[Directive]:
    try:
        text = proc.fs.read(path).decode(errors="replace")
    except OSError as error:
        raise Refused(f'open() "{path}" failed ({error.errno}: {error.strerror})') from None
    yield from _spread(proc, _Reader(path, text).directives(False))


def _spread(proc: Proc, directives: Iterator[Directive] | tuple[Directive, ...]) -> Iterator[Directive]:
    for directive in directives:
        if directive.name == "include" and directive.words:
            pattern = directive.words[0] if directive.words[0][0] == "/" else f"{PREFIX}/{directive.words[0]}"
            wild = any(char in pattern for char in "*?[")
            for path in files(proc.fs, "/", pattern) if wild else [pattern] if proc.fs.exists(pattern) else []:
                yield from _included(proc, path)
        elif directive.block is not None:
            yield directive._replace(block=tuple(_spread(proc, directive.block)))
        else:
            yield directive


def _virtual(server: Directive, inherited: tuple[Directive, ...]) -> Virtual:
    block = server.block or ()
    listens = tuple(_listen(each) for each in block if each.name == "listen")
    names = tuple(name for each in block if each.name == "server_name" for name in each.words)
    own = (*inherited, *(each for each in block if each.block is None))
    return Virtual(listens or (Listen(80, False, False),), names, tuple(_locations(block, own)), own)


def _locations(block: tuple[Directive, ...], inherited: tuple[Directive, ...]) -> Iterator[Location]:
    for each in block:
        if each.name != "location" or each.block is None or not each.words:
            continue
        how, path = each.words if len(each.words) == 2 else ("", each.words[0])
        # What decides the answer is not inherited: whoever is here has come past it.
        kept = tuple(one for one in inherited if one.name not in ANSWERING)
        own = (*kept, *(one for one in each.block if one.block is None))
        yield Location(how, path, own)
        yield from _locations(each.block, own)


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
