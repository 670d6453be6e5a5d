"""PTX text to instructions: the parser.

PTX is what compilers emit for NVIDIA GPUs: an assembly language of typed instructions over virtual registers (PTX ISA,
chapters 4 and 5: syntax, state spaces). :func:`parse` reads a module as NVRTC, nvcc and Numba-CUDA write it. Names of
registers, variables and labels declared inside braces (inline assembly, call sequences) are made unique here, so that a
function's body is a flat list. A syntax that is not known raises :class:`SyntaxProblem` with line and text.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tinydl.kernels.simt.errors import SyntaxProblem

# -- what a module is made of ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Register:
    """``%r1``, or a special register such as ``%tid.x``."""

    name: str


@dataclass(frozen=True)
class Immediate:
    """A number: an integer, or the bits of a floating-point number (``0f3F800000``) with its width."""

    value: int
    float_bits: int = 0  # 32 or 64 for a floating-point number, whose bits ``value`` then holds


@dataclass(frozen=True)
class Symbol:
    """The name of a variable, a label, a function or a table, perhaps with an offset in bytes."""

    name: str
    offset: int = 0


@dataclass(frozen=True)
class Address:
    """``[base + offset]``."""

    base: Register | Symbol | Immediate
    offset: int = 0


@dataclass(frozen=True)
class Vector:
    """``{a, b}``."""

    parts: tuple[Operand, ...]


@dataclass(frozen=True)
class Pair:
    """``d|p``: a result and the predicate beside it."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class Negated:
    """``!%p``."""

    register: Register


@dataclass(frozen=True)
class Group:
    """``(a, b)``: the results or the arguments of a call."""

    parts: tuple[Operand, ...]


Operand = Register | Immediate | Symbol | Address | Vector | Pair | Negated | Group


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    parts: the opcode, cut at its dots (``("ld", "global", "f32")``); guard, negated: ``@%p`` or ``@!%p``; line: of the
    PTX text; text: as written; source: (file, line) of the program it came from, where the compiler said so.
    """

    parts: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Register | None
    negated: bool
    line: int
    text: str
    source: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """``"ld"`` of ``ld.global.f32``."""
        return self.parts[0]

    @property
    def type(self) -> str:
        """The last part, which is the type of most instructions."""
        return self.parts[-1]

    def has(self, part: str) -> bool:
        """Whether the opcode holds a modifier."""
        return part in self.parts[1:]

    @property
    def place(self) -> str:
        """Where it stands, for messages: the source line if it is known, else the line of the PTX."""
        where = f"{self.source[0]}:{self.source[1]}" if self.source else f"line {self.line} of the PTX"
        return f"{self.text!r} ({where})"


@dataclass(frozen=True)
class Label:
    """A place to branch to."""

    name: str


@dataclass
class Variable:
    """A variable in a state space: size in bytes (0: an unsized ``extern`` array), bytes it begins with, and of those
    the places that hold addresses of other variables (offset -> symbol)."""

    name: str
    space: str
    type: str
    align: int
    size: int
    initial: bytes | None = None
    addresses: dict[int, Symbol] = field(default_factory=dict)


@dataclass
class Function:
    """A kernel (``entry``) or a function: its parameters, registers (name -> type), variables, and body."""

    name: str
    entry: bool
    parameters: list[Variable] = field(default_factory=list)
    results: list[Variable] = field(default_factory=list)
    registers: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[str, int]] = field(default_factory=dict)  # "%r" -> (type, count) of ``.reg .b32 %r<9>``
    variables: list[Variable] = field(default_factory=list)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of brx.idx
    body: list[Instruction | Label] = field(default_factory=list)
    bounds: dict[str, tuple[int, ...]] = field(default_factory=dict)  # .maxntid, .reqntid, .minnctapersm, .maxnreg
    defined: bool = False

    def type_of(self, register: str) -> str | None:
        """The declared type of a register; None when it has none."""
        found = self.registers.get(register)
        if found is None and (match := _NUMBERED.fullmatch(register)):
            declared = self.ranges.get(match[1])
            if declared is not None and int(match[2]) < declared[1]:
                return declared[0]
        return found


@dataclass
class Module:
    """A parsed PTX text."""

    version: str = ""
    target: str = ""
    functions: dict[str, Function] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)

    @property
    def entries(self) -> list[str]:
        """The kernels."""
        return [name for name, function in self.functions.items() if function.entry and function.defined]


#: Bytes of each type.
WIDTHS = {
    "b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "bf16": 2, "b32": 4, "u32": 4, "s32": 4,
    "f32": 4, "f16x2": 4, "bf16x2": 4, "tf32": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8, "b128": 16, "pred": 1,
}  # fmt: skip

SPACES = ("global", "shared", "local", "const", "param")
_LINKAGE = {".visible", ".extern", ".weak", ".common", ".managed"}
_PERFORMANCE = {".maxntid", ".reqntid", ".minnctapersm", ".maxnreg", ".maxclusterrank", ".reqnctapercluster"}
_FLAGS = {".noreturn", ".explicitcluster", ".blocksareclusters", ".attribute", ".managed", ".ptr"}
_NUMBERED = re.compile(r"(.*?[^0-9])(\d+)")

# -- words -------------------------------------------------------------------------------------------------------------

_WORDS = re.compile(
    r"""(?P<space>[ \t\r\f]+) | (?P<newline>\n) | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<string>"[^"\n]*")
    | (?P<number>0[fF][0-9a-fA-F]{8}\b | 0[dD][0-9a-fA-F]{16}\b | 0[xX][0-9a-fA-F]+U? | \d+\.\d+(?:[eE][+-]?\d+)?
        | \d+U?(?![\w$]))
    | (?P<word>[A-Za-z_$%.][\w$%.]*(?:::[\w.]+)*)
    | (?P<mark>[{}()\[\],;:@!|+\-<>=*~&^/])""",
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    text: str
    kind: str
    line: int


def _tokens(text: str) -> Iterator[_Token]:
    """The words of a text; SyntaxProblem at a character that begins none."""
    at, line = 0, 1
    for match in _WORDS.finditer(text):
        if match.start() != at:
            break
        kind, at = match.lastgroup, match.end()
        if kind == "newline":
            line += 1
        elif kind == "comment":
            line += match[0].count("\n")
        elif kind is not None and kind != "space":
            yield _Token(match[0], kind, line)
    if at != len(text):
        raise SyntaxProblem(f"line {line} of the PTX cannot be read at {text[at : at + 20]!r}", line=line)


# -- the parser --------------------------------------------------------------------------------------------------------


class _Scope:
    """Names declared between two braces, and what each is called outside of them."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.names: dict[str, str] = {}
        self.ranges: dict[str, int] = {}

    def find(self, name: str) -> str | None:
        if name in self.names:
            return self.names[name]
        match = _NUMBERED.fullmatch(name)
        if match and int(match[2]) < self.ranges.get(match[1], 0):
            return f"{match[1]}{self.suffix}_{match[2]}"
        return None


class _Parser:
    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.tokens = list(_tokens(text))
        self.at = 0
        self.module = Module()
        # the table of files stands at the end of a module
        self.files = {int(number): _base(name) for number, name in re.findall(r'\.file\s+(\d+)\s+"([^"]*)"', text)}
        self.source: tuple[str, int] | None = None
        self.scopes: list[_Scope] = []
        self.scopes_made = 0
        self.function = Function("", False)
        self.branches: list[tuple[int, list[_Scope]]] = []  # where in the body, and what was in sight there

    # ---- reading words

    @property
    def here(self) -> _Token:
        if self.at >= len(self.tokens):
            raise SyntaxProblem(f"the PTX ends in the middle of a statement (line {len(self.lines)})")
        return self.tokens[self.at]

    def next(self) -> _Token:
        token = self.here
        self.at += 1
        return token

    def take(self, text: str) -> bool:
        """Step over a word if it stands here."""
        if self.at < len(self.tokens) and self.tokens[self.at].text == text:
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.problem(f"expected {text!r}")

    def problem(self, what: str) -> SyntaxProblem:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        shown = self.lines[token.line - 1].strip()
        return SyntaxProblem(
            f"line {token.line} of the PTX: {what} at {token.text!r} in {shown!r}", line=token.line, text=shown
        )

    def integer(self) -> int:
        negative = self.take("-")
        token = self.next()
        try:
            value = int(token.text.rstrip("U"), 0)
        except ValueError:
            self.at -= 1
            raise self.problem("expected a whole number") from None
        return -value if negative else value

    # ---- a module

    def parse(self) -> Module:
        while self.at < len(self.tokens):
            self.directive()
        return self.module

    def directive(self) -> None:
        word = self.here.text
        if word == ".version":
            self.next()
            self.module.version = self.next().text
        elif word == ".target":
            self.next()
            self.module.target = self.next().text
            while self.take(","):
                self.next()
        elif word == ".address_size":
            self.next()
            if self.integer() != 64:
                raise self.problem("only addresses of 64 bits are known")
        elif word == ".file":
            self.file()
        elif word == ".section":
            self.skip_braces()
        elif word == ".alias":
            while not self.take(";"):
                self.next()
        elif word in (".entry", ".func") or word in _LINKAGE or word[1:] in SPACES:
            self.declaration()
        elif word == ";":
            self.next()
        else:
            raise self.problem("unknown directive")

    def file(self) -> None:
        """``.file 1 "name", time, size``, on a line of its own; read already."""
        line = self.next().line
        while self.at < len(self.tokens) and self.here.line == line:
            self.next()

    def skip_braces(self) -> None:
        while self.here.text != "{":
            self.next()
        depth = 0
        while True:
            text = self.next().text
            depth += (text == "{") - (text == "}")
            if depth == 0:
                return

    def declaration(self) -> None:
        external = False
        while self.here.text in _LINKAGE:
            external |= self.next().text == ".extern"
        word = self.here.text
        if word in (".entry", ".func"):
            self.routine()
        elif word[1:] in SPACES:
            for variable in self.variables():
                self.module.variables[variable.name] = variable
        else:
            raise self.problem("unknown declaration")

    def routine(self) -> None:
        entry = self.next().text == ".entry"
        while self.here.text == ".attribute":  # e.g. .attribute(.unified(...))
            self.next()
            self.skip_parentheses()
        results = self.parameters() if self.here.text == "(" else []
        function = Function(self.next().text, entry, results=results)
        function.parameters = self.parameters() if self.here.text == "(" else []
        while self.here.text.startswith("."):
            name = self.next().text
            if name in _PERFORMANCE:
                numbers = [self.integer()]
                while self.take(","):
                    numbers.append(self.integer())
                function.bounds[name[1:]] = tuple(numbers)
            elif name not in _FLAGS:
                self.at -= 1
                raise self.problem("unknown directive of a function")
        known = self.module.functions.get(function.name)
        if self.take(";"):
            if known is None:
                self.module.functions[function.name] = function
            return
        self.module.functions[function.name] = function
        function.defined = True
        self.function, self.branches, self.source, self.scopes = function, [], None, []
        self.block()
        self.resolve_branches()

    def skip_parentheses(self) -> None:
        depth = 0
        while True:
            text = self.next().text
            depth += (text == "(") - (text == ")")
            if depth == 0:
                return

    def parameters(self) -> list[Variable]:
        self.expect("(")
        found: list[Variable] = []
        while not self.take(")"):
            if self.here.text == ".reg":
                raise self.problem("parameters in registers are not known")
            found += self.variables(end=False)
            self.take(",")
        return found

    # ---- variables

    def variables(self, end: bool = True) -> list[Variable]:
        """``.global .align 4 .f32 x[2][3] = {...}, y;`` from its space on."""
        space, align, kind, lanes = self.next().text[1:], 0, "", 1
        if space not in SPACES:
            self.at -= 1
            raise self.problem("expected a state space")
        while self.here.text.startswith("."):
            word = self.next().text
            if word == ".align":
                align = self.integer()
            elif word in (".v2", ".v4"):
                lanes = int(word[2:])
            elif word[1:] in WIDTHS:
                kind = word[1:]
            elif word == ".attribute":
                self.skip_parentheses()
            elif word == ".ptr":  # what a parameter points to: .ptr .global .align 4
                if self.here.text[1:] in SPACES:
                    self.next()
                if self.take(".align"):
                    self.integer()
            else:
                self.at -= 1
                raise self.problem("unknown part of a declaration")
        if not kind:
            raise self.problem("a variable without a type")
        found = [self.variable(space, kind, align, lanes)]
        while end and self.take(","):
            found.append(self.variable(space, kind, align, lanes))
        if end:
            self.expect(";")
        return found

    def variable(self, space: str, kind: str, align: int, lanes: int) -> Variable:
        name, count, width = self.next().text, lanes, WIDTHS[kind]
        while self.take("["):
            if self.take("]"):
                count = 0
                continue
            count *= self.integer()
            self.expect("]")
        variable = Variable(name, space, kind, align or width * lanes, count * width)
        if self.take("="):
            data = self.initial(kind, variable.addresses)
            variable.size = variable.size or len(data)
            variable.initial = data.ljust(variable.size, b"\0")
        return variable

    def initial(self, kind: str, addresses: dict[int, Symbol]) -> bytes:
        """The bytes of ``{1, {2, 3}, generic(x)+4}``; where addresses go is noted, with zeros in their place."""
        data = bytearray()

        def item() -> None:
            if self.take("{"):
                while not self.take("}"):
                    item()
                    self.take(",")
                return
            if self.here.kind == "word":
                name = self.next().text
                if name == "generic":
                    self.expect("(")
                    name = self.next().text
                    self.expect(")")
                offset = self.integer() if self.take("+") else 0
                addresses[len(data)] = Symbol(name, offset)
                data.extend(bytes(8))
                return
            value, width = self.immediate(), WIDTHS[kind]
            if kind in ("f32", "f64") and value.float_bits != 8 * width:
                number = struct.unpack("<d", struct.pack("<Q", value.value))[0] if value.float_bits else value.value
                data.extend(struct.pack("<f" if kind == "f32" else "<d", number))
            else:
                data.extend((value.value & ((1 << 8 * width) - 1)).to_bytes(width, "little"))

        item()
        return bytes(data)

    # ---- bodies

    def block(self) -> None:
        self.expect("{")
        suffix = f"#{self.scopes_made}" if self.scopes else ""
        self.scopes_made += 1
        self.scopes.append(_Scope(suffix))
        while not self.take("}"):
            self.statement()
        self.scopes.pop()

    def statement(self) -> None:
        token = self.here
        if token.text == "{":
            self.block()
        elif token.text == ";":
            self.next()
        elif token.text == ".loc":
            self.location()
        elif token.text == ".reg":
            self.registers()
        elif token.text == ".pragma":
            while not self.take(";"):
                self.next()
        elif token.text in (".file", ".section"):
            self.directive()
        elif token.text == ".branchtargets":
            raise self.problem("a table of branches without a name")
        elif token.text[1:] in SPACES or token.text in _LINKAGE:
            self.local_variables()
        elif token.kind == "word" and self.tokens[self.at + 1].text == ":":
            self.label()
        elif token.kind == "word" and not token.text.startswith((".", "%")) or token.text == "@":
            self.instruction()
        else:
            raise self.problem("unknown statement")

    def location(self) -> None:
        line = self.next().line
        number, source = self.integer(), self.integer()
        if source:  # line 0 says: of no line in particular
            self.source = (self.files.get(number, "?"), source)
        while self.here.line == line:  # column, and the function that was inlined
            self.next()

    def registers(self) -> None:
        self.next()
        kind, scope = self.next().text[1:], self.scopes[-1]
        if kind in ("v2", "v4") or kind not in WIDTHS:
            self.at -= 1
            raise self.problem("unknown type of a register")
        while True:
            name = self.next().text
            if self.take("<"):
                count = self.integer()
                self.expect(">")
                scope.ranges[name] = count
                self.function.ranges[f"{name}{scope.suffix}_" if scope.suffix else name] = (kind, count)
            else:
                scope.names[name] = f"{name}{scope.suffix}"
                self.function.registers[scope.names[name]] = kind
            if not self.take(","):
                break
        self.expect(";")

    def local_variables(self) -> None:
        while self.here.text in _LINKAGE:
            self.next()
        for variable in self.variables():
            scope = self.scopes[-1]
            scope.names[variable.name] = variable.name = f"{variable.name}{scope.suffix}"
            self.function.variables.append(variable)

    def label(self) -> None:
        name, scope = self.next().text, self.scopes[-1]
        self.expect(":")
        if self.here.text in (".branchtargets", ".callprototype", ".calltargets"):
            kind = self.next().text
            words = []
            while not self.take(";"):
                words.append(self.next().text)
            if kind == ".branchtargets":
                self.function.tables[name] = tuple(word for word in words if word != ",")
            return
        scope.names[name] = f"{name}{scope.suffix}"
        self.function.body.append(Label(scope.names[name]))

    def instruction(self) -> None:
        guard, negated = None, False
        if self.take("@"):
            negated = self.take("!")
            guard = Register(self.resolve(self.next().text))
        token = self.next()
        first, operands = self.at, []
        while not self.take(";"):
            operands.append(self.operand())
            if not self.take(",") and self.here.text != ";":
                raise self.problem("expected a comma or the end of the instruction")
        text = _shown(self.tokens[first - 1 : self.at - 1])
        body = self.function.body
        parts = tuple(token.text.split("."))
        made = Instruction(parts, tuple(operands), guard, negated, token.line, text, self.source)
        if made.name in ("bra", "brx", "call"):
            self.branches.append((len(body), list(self.scopes)))
        body.append(made)

    # ---- operands

    def operand(self) -> Operand:
        token = self.here
        if token.text == "[":
            return self.address()
        if token.text in ("{", "("):
            return self.several()
        if token.text == "!":
            self.next()
            return Negated(Register(self.resolve(self.next().text)))
        if token.text == "-" or token.kind == "number":
            return self.immediate()
        if token.kind != "word":
            raise self.problem("unknown operand")
        first = self.named()
        if self.take("|"):
            return Pair(first, self.operand())
        if isinstance(first, Symbol) and self.here.text in "+-":
            return Symbol(first.name, self.offset())
        return first

    def several(self) -> Vector | Group:
        close = "}" if self.next().text == "{" else ")"
        parts = []
        while not self.take(close):
            parts.append(self.operand())
            self.take(",")
        return Vector(tuple(parts)) if close == "}" else Group(tuple(parts))

    def address(self) -> Address:
        self.expect("[")
        base = self.named() if self.here.kind == "word" else self.immediate()
        assert not isinstance(base, (Address, Vector))
        offset = self.offset()
        if self.here.text == ",":
            raise self.problem("addresses of textures and tensors are not known")
        self.expect("]")
        return Address(base, offset)

    def offset(self) -> int:
        total = 0
        while self.here.text in ("+", "-"):
            self.take("+")
            total += self.integer()
        return total

    def named(self) -> Register | Symbol:
        name = self.next().text
        resolved = self.resolve(name)
        if name.startswith("%") or resolved in self.function.registers or name == "_":
            return Register(resolved)
        return Symbol(resolved)

    def immediate(self) -> Immediate:
        negative = self.take("-")
        text = self.next().text
        if text[:2] in ("0f", "0F"):
            return Immediate(int(text[2:], 16), 32)
        if text[:2] in ("0d", "0D"):
            return Immediate(int(text[2:], 16), 64)
        if "." in text:
            value = -float(text) if negative else float(text)
            return Immediate(int.from_bytes(struct.pack("<d", value), "little"), 64)
        try:
            number = int(text.rstrip("U"), 0) if not re.fullmatch(r"0\d+", text) else int(text, 8)
        except ValueError:
            self.at -= 1
            raise self.problem("expected a number") from None
        return Immediate(-number if negative else number)

    # ---- names

    def resolve(self, name: str, scopes: list[_Scope] | None = None) -> str:
        """What a name means here: the innermost declaration wins. Vector components keep their ending."""
        for scope in reversed(self.scopes if scopes is None else scopes):
            if scope.suffix or name in scope.names:
                found = scope.find(name)
                if found is not None:
                    return found
            elif scope.find(name) is not None:
                return name
        return name

    def resolve_branches(self) -> None:
        """Labels may stand behind the branch, so they are looked up when the function has ended."""
        body = self.function.body
        for at, scopes in self.branches:
            instruction = body[at]
            assert isinstance(instruction, Instruction)
            operands = tuple(
                Symbol(self.resolve(o.name, scopes), o.offset) if isinstance(o, Symbol) else o
                for o in instruction.operands
            )
            body[at] = replace(instruction, operands=operands)


def _base(path: str) -> str:
    """The last part of a path."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _shown(tokens: list[_Token]) -> str:
    """An instruction as one writes it."""
    head, *rest = [token.text for token in tokens]
    text = " ".join(rest)
    for mark, tight in ((" ,", ","), ("[ ", "["), (" ]", "]"), ("{ ", "{"), (" }", "}"), ("( ", "("), (" )", ")"),
                        (" + ", "+"), ("- ", "-"), (" | ", "|"), ("! ", "!")):  # fmt: skip
        text = text.replace(mark, tight)
    return f"{head} {text}".strip()


@functools.lru_cache(maxsize=16)
def parse(text: str) -> Module:
    """Read a PTX module (PTX ISA 9.0, chapters 4, 5, 10 and 11); SyntaxProblem names a line it cannot read."""
    return _Parser(text).parse()
