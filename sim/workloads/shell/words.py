"""The words of shell scripts: quoting, and what a dollar or a backquote begins."""

from __future__ import annotations

from seatrial.sim.workloads.shell.syntax import (
    Arithmetic,
    Literal,
    Parameter,
    Part,
    Sequence,
    Substitution,
    SyntaxProblem,
    Word,
)

NAME_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
NAME = NAME_FIRST | frozenset("0123456789")
SPECIAL = "@*#?-$!0123456789"
PARAMETER_OPERATORS = (
    ":-", ":=", ":?", ":+", "-", "=", "?", "+", "##", "#", "%%", "%", "//", "/", ":", "^^", "^", ",,", ",",
)  # fmt: skip


class Words:
    """The characters of a text, read as words; the commands in them are the parser's."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def _script(self, text: str) -> Sequence:
        """Parses a text of its own, between backquotes."""
        raise self._problem()

    def _enclosed(self) -> Sequence:
        """Parses commands up to and with a closing parenthesis."""
        raise self._problem()

    def _problem(self) -> SyntaxProblem:
        return SyntaxProblem("syntax error: unexpected end of file")

    def _peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.text[at] if at < len(self.text) else ""

    def _ends_word(self) -> bool:
        return self._peek() in ("", *" \t\n;|&()<>")

    def whole_word(self) -> Word:
        """All of the text as one double-quoted word, as arithmetic has it."""
        parts: list[Part] = []
        self._quoted(parts, "")
        return tuple(parts)

    def here_word(self) -> Word:
        """All of the text as a here-document has it: quotes stand for themselves."""
        parts: list[Part] = []
        self._quoted(parts, "", here=True)
        return tuple(parts)

    def _word(self) -> Word:
        parts: list[Part] = []
        text = self.text
        plain: list[str] = []
        while self.at < len(text):
            char = text[self.at]
            if char in " \t\n;|&()<>":
                break
            if char in "'\"\\$`":
                if plain:
                    parts.append(Literal("".join(plain), False))
                    plain = []
                self._special(parts, char)
                continue
            plain.append(char)
            self.at += 1
        if plain:
            parts.append(Literal("".join(plain), False))
        if not parts:
            raise self._problem()
        return tuple(parts)

    def _special(self, parts: list[Part], char: str) -> None:
        if char == "'":
            end = self.text.find("'", self.at + 1)
            if end < 0:
                raise SyntaxProblem("syntax error: unterminated quoted string")
            parts.append(Literal(self.text[self.at + 1 : end], True))
            self.at = end + 1
        elif char == '"':
            self.at += 1
            before = len(parts)
            self._quoted(parts, '"')
            if len(parts) == before:
                parts.append(Literal("", True))
        elif char == "\\":
            following = self._peek(1)
            self.at += 2
            if following != "\n":
                parts.append(Literal(following, True))
        else:
            self._dollar(parts, False)

    def _quoted(self, parts: list[Part], end: str, here: bool = False) -> None:
        """What is between double quotes, up to and with ``end``."""
        plain: list[str] = []

        def flush() -> None:
            if plain:
                parts.append(Literal("".join(plain), True))
                plain.clear()

        while self.at < len(self.text):
            char = self.text[self.at]
            if end and char == end:
                self.at += 1
                flush()
                return
            if char == "\\":
                following = self._peek(1)
                self.at += 2
                if following == "\n":
                    continue
                plain.append(following if following in "$`\\" or (following == '"' and not here) else "\\" + following)
            elif char in "$`":
                flush()
                self._dollar(parts, True)
            else:
                plain.append(char)
                self.at += 1
        if end:
            raise SyntaxProblem("syntax error: unterminated quoted string")
        flush()

    def _dollar(self, parts: list[Part], quoted: bool) -> None:
        if self._peek() == "`":
            parts.append(Substitution(self._backquoted(), quoted))
            return
        following = self._peek(1)
        if following == "(":
            if self._peek(2) == "(" and self._arithmetic(parts, quoted):
                return
            self.at += 2
            parts.append(Substitution(self._enclosed(), quoted))
        elif following == "{":
            self.at += 2
            parts.append(self._braced(quoted))
        elif following and (following in NAME_FIRST or following in SPECIAL):
            self.at += 1
            begin = self.at
            self.at += 1
            if following in NAME_FIRST:
                while self._peek() and self._peek() in NAME:
                    self.at += 1
            parts.append(Parameter(self.text[begin : self.at], "", (), quoted))
        else:
            self.at += 1
            parts.append(Literal("$", quoted))

    def _arithmetic(self, parts: list[Part], quoted: bool) -> bool:
        depth, at = 0, self.at + 3
        while at < len(self.text):
            char = self.text[at]
            if char == "(":
                depth += 1
            elif char == ")":
                if depth == 0:
                    break
                depth -= 1
            at += 1
        if self.text[at : at + 2] != "))":
            return False
        inside = self.text[self.at + 3 : at]
        self.at = at + 2
        parts.append(Arithmetic(Words(inside).whole_word(), quoted))
        return True

    def _backquoted(self) -> Sequence:
        self.at += 1
        inside = []
        while self._peek() != "`":
            char = self._peek()
            if not char:
                raise SyntaxProblem("syntax error: EOF in backquote substitution")
            if char == "\\" and self._peek(1) in "`$\\":
                char = self._peek(1)
                self.at += 1
            inside.append(char)
            self.at += 1
        self.at += 1
        return self._script("".join(inside))

    def _braced(self, quoted: bool) -> Parameter:
        if self._peek() == "#" and self._peek(1) != "}":
            return self._prefixed("length", quoted)
        if self._peek() == "!" and self._peek(1) in NAME_FIRST:
            return self._prefixed("keys", quoted)
        name = self._parameter_name()
        index = self._index()
        operator = next((o for o in PARAMETER_OPERATORS if self.text.startswith(o, self.at)), "")
        self.at += len(operator)
        word = self._operand(quoted)
        self._closing()
        return Parameter(name, operator, word, quoted, index)

    def _prefixed(self, operator: str, quoted: bool) -> Parameter:
        """``${#name}`` and ``${!name[@]}``."""
        self.at += 1
        name = self._parameter_name()
        index = self._index()
        self._closing()
        return Parameter(name, operator, (), quoted, index)

    def _index(self) -> Word | None:
        """What stands between brackets, if they come next."""
        if self._peek() != "[":
            return None
        begin, depth = self.at + 1, 0
        while self._peek():
            depth += {"[": 1, "]": -1}.get(self._peek(), 0)
            self.at += 1
            if depth == 0:
                return Words(self.text[begin : self.at - 1]).whole_word() or (Literal("0", False),)
        raise SyntaxProblem("syntax error: bad substitution")

    def _parameter_name(self) -> str:
        begin = self.at
        if self._peek() and self._peek() in SPECIAL:
            self.at += 1
            while self.text[begin].isdigit() and self._peek().isdigit():
                self.at += 1
        else:
            while self._peek() and self._peek() in NAME:
                self.at += 1
        if begin == self.at:
            raise SyntaxProblem("syntax error: bad substitution")
        return self.text[begin : self.at]

    def _closing(self) -> None:
        if self._peek() != "}":
            raise SyntaxProblem("syntax error: missing '}'")
        self.at += 1

    def _operand(self, quoted: bool) -> Word:
        parts: list[Part] = []
        while self._peek() not in ("", "}"):
            char = self._peek()
            if char in '\\$`"' or (char == "'" and not quoted):
                if char in "$`":
                    self._dollar(parts, quoted)
                else:
                    self._special(parts, char)
            else:
                parts.append(Literal(char, quoted))
                self.at += 1
        return tuple(parts)


def is_name(text: str) -> bool:
    """Whether a variable may be called that."""
    return bool(text) and text[0] in NAME_FIRST and all(char in NAME for char in text)
