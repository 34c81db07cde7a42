"""From the text of an expression to its syntax tree, with upstream's words for what is wrong.

Source: github.com/google/cel-go/parser (parser.go) and its grammar. Errors are reported and recovered from as the
generated parser does: one superfluous token is passed over, one missing bracket is supplied, otherwise input is skipped
to where an enclosing rule can go on. *Not modelled*: the rare mistakes for which upstream's parser prints a longer set
of alternatives; there the message names the same place in other words. Brackets nest some hundred deep, not 250.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isinf

from seatrial.sim.machinery.cel import macros
from seatrial.sim.machinery.cel.errors import CelError, Issue
from seatrial.sim.machinery.cel.lexer import (
    BYTES,
    EOF,
    IDENTIFIER,
    NUM_FLOAT,
    NUM_INT,
    NUM_UINT,
    STRING,
    Token,
    text_value,
    tokens,
)
from seatrial.sim.machinery.cel.syntax import (
    Call,
    Entry,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    Select,
    StructEntry,
    StructLiteral,
)
from seatrial.sim.machinery.cel.values import INT_MAX, INT_MIN, UINT_MAX, Uint

DEPTH_MAX = 250
"""Nested rules that an expression may need (maxRecursionDepth)."""
TOO_DEEP = f"expression recursion limit exceeded: {DEPTH_MAX}"
DIGITS_MAX = 100
SIZE_MAX = 100_000
"""Characters of an expression (expressionSizeCodePointLimit)."""

OPERAND = (
    "[", "{", "(", ".", "-", "!", "true", "false", "null",
    NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER,
)  # fmt: skip
AFTER_MINUS = tuple(kind for kind in OPERAND if kind not in ("-", "!"))
NAMED = {NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER, EOF}

RELATIONS = {"<": "_<_", "<=": "_<=_", ">=": "_>=_", ">": "_>_", "==": "_==_", "!=": "_!=_", "in": "@in"}
SUMS = {"+": "_+_", "-": "_-_"}
PRODUCTS = {"*": "_*_", "/": "_/_", "%": "_%_"}
OPERATORS = {*RELATIONS, *SUMS, *PRODUCTS, "&&", "||", "?", ".", "["}

RESERVED = frozenset(
    {
        "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
        "package", "namespace", "null", "return", "true", "var", "void", "while",
    }
)  # fmt: skip


def parse(source: str) -> Node:
    """The tree of an expression, macros expanded. Raises CelError."""
    if len(source) > SIZE_MAX:
        text = f"expression code point size exceeds limit: size: {len(source)}, limit {SIZE_MAX}"
        raise CelError(source, [Issue(0, text)])
    issues: list[Issue] = []
    parser = _Parser(source, issues)
    try:
        tree = parser.whole()
    except RecursionError:
        tree, issues[:] = Literal(0, None), [Issue(0, TOO_DEEP)]
    if issues:
        raise CelError(source, issues)
    return tree


ORDER = ("]", "}", ")", ",", ":")


def _listed(kinds: tuple[str, ...]) -> str:
    """A set of tokens, in the order in which the grammar knows them."""
    if kinds[-1] in ORDER:
        kinds = tuple(sorted(kinds, key=ORDER.index))
    shown = [kind if kind in NAMED else f"'{kind}'" for kind in kinds]
    return shown[0] if len(shown) == 1 else f"{{{', '.join(shown)}}}"


def balanced(function: str, terms: list[Node], places: list[int]) -> Node:
    """A tree of binary calls over the terms, in their order; ``places``: where the signs between them are."""
    if not places:
        return terms[0]
    middle = len(places) // 2
    left = balanced(function, terms[: middle + 1], places[:middle])
    return Call(places[middle], function, None, (left, balanced(function, terms[middle + 1 :], places[middle + 1 :])))


class _Parser:
    def __init__(self, source: str, issues: list[Issue]) -> None:
        self.issues = issues
        self.tokens = tokens(source, issues)
        self.position = 0
        self.token = self.tokens[0]
        self.closers: list[str] = []
        """What the enclosing brackets can be followed by or closed with."""
        self.recovering = False
        self.depth = 0

    # tokens

    def step(self) -> Token:
        token = self.token
        if token.kind != EOF:
            self.position += 1
            self.token = self.tokens[self.position]
        self.recovering = False
        return token

    def ahead(self) -> str:
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)].kind

    def report(self, text: str, at: int | None = None) -> None:
        if not self.recovering:
            self.issues.append(Issue(self.token.at if at is None else at, f"Syntax error: {text}"))
        self.recovering = True

    def refuse(self, at: int, text: str) -> Node:
        """A mistake that is not one of syntax."""
        self.issues.append(Issue(at, text))
        return Literal(at, None)

    def expect(self, kind: str, others: tuple[str, ...] = ()) -> Token:
        """The next token, which has to be of a kind; mends what can be mended."""
        if self.token.kind == kind:
            return self.step()
        token, wanted = self.token, _listed((*others, kind))
        if self.ahead() == kind and token.kind != EOF:
            self.report(f"extraneous input '{token.text}' expecting {wanted}")
            self.step()
            return self.step()
        if kind not in (EOF, ":") and not others and self._follows(token.kind):
            self.report(f"missing {_listed((kind,))} at '{token.text}'")
            return Token(kind, "", token.at)
        self.report(f"mismatched input '{token.text}' expecting {wanted}")
        self.recover()
        if self.token.kind == kind:
            self.step()
            self.recovering = True
        return Token(kind, "", token.at)

    def _follows(self, kind: str) -> bool:
        return kind in OPERATORS or kind in self.closers[:-1] or kind == EOF

    def recover(self) -> None:
        """Skips to where some enclosing rule can go on."""
        while self.token.kind != EOF and self.token.kind not in OPERATORS and self.token.kind not in self.closers:
            self.position += 1
            self.token = self.tokens[self.position]

    # rules

    def whole(self) -> Node:
        tree = self.expression()
        if self.token.kind != EOF:
            wrong = self.token
            if self.ahead() == EOF:
                self.report(f"extraneous input '{wrong.text}' expecting <EOF>")
            else:
                self.report(f"mismatched input '{wrong.text}' expecting <EOF>")
        return tree

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise RecursionError
        tree = self.disjunction()
        if self.token.kind == "?":
            at = self.step().at
            self.closers.append(":")
            left = self.disjunction()
            self.expect(":")
            self.closers.pop()
            tree = Call(at, "_?_:_", None, (tree, left, self.expression()))
        self.depth -= 1
        return tree

    def disjunction(self) -> Node:
        return self.chain("||", "_||_", self.conjunction)

    def conjunction(self) -> Node:
        return self.chain("&&", "_&&_", self.relation)

    def chain(self, sign: str, function: str, operand: Callable[[], Node]) -> Node:
        """Terms of a long chain are balanced, so that it does not nest as deeply as it is long."""
        terms, places = [operand()], []
        while self.token.kind == sign:
            places.append(self.step().at)
            terms.append(operand())
        return balanced(function, terms, places)

    def relation(self) -> Node:
        tree = self.sum()
        while self.token.kind in RELATIONS:
            token = self.step()
            tree = Call(token.at, RELATIONS[token.kind], None, (tree, self.sum()))
        return tree

    def sum(self) -> Node:
        tree = self.product()
        while self.token.kind in SUMS:
            token = self.step()
            tree = Call(token.at, SUMS[token.kind], None, (tree, self.product()))
        return tree

    def product(self) -> Node:
        tree = self.unary()
        while self.token.kind in PRODUCTS:
            token = self.step()
            tree = Call(token.at, PRODUCTS[token.kind], None, (tree, self.unary()))
        return tree

    def unary(self) -> Node:
        if self.token.kind not in OPERAND and not self._operand_missing(OPERAND):
            return Literal(self.token.at, None)
        sign = self.token.kind
        if sign not in ("!", "-"):
            return self.member()
        first = self.token
        if sign == "-" and self.ahead() in (NUM_INT, NUM_FLOAT):
            return self.member()
        count = 0
        while self.token.kind == sign:
            self.step()
            count += 1
        if self.token.kind not in AFTER_MINUS and not self._operand_missing(AFTER_MINUS):
            return Literal(self.token.at, None)
        operand = self.member()
        return operand if count % 2 == 0 else Call(first.at, "!_" if sign == "!" else "-_", None, (operand,))

    def _operand_missing(self, wanted: tuple[str, ...]) -> bool:
        """Reports a token that begins no operand; true when the one behind it does."""
        token = self.token
        if token.kind != EOF and self.ahead() in wanted:
            self.report(f"extraneous input '{token.text}' expecting {_listed(wanted)}")
            self.step()
            self.recovering = True
            return True
        self.report(f"mismatched input '{token.text}' expecting {_listed(wanted)}")
        self.recover()
        return False

    def member(self) -> Node:
        tree = self.primary()
        while True:
            kind = self.token.kind
            if kind == ".":
                tree = self.selection(tree)
            elif kind == "[":
                at = self.step().at
                optional = self._optional_mark()
                self.closers.append("]")
                index = self.expression()
                self.expect("]")
                self.closers.pop()
                tree = Call(at, "_[?_]" if optional else "_[_]", None, (tree, index))
            elif kind == "{" and (name := macros.qualified(tree)):
                tree = self.struct(tree, name)
            else:
                return tree

    def _optional_mark(self) -> bool:
        if self.token.kind != "?":
            return False
        self.step()
        return True

    def selection(self, operand: Node) -> Node:
        dot = self.step()
        optional = self._optional_mark()
        if self.token.kind != IDENTIFIER:
            shown = "" if self.token.kind == EOF else self.token.text
            mark = "?" if optional else ""
            self.report(f"no viable alternative at input '.{mark}{shown}'")
            self.recover()
            return operand
        name = self.step()
        if self.token.kind == "(" and not optional:
            opening = self.step()
            args = self.arguments(")")
            return macros.expand(self, opening.at, name.text, operand, args)
        return Select(dot.at, operand, name.text, optional=optional)

    def arguments(self, closer: str) -> tuple[Node, ...]:
        if self.token.kind == closer:
            self.step()
            return ()
        self.closers += (",", closer)
        args = [self.expression()]
        while self.token.kind == ",":
            self.step()
            args.append(self.expression())
        self.closers.pop()
        self.closers.pop()
        self.closers.append(closer)
        self.expect(closer)
        self.closers.pop()
        return tuple(args)

    def primary(self) -> Node:
        token = self.token
        if token.kind in ("(", "[", "{"):
            self.step()
            if token.kind == "[":
                return self.list(token.at)
            if token.kind == "{":
                return self.map(token.at)
            self.closers.append(")")
            tree = self.expression()
            self.expect(")")
            self.closers.pop()
            return tree
        if token.kind in (".", IDENTIFIER):
            return self.identifier()
        return self.literal()

    def identifier(self) -> Node:
        dot = self.token if self.token.kind == "." else None
        if dot is not None:
            self.step()
            if self.token.kind != IDENTIFIER:
                shown = "" if self.token.kind == EOF else self.token.text
                self.report(f"no viable alternative at input '.{shown}'")
                self.recover()
                return Literal(dot.at, None)
        name = self.step()
        if name.text in RESERVED:
            return self.refuse(name.at, f"reserved identifier: {name.text}")
        if self.token.kind == "(":
            opening = self.step()
            return macros.expand(self, opening.at, name.text, None, self.arguments(")"))
        return Ident(name.at if dot is None else dot.at, name.text)

    def list(self, at: int) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        self.closers += (",", "]")
        while self.token.kind != "]":
            if self._optional_mark():
                optional.add(len(elements))
            elements.append(self.expression())
            if self.token.kind != ",":
                break
            self.step()
        self.expect("]", (",",))
        self.closers.pop()
        self.closers.pop()
        return ListLiteral(at, tuple(elements), frozenset(optional))

    def map(self, at: int) -> Node:
        entries: list[Entry] = []
        self.closers += (",", "}", ":")
        while self.token.kind != "}":
            optional = self._optional_mark()
            key = self.expression()
            colon = self.expect(":")
            entries.append(Entry(colon.at, key, self.expression(), optional))
            if self.token.kind != ",":
                break
            self.step()
        self.expect("}", (",",))
        del self.closers[-3:]
        return MapLiteral(at, tuple(entries))

    def struct(self, named: Node, name: str) -> Node:
        opening = self.step()
        entries: list[StructEntry] = []
        self.closers += (",", "}")
        while self.token.kind != "}":
            optional = self._optional_mark()
            if self.token.kind != IDENTIFIER:
                passed_over = self.ahead() == IDENTIFIER
                what = "extraneous" if passed_over else "mismatched"
                self.report(f"{what} input '{self.token.text}' expecting {{'}}', ',', '?', IDENTIFIER}}")
                if not passed_over:
                    self.recover()
                    break
                self.step()
            field = self.step()
            colon = self.expect(":")
            entries.append(StructEntry(colon.at, field.text, self.expression(), optional))
            if self.token.kind != ",":
                break
            self.step()
        self.expect("}", (",",))
        del self.closers[-2:]
        return StructLiteral(opening.at, name, tuple(entries))

    def literal(self) -> Node:
        token = self.step()
        at, text = token.at, token.text
        if token.kind == "-":
            token = self.step()
            text = "-" + token.text
        if token.kind in ("true", "false", "null"):
            return Literal(at, {"true": True, "false": False, "null": None}[token.kind])
        if token.kind in (NUM_INT, NUM_UINT) and len(text) > DIGITS_MAX:
            return self.refuse(at, "invalid int literal" if token.kind == NUM_INT else "invalid uint literal")
        if token.kind == NUM_INT:
            number = int(text, 16 if "0x" in text else 10)
            return Literal(at, number) if INT_MIN <= number <= INT_MAX else self.refuse(at, "invalid int literal")
        if token.kind == NUM_UINT:
            number = int(text[:-1], 16 if "0x" in text else 10)
            return Literal(at, Uint(number)) if number <= UINT_MAX else self.refuse(at, "invalid uint literal")
        if token.kind == NUM_FLOAT:
            number_value = float(text)
            return self.refuse(at, "invalid double literal") if isinf(number_value) else Literal(at, number_value)
        try:
            return Literal(at, text_value(text))
        except ValueError as error:
            return self.refuse(at, str(error))
