"""SQL as far as tutorials go: databases, tables, rows, and what a server says of itself.

Source: dev.mysql.com/doc/refman/8.0/en/sql-statements.html; errors are those of mysqld_error.h. Accounts, transactions
and replication are agreed to and change nothing. *Not modelled*: joins, functions, types, and everything else, which is
refused with error 1235.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

Row = list[str | None]
SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")
AGREED = ("alter", "begin", "change", "commit", "flush", "grant", "reset", "rollback", "set", "start", "stop")
NAME = r"`?([\w$]+)`?"
TABLE = rf"(?:{NAME}\.)?{NAME}"
VALUE = r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|[^\s,()'"]++"""
KEYS = ("primary", "key", "unique", "index", "constraint", "foreign", "fulltext", "check")


class Refused(Exception):
    """``args``: error number, SQLSTATE, message."""


class Table(NamedTuple):
    columns: list[str]
    counted: str | None
    """The column that counts by itself."""
    rows: list[Row]


class Answer(NamedTuple):
    """What a statement comes to: rows under columns, or how many rows it changed."""

    columns: list[str]
    rows: list[Row]
    changed: int = 0


class Session:
    """One client's: the databases that there are, and which it is in. ``said`` are variables and functions without
    arguments, in lower case."""

    def __init__(
        self, databases: dict[str, dict[str, Table]], said: Callable[[str], str | None], read_only: str
    ) -> None:
        self.databases = databases
        self.database = ""
        self.read_only = read_only
        """The option that forbids writing; empty: none does."""
        self.said = said

    def execute(self, text: str) -> Answer:
        """One statement without its semicolon. Raises Refused."""
        words = text.split(None, 2)
        verb = words[0].lower() if words else ""
        account = verb in ("create", "drop") and len(words) > 1 and words[1].lower() == "user"
        if verb in AGREED or account:
            return Answer([], [])
        for pattern, run, writes in STATEMENTS:
            found = re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL)
            if found is not None:
                if writes and self.read_only:
                    told = f"The MySQL server is running with the --{self.read_only} option"
                    raise Refused(1290, "HY000", f"{told} so it cannot execute this statement")
                return run(self, found)
        if verb in VERBS:
            raise Refused(1235, "42000", f"This version of MySQL doesn't yet support '{text[:64]}'")
        told = "check the manual that corresponds to your MySQL server version for the right syntax to use near"
        raise Refused(1064, "42000", f"You have an error in your SQL syntax; {told} '{text[:80]}' at line 1")

    def tables(self, database: str | None) -> dict[str, Table]:
        name = database or self.database
        if not name:
            raise Refused(1046, "3D000", "No database selected")
        if name in SYSTEM:
            return {}
        if name not in self.databases:
            raise Refused(1049, "42000", f"Unknown database '{name}'")
        return self.databases[name]

    def table(self, database: str | None, name: str) -> Table:
        found = self.tables(database).get(name)
        if found is None:
            raise Refused(1146, "42S02", f"Table '{database or self.database}.{name}' doesn't exist")
        return found


def _use(session: Session, found: re.Match[str]) -> Answer:
    session.tables(found[1])
    session.database = found[1]
    return Answer([], [])


def _databases(session: Session, found: re.Match[str]) -> Answer:
    return Answer(["Database"], [[name] for name in sorted((*SYSTEM, *session.databases))])


def _tables(session: Session, found: re.Match[str]) -> Answer:
    names = sorted(session.tables(found[1]))
    return Answer([f"Tables_in_{found[1] or session.database}"], [[name] for name in names])


def _variables(session: Session, found: re.Match[str]) -> Answer:
    value = session.said(f"@@{found[1].lower()}")
    return Answer(["Variable_name", "Value"], [] if value is None else [[found[1], value]])


def _create_database(session: Session, found: re.Match[str]) -> Answer:
    if found[2] in session.databases or found[2] in SYSTEM:
        if found[1]:
            return Answer([], [], 1)
        raise Refused(1007, "HY000", f"Can't create database '{found[2]}'; database exists")
    session.databases[found[2]] = {}
    return Answer([], [], 1)


def _drop_database(session: Session, found: re.Match[str]) -> Answer:
    if found[2] not in session.databases and not found[1]:
        raise Refused(1008, "HY000", f"Can't drop database '{found[2]}'; database doesn't exist")
    session.databases.pop(found[2], None)
    return Answer([], [])


def _create_table(session: Session, found: re.Match[str]) -> Answer:
    tables = session.tables(found[2])
    if found[3] in tables:
        if found[1]:
            return Answer([], [])
        raise Refused(1050, "42S01", f"Table '{found[3]}' already exists")
    lines = [line for line in _parts(found[4]) if line.split("(")[0].split()[:1] and _first(line) not in KEYS]
    columns = [line.split()[0].strip("`") for line in lines]
    counted = next((name for name, line in zip(columns, lines, strict=True) if "auto_increment" in line.lower()), None)
    tables[found[3]] = Table(columns, counted, [])
    return Answer([], [])


def _first(line: str) -> str:
    return line.split("(")[0].split()[0].lower()


def _drop_table(session: Session, found: re.Match[str]) -> Answer:
    if session.tables(found[2]).pop(found[3], None) is None and not found[1]:
        raise Refused(1051, "42S02", f"Unknown table '{found[2] or session.database}.{found[3]}'")
    return Answer([], [])


def _insert(session: Session, found: re.Match[str]) -> Answer:
    table = session.table(found[1], found[2])
    named = [name.strip(" `") for name in found[3].split(",")] if found[3] else table.columns
    for name in named:
        _column(table, name)
    made: list[Row] = []
    for at, group in enumerate(re.findall(rf"\(\s*((?:{VALUE}|[\s,]|\(\))*+)\)", found[4]), 1):
        values = [_value(session, part) for part in _parts(group)]
        if len(values) != len(named):
            raise Refused(1136, "21S01", f"Column count doesn't match value count at row {at}")
        given = dict(zip(named, values, strict=True))
        if table.counted is not None and given.get(table.counted) is None:
            given[table.counted] = str(len(table.rows) + at)
        made.append([given.get(name) for name in table.columns])
    table.rows.extend(made)
    return Answer([], [], len(made))


def _delete(session: Session, found: re.Match[str]) -> Answer:
    table = session.table(found[1], found[2])
    gone = _where(session, table, found[3], found[4])
    table.rows[:] = [row for row in table.rows if not any(row is each for each in gone)]
    return Answer([], [], len(gone))


def _select(session: Session, found: re.Match[str]) -> Answer:
    wanted, (database, name, column, value, limit) = _parts(found[1]), found.groups()[1:]
    table = session.table(database, name) if name else Table([], None, [[]])
    rows = _where(session, table, column, value)
    if [each.lower().replace(" ", "") for each in wanted] == ["count(*)"]:
        return Answer(wanted, [[str(len(rows))]])
    columns = [each for one in wanted for each in (table.columns if one == "*" and name else [one])]
    shown = [[_expression(session, table, row, each) for each in columns] for row in rows]
    return Answer([each.strip("`") for each in columns], shown[: int(limit) if limit else None])


def _where(session: Session, table: Table, column: str | None, value: str | None) -> list[Row]:
    if column is None or value is None:
        return list(table.rows)
    at, wanted = _column(table, column), _value(session, value)
    return [row for row in table.rows if row[at] is not None and row[at] == wanted]


def _column(table: Table, name: str) -> int:
    if name not in table.columns:
        raise Refused(1054, "42S22", f"Unknown column '{name}' in 'field list'")
    return table.columns.index(name)


def _expression(session: Session, table: Table, row: Row, text: str) -> str | None:
    if text.strip("`") in table.columns:
        return row[_column(table, text.strip("`"))]
    return _value(session, text)


def _value(session: Session, text: str) -> str | None:
    """A literal, a variable or a function. Raises Refused."""
    if text[:1] in ("'", '"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1].replace("''", "'"))
    if text.lower() == "null":
        return None
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return text
    if text.lower() == "database()":
        return session.database or None
    found = session.said(text.lower())
    if found is not None:
        return found
    if text.startswith("@@"):
        raise Refused(1193, "HY000", f"Unknown system variable '{text[2:]}'")
    if re.fullmatch(r"`?[\w$]+`?", text):
        raise Refused(1054, "42S22", f"Unknown column '{text.strip('`')}' in 'field list'")
    raise Refused(1235, "42000", f"This version of MySQL doesn't yet support '{text[:64]}'")


def _parts(text: str) -> list[str]:
    """What commas part, outside of quotes and parentheses."""
    made, depth, begin, quote, at = list[str](), 0, 0, "", 0
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "," and depth == 0:
            made.append(text[begin:at].strip())
            begin = at + 1
        else:
            depth += {"(": 1, ")": -1}.get(char, 0)
        at += 1
    return [*made, text[begin:].strip()]


WHERE = rf"(?:\s+where\s+{NAME}\s*=\s*({VALUE}))?"
STATEMENTS: tuple[tuple[str, Callable[[Session, re.Match[str]], Answer], bool], ...] = (
    (rf"use\s+{NAME}", _use, False),
    (r"show\s+(?:databases|schemas)", _databases, False),
    (rf"show\s+tables(?:\s+(?:from|in)\s+{NAME})?", _tables, False),
    (r"show\s+(?:global\s+)?variables\s+like\s+'([\w$]+)'", _variables, False),
    (r"show\s+(?:slave|replica)\s+status(?:\s*\\g)?", lambda session, found: Answer([], []), False),
    (rf"create\s+(?:database|schema)\s+(if\s+not\s+exists\s+)?{NAME}(?:\s.*)?", _create_database, True),
    (rf"drop\s+(?:database|schema)\s+(if\s+exists\s+)?{NAME}", _drop_database, True),
    (rf"create\s+table\s+(if\s+not\s+exists\s+)?{TABLE}\s*\((.*)\)[^)]*", _create_table, True),
    (rf"drop\s+table\s+(if\s+exists\s+)?{TABLE}", _drop_table, True),
    (rf"insert\s+into\s+{TABLE}\s*(?:\(([^)]*)\)\s*)?values?\s*(\(.*\))", _insert, True),
    (rf"delete\s+from\s+{TABLE}{WHERE}", _delete, True),
    (rf"select\s+(.+?)(?:\s+from\s+{TABLE}{WHERE}(?:\s+limit\s+(\d+))?)?", _select, False),
)
"""Patterns of statements, what they do, and whether that writes."""
VERBS = ("select", "show", "create", "drop", "insert", "delete", "update", "replace", "truncate", "describe", "explain")


def split(text: str) -> tuple[list[str], str]:
    """The statements that semicolons end, and what is begun after them. Comments are left out."""
    found, begun, at = list[str](), "", 0
    for match in re.finditer(PIECE, text):
        piece = match[0]
        if piece == ";" or piece.lower() in ("\\g",):
            if begun.strip():
                found.append(begun.strip())
            begun = ""
        elif not piece.startswith(("#", "-- ", "/*")):
            begun += piece
        at = match.end()
    return found, begun + text[at:]


PIECE = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\#[^\n]*|--\s[^\n]*|/\*.*?\*/|;|\\[gG]|[^'"\#;/\\-]+|.""", re.DOTALL
)
