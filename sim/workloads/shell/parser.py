"""Parses shell scripts by recursive descent: characters straight to syntax, as the grammar's quoting demands.

Not modelled: aliases, ``select``, arrays, process substitution and extended patterns.
"""

from __future__ import annotations

from functools import lru_cache

from seatrial.sim.workloads.shell.syntax import (
    AndOr,
    Arithmetic,
    Case,
    Evaluate,
    For,
    Function,
    Group,
    If,
    Literal,
    Parameter,
    Part,
    Pipeline,
    Redirection,
    Sequence,
    Simple,
    Subshell,
    Substitution,
    SyntaxProblem,
    Test,
    While,
    Word,
)

BLANK = " \t"
OPERATORS = ("&&", "||", ";;", "<<-", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "&", "|", ";", "<", ">", "(", ")", "\n")
REDIRECTS = ("<<-", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "<", ">")
RESERVED = frozenset(
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!", "in"]
)
CLOSING = frozenset(["then", "else", "elif", "fi", "do", "done", "esac", "}"])
NAME_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
NAME = NAME_FIRST | frozenset("0123456789")
SPECIAL = "@*#?-$!0123456789"
PARAMETER_OPERATORS = (":-", ":=", ":?", ":+", "-", "=", "?", "+", "##", "#", "%%", "%", "//", "/", ":")


class Parser:
    """One script."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._here: list[tuple[int, str, bool, bool]] = []
        self._here_texts: dict[int, Word] = {}
        self._here_count = 0
        self._here_end = 0

    # Characters

    def _peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.text[at] if at < len(self.text) else ""

    def _blanks(self) -> None:
        text, size = self.text, len(self.text)
        while self.at < size:
            char = text[self.at]
            if char in BLANK:
                self.at += 1
            elif char == "\\" and self._peek(1) == "\n":
                self.at += 2
            elif char == "#":
                while self.at < size and text[self.at] != "\n":
                    self.at += 1
            else:
                break

    def _operator(self) -> str:
        """The operator that comes next, without taking it; empty when a word or the end does."""
        self._blanks()
        for operator in OPERATORS:
            if self.text.startswith(operator, self.at):
                return operator
        return ""

    def _take(self, operator: str) -> bool:
        if self._operator() != operator:
            return False
        self.at += len(operator)
        if operator == "\n":
            self._read_here()
        return True

    def _newlines(self) -> None:
        while self._take("\n"):
            pass

    def _problem(self) -> SyntaxProblem:
        operator = self._operator()
        if operator == "\n":
            shown = "newline"
        elif operator:
            shown = f'"{operator}"'
        elif self.at >= len(self.text):
            return SyntaxProblem("syntax error: unexpected end of file")
        else:
            shown = f'"{self._reserved() or self._plain()}"'
        return SyntaxProblem(f"syntax error: unexpected {shown}")

    def _plain(self) -> str:
        end = self.at
        while end < len(self.text) and self.text[end] not in " \t\n;|&()<>":
            end += 1
        return self.text[self.at : end]

    def _reserved(self) -> str:
        """The reserved word that comes next, if one does."""
        self._blanks()
        word = self._plain()
        return word if word in RESERVED else ""

    def _keyword(self, word: str) -> bool:
        if self._reserved() != word:
            return False
        self.at += len(word)
        return True

    def _expect(self, word: str) -> None:
        if not self._keyword(word):
            raise self._problem()

    # Commands

    def script(self) -> Sequence:
        """The whole text. Raises SyntaxProblem."""
        found = self._sequence()
        if self.at < len(self.text):
            raise self._problem()
        return found

    def _sequence(self, stop: str = "") -> Sequence:
        items: list[tuple[AndOr, bool]] = []
        self._newlines()
        while True:
            operator = self._operator()
            if operator in (")", ";;") or self.at >= len(self.text) or self._reserved() in CLOSING:
                break
            command = self._and_or()
            background = self._take("&")
            items.append((command, background))
            if not background and not self._take(";") and self._operator() != "\n":
                break
            self._newlines()
        return Sequence(tuple(items))

    def _body(self) -> Sequence:
        found = self._sequence()
        if not found.items:
            raise self._problem()
        return found

    def _and_or(self) -> AndOr:
        first = self._pipeline()
        rest = []
        while (operator := self._operator()) in ("&&", "||"):
            self.at += 2
            self._newlines()
            rest.append((operator, self._pipeline()))
        return AndOr(first, tuple(rest))

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._keyword("!"):
            negated = not negated
        commands = [self._command()]
        while self._operator() == "|":
            self.at += 1
            self._newlines()
            commands.append(self._command())
        return Pipeline(negated, tuple(commands))

    def _command(self) -> object:
        operator, word = self._operator(), self._reserved()
        if self.text.startswith("((", self.at):
            found = self._evaluate()
            if found is not None:
                return found
        if operator == "(":
            self.at += 1
            body = self._body()
            if not self._take(")"):
                raise self._problem()
            return Subshell(body, self._redirections())
        make = self._COMPOUND.get(word)
        if make is not None:
            return make(self)
        if word and word != "in":
            raise self._problem()
        if self._plain() == "[[":
            return self._test()
        function = self._function()
        return function if function is not None else self._simple()

    def _evaluate(self) -> Evaluate | None:
        end = self.text.find("))", self.at)
        if end < 0:
            return None
        inside = self.text[self.at + 2 : end]
        self.at = end + 2
        return Evaluate(Parser(inside).whole_word(), self._redirections())

    def _group(self) -> Group:
        self._expect("{")
        body = self._body()
        self._expect("}")
        return Group(body, self._redirections())

    def _if(self) -> If:
        self._expect("if")
        branches = [self._branch()]
        otherwise = None
        while True:
            if self._keyword("elif"):
                branches.append(self._branch())
                continue
            if self._keyword("else"):
                otherwise = self._body()
            self._expect("fi")
            return If(tuple(branches), otherwise, self._redirections())

    def _branch(self) -> tuple[Sequence, Sequence]:
        condition = self._body()
        self._expect("then")
        return condition, self._body()

    def _loop(self) -> While:
        until = self._reserved() == "until"
        self._expect("until" if until else "while")
        condition = self._body()
        self._expect("do")
        body = self._body()
        self._expect("done")
        return While(condition, body, until, self._redirections())

    def _for(self) -> For:
        self._expect("for")
        self._blanks()
        name = self._plain()
        if not is_name(name):
            raise self._problem()
        self.at += len(name)
        self._newlines()
        words: list[Word] | None = None
        if self._keyword("in"):
            words = []
            while self._operator() not in (";", "\n") and self.at < len(self.text):
                words.append(self._word())
        self._take(";")
        self._newlines()
        self._expect("do")
        body = self._body()
        self._expect("done")
        return For(name, None if words is None else tuple(words), body, self._redirections())

    def _case(self) -> Case:
        self._expect("case")
        self._blanks()
        word = self._word()
        self._newlines()
        self._expect("in")
        self._newlines()
        items = []
        while not self._keyword("esac"):
            self._take("(")
            patterns = [self._word()]
            while self._take("|"):
                self._blanks()
                patterns.append(self._word())
            if not self._take(")"):
                raise self._problem()
            items.append((tuple(patterns), self._sequence()))
            if not self._take(";;"):
                self._newlines()
                self._expect("esac")
                break
            self._newlines()
        return Case(word, tuple(items), self._redirections())

    def _test(self) -> Test:
        self.at += 2
        words: list[Word] = []
        while True:
            self._blanks()
            if self._plain() == "]]":
                self.at += 2
                return Test(tuple(words), self._redirections())
            operator = self._operator()
            if operator in ("&&", "||", "<", ">", "(", ")"):
                self.at += len(operator)
                words.append((Literal(operator, False),))
            elif self.at >= len(self.text):
                raise self._problem()
            else:
                words.append(self._word())

    def _function(self) -> Function | None:
        begin = self.at
        if self._plain() == "function":
            self.at += len("function")
            self._blanks()
        name = self._plain()
        if name and all(char in NAME or char in "-." for char in name):
            self.at += len(name)
            marked = self.at - begin > len(name)
            if self._take("("):
                if self._take(")"):
                    self._newlines()
                    return Function(name, self._command())
            elif marked and self._keyword_ahead():
                self._newlines()
                return Function(name, self._command())
        self.at = begin
        return None

    def _keyword_ahead(self) -> bool:
        self._newlines()
        return self._reserved() == "{" or self._operator() == "("

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        while True:
            redirection = self._redirection()
            if redirection is not None:
                redirections.append(redirection)
                continue
            if self._operator() or self.at >= len(self.text):
                break
            if not words:
                name = self._assigned()
                if name:
                    self.at += len(name) + 1
                    value = () if self._ends_word() else self._word()
                    assignments.append((name, value))
                    continue
            words.append(self._word())
        if not assignments and not words and not redirections:
            raise self._problem()
        return Simple(tuple(assignments), tuple(words), tuple(redirections))

    def _ends_word(self) -> bool:
        return self._peek() in ("", *" \t\n;|&()<>")

    def _assigned(self) -> str:
        """The name before an equals sign, if that is what comes next."""
        end = self.at
        while end < len(self.text) and self.text[end] in NAME:
            end += 1
        name = self.text[self.at : end]
        return name if is_name(name) and self.text[end : end + 1] == "=" else ""

    # Redirections

    def _redirections(self) -> tuple[Redirection, ...]:
        found = []
        while (redirection := self._redirection()) is not None:
            found.append(redirection)
        return tuple(found)

    def _redirection(self) -> Redirection | None:
        self._blanks()
        begin, digits = self.at, ""
        while self._peek().isdigit():
            digits += self._peek()
            self.at += 1
        operator = next((o for o in REDIRECTS if self.text.startswith(o, self.at)), "")
        if not operator or (digits and operator == "&>"):
            self.at = begin
            return None
        self.at += len(operator)
        self._blanks()
        fd = int(digits) if digits else 0 if operator.startswith("<") else 1
        if operator in ("<<", "<<-"):
            return self._here_document(fd, operator)
        if self._ends_word():
            raise self._problem()
        return Redirection(fd, operator, self._word())

    def _here_document(self, fd: int, operator: str) -> Redirection:
        begin = self.at
        word = self._word()
        raw = self.text[begin : self.at]
        quoted = any(char in raw for char in "'\"\\")
        delimiter = "".join(part.text for part in word if isinstance(part, Literal))
        number = self._here_count
        self._here_count += 1
        self._here.append((number, delimiter, quoted, operator == "<<-"))
        # The text follows the line: it is found at the next newline, and again by its number.
        line_end = self.text.find("\n", self.at)
        text = self._here_text(line_end, number)
        return Redirection(fd, "<<", text)

    def _here_text(self, line_end: int, number: int) -> Word:
        if line_end < 0:
            return ()
        saved = self.at
        self.at = line_end + 1
        for pending, delimiter, quoted, tabs in list(self._here):
            lines = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                line = self.text[self.at :] if end < 0 else self.text[self.at : end]
                self.at = len(self.text) if end < 0 else end + 1
                if tabs:
                    line = line.lstrip("\t")
                if line == delimiter:
                    break
                lines.append(line + "\n")
            text = "".join(lines)
            self._here_texts[pending] = (Literal(text, True),) if quoted else Parser(text).here_word()
        end_of_all = self.at
        self.at = saved
        self._here_end = end_of_all
        return self._here_texts[number]

    def _read_here(self) -> None:
        """After a newline: skips the here-documents that were announced on the line before."""
        if self._here:
            self._here.clear()
            self.at = self._here_end

    # Words

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
            body = self._sequence()
            if not self._take(")"):
                raise SyntaxProblem('syntax error: unexpected end of file (expecting ")")')
            parts.append(Substitution(body, quoted))
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
        parts.append(Arithmetic(Parser(inside).whole_word(), quoted))
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
        return Parser("".join(inside)).script()

    def _braced(self, quoted: bool) -> Parameter:
        if self._peek() == "#" and self._peek(1) != "}":
            self.at += 1
            name = self._parameter_name()
            self._closing()
            return Parameter(name, "length", (), quoted)
        name = self._parameter_name()
        operator = next((o for o in PARAMETER_OPERATORS if self.text.startswith(o, self.at)), "")
        self.at += len(operator)
        word = self._operand(quoted)
        self._closing()
        return Parameter(name, operator, word, quoted)

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

    _COMPOUND = {"{": _group, "if": _if, "while": _loop, "until": _loop, "for": _for, "case": _case}  # noqa: RUF012


def is_name(text: str) -> bool:
    """Whether a variable may be called that."""
    return bool(text) and text[0] in NAME_FIRST and all(char in NAME for char in text)


@lru_cache(maxsize=512)
def parse(text: str) -> Sequence:
    """A script. Raises SyntaxProblem."""
    return Parser(text).script()
