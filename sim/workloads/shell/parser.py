"""Parses shell scripts by recursive descent: characters straight to syntax, as the grammar's quoting demands.

Not modelled: aliases, ``select``, process substitution and extended patterns.
"""

from __future__ import annotations

from functools import lru_cache

from seatrial.sim.workloads.shell.syntax import (
    AndOr,
    Assignment,
    Case,
    Evaluate,
    For,
    Function,
    Group,
    If,
    Items,
    Literal,
    Part,
    Pipeline,
    Redirection,
    Sequence,
    Simple,
    Subshell,
    SyntaxProblem,
    Test,
    While,
    Word,
)
from seatrial.sim.workloads.shell.words import NAME, Words, is_name

BLANK = " \t"
DECLARING = ("declare", "typeset", "local", "readonly", "export")
OPERATORS = ("&&", "||", ";;", "<<-", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "&", "|", ";", "<", ">", "(", ")", "\n")
REDIRECTS = ("<<<", "<<-", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "<", ">")
RESERVED = frozenset(
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!", "in"]
)
CLOSING = frozenset(["then", "else", "elif", "fi", "do", "done", "esac", "}"])


class Parser(Words):
    """One script."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._here: list[tuple[int, str, bool, bool]] = []
        self._here_texts: dict[int, Word] = {}
        self._here_count = 0
        self._here_end = 0
        self.unfinished = False
        """A here-document's end did not come."""

    # Tokens

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

    def _script(self, text: str) -> Sequence:
        return Parser(text).script()

    def _enclosed(self) -> Sequence:
        body = self._sequence()
        if not self._take(")"):
            raise SyntaxProblem('syntax error: unexpected end of file (expecting ")")')
        return body

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
            if words and words[-1] == (Literal("=~", False),) and self._peek() not in ("", "\n"):
                words.append(self._regular_expression())
                continue
            operator = self._operator()
            if operator in ("&&", "||", "<", ">", "(", ")"):
                self.at += len(operator)
                words.append((Literal(operator, False),))
            elif self.at >= len(self.text):
                raise self._problem()
            else:
                words.append(self._word())

    def _regular_expression(self) -> Word:
        """A word in which parentheses and bars stand for themselves."""
        parts: list[Part] = []
        while self._peek() not in ("", " ", "\t", "\n"):
            char = self._peek()
            if char in "'\"\\$`" and (char != "$" or self._peek(1) in ("{", "(") or self._peek(1) in NAME):
                self._special(parts, char)
            else:
                parts.append(Literal(char, False))
                self.at += 1
        return tuple(parts)

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
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        while True:
            redirection = self._redirection()
            if redirection is not None:
                redirections.append(redirection)
                continue
            if self._operator() or self.at >= len(self.text):
                break
            if not words or (words[0][0].text if type(words[0][0]) is Literal else "") in DECLARING:
                assignment = self._assignment(only_items=bool(words))
                if assignment is not None:
                    assignments.append(assignment)
                    continue
            words.append(self._word())
        if not assignments and not words and not redirections:
            raise self._problem()
        return Simple(tuple(assignments), tuple(words), tuple(redirections))

    def _assignment(self, only_items: bool = False) -> Assignment | None:
        """``name=``, ``name+=`` or ``name[index]=`` with what follows, if that is what comes next."""
        begin = self.at
        while self._peek() and self._peek() in NAME:
            self.at += 1
        name = self.text[begin : self.at]
        index = self._index() if is_name(name) and "]" in self.text[self.at :] else None
        appends = self._peek() == "+"
        self.at += appends
        if not is_name(name) or self._peek() != "=" or (only_items and self._peek(1) != "("):
            self.at = begin
            return None
        self.at += 1
        if self._peek() == "(":
            return Assignment(name, self._items(), index, appends)
        return Assignment(name, () if self._ends_word() else self._word(), index, appends)

    def _items(self) -> Items:
        self.at += 1
        words: list[Word] = []
        self._newlines()
        while not self._take(")"):
            if self._operator() or self.at >= len(self.text):
                raise self._problem()
            words.append(self._word())
            self._newlines()
        return Items(tuple(words))

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
        if operator == "<<<":
            return Redirection(fd, "<<", (*self._word(), Literal("\n", True)))
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
            else:
                self.unfinished = True
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

    _COMPOUND = {"{": _group, "if": _if, "while": _loop, "until": _loop, "for": _for, "case": _case}  # noqa: RUF012


@lru_cache(maxsize=512)
def parse(text: str) -> Sequence:
    """A script. Raises SyntaxProblem."""
    return Parser(text).script()


ENDED_EARLY = ("unexpected end of file", "unterminated", "EOF in", "missing '}'")


def is_incomplete(text: str) -> bool:
    """Whether a terminal's input goes on with the next line."""
    if text.endswith("\\\n"):
        return True
    parser = Parser(text)
    try:
        parser.script()
    except SyntaxProblem as problem:
        return any(early in str(problem) for early in ENDED_EARLY)
    return parser.unfinished
