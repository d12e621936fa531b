"""R's serialization, read from a stream as a tree of vectors, lists and S4 objects.

The format is that of `saveRDS` and `save` unless they are told otherwise: big-endian ("XDR"), versions 2 and 3. Code
and environments are read past and left out. Objects carry much of both, as Seurat keeps the arguments of every step; no
counts are in them.

The library for this format, `rdata`, reads the same (the tests compare the two), but makes an object of every text and
holds the whole file: of a Seurat object of 20,000 cells it took 1.8 GB and 26 s where this takes 0.6 GB and 7 s. It
also stops at objects with an unbound value, which plots kept in an object have.

Source: R Internals, "Serialization Formats", and `serialize.c` of R.
"""

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import IO, Any

import numpy as np

XDR = b"X\n"
"""The first bytes of the format."""
BLOCK = 1 << 22
"""Bytes read at a time: a length in a damaged file must not ask for memory that the file cannot fill."""
NA = -(2**31)
"""A missing integer or logical."""
DEEPEST = 20_000
"""Nested calls of Python; a nested list or expression of R takes four, and plots kept in an object nest deep."""
PAIR = struct.Struct(">ii")


class Type(IntEnum):
    """Types of R's objects, and what stands for an object in a file (`SEXPTYPE` and `serialize.c`)."""

    NULL = 0
    SYMBOL = 1
    PAIRLIST = 2
    CLOSURE = 3
    ENVIRONMENT = 4
    PROMISE = 5
    CALL = 6
    SPECIAL = 7
    BUILTIN = 8
    CHAR = 9
    LOGICAL = 10
    INTEGER = 13
    DOUBLE = 14
    COMPLEX = 15
    CHARACTER = 16
    DOTS = 17
    LIST = 19
    EXPRESSION = 20
    BYTECODE = 21
    POINTER = 22
    WEAK_REFERENCE = 23
    RAW = 24
    S4 = 25
    ALTREP = 238
    CODE_PAIRLIST = 239
    CODE_CALL = 240
    BASE_ENVIRONMENT = 241
    EMPTY_ENVIRONMENT = 242
    CODE_REFERENCE = 243
    CODE_DEFINITION = 244
    BASE_NAMESPACE = 247
    PERSISTENT = 248
    NAMESPACE = 249
    PACKAGE = 250
    MISSING = 251
    UNBOUND = 252
    GLOBAL_ENVIRONMENT = 253
    NIL = 254
    REFERENCE = 255


ALONE = frozenset((
    Type.NULL, Type.NIL, Type.BASE_ENVIRONMENT, Type.EMPTY_ENVIRONMENT, Type.BASE_NAMESPACE, Type.MISSING, Type.UNBOUND,
    Type.GLOBAL_ENVIRONMENT,
))  # fmt: skip
"""Types behind which nothing follows."""
PAIRS = frozenset((Type.PAIRLIST, Type.CALL, Type.CLOSURE, Type.PROMISE, Type.DOTS))
"""Types that are chains of pairs."""
NUMBERS = {Type.LOGICAL: ">i4", Type.INTEGER: ">i4", Type.DOUBLE: ">f8", Type.COMPLEX: ">c16", Type.RAW: "u1"}


@dataclass(slots=True)
class RObject:
    """An object of R.

    Attributes:
        type: its type; code and environments have no value.
        value: numbers as an array (logicals are integers, a missing one is `NA`), texts as a list (None where missing),
            objects of a list or pairlist as a list; None for everything else.
        attributes: by name; the slots of an S4 object are among them.
    """

    type: Type
    value: Any = None
    attributes: dict[str, "RObject"] = field(default_factory=dict)

    def named(self) -> dict[str, "RObject"]:
        """The objects of a named list or a pairlist."""
        return dict(zip(map(str, self.attributes["names"].value), self.value, strict=True))


def read_object(stream: IO[bytes]) -> RObject:
    """The one object that a stream holds.

    Raises:
        EOFError: the stream ends within the object.
        ValueError: it holds none in this format.
    """
    with _deep():
        return _Reader(stream).read()


@contextmanager
def _deep() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


class _Reader:
    """Reads one object; symbols and environments are written once and later referred to by their number."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.references: list[RObject] = []

    def read(self) -> RObject:
        if self.take(len(XDR)) != XDR:
            raise ValueError("it is not in R's binary format")
        version = self.number()
        self.take(8)  # the versions of R that wrote it and that can read it
        if version not in (2, 3):
            raise ValueError(f"it is in version {version} of R's format")
        if version == 3:
            self.take(self.number())  # the encoding of texts
        return self.item()

    def take(self, size: int) -> bytes:
        if size > BLOCK:
            return self.take(BLOCK) + self.take(size - BLOCK)
        data = self.stream.read(size) if size >= 0 else b""
        if len(data) != size:
            raise EOFError("it ends within a value")
        return data

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big", signed=True)

    def length(self) -> int:
        length = self.number()
        if length == -1:  # of a long vector, in two halves
            length = self.number() << 32 | self.number() & 0xFFFFFFFF
        if length < 0:
            raise ValueError("it has a vector of negative length")
        return length

    def item(self) -> RObject:
        return self.flagged(self.number())

    def flagged(self, flags: int) -> RObject:
        """The object that flags announce: bits for its type, for attributes and for a name."""
        type_ = Type(flags & 0xFF)
        if type_ in ALONE:
            return RObject(Type.NULL)
        if type_ in PAIRS:
            return self.pairs(flags)
        match type_:
            case Type.REFERENCE:
                return self.known(flags >> 8 & 0xFFFFFF or self.number())
            case Type.SYMBOL:
                return self.remember(RObject(type_, self.item().value))
            case Type.NAMESPACE | Type.PACKAGE | Type.PERSISTENT:
                self.number()
                self.objects()
                return self.remember(RObject(Type.ENVIRONMENT))
            case Type.ENVIRONMENT:
                return self.environment()
            case Type.ALTREP:
                return self.alternative()
        made = RObject(type_)
        if type_ in (Type.POINTER, Type.WEAK_REFERENCE):
            self.remember(made)
        made.value = self.value(type_)
        if flags & 0x200:
            made.attributes = self.attributes()
        return made

    def value(self, type_: Type) -> Any:
        """What stands between the flags of an object and its attributes."""
        match type_:
            case Type.LOGICAL | Type.INTEGER | Type.DOUBLE | Type.COMPLEX | Type.RAW:
                return self.numbers(np.dtype(NUMBERS[type_]))
            case Type.CHARACTER:
                return self.texts()
            case Type.CHAR:
                return self.text(self.number())
            case Type.LIST | Type.EXPRESSION:
                return self.objects()
            case Type.SPECIAL | Type.BUILTIN:
                self.take(self.number())
            case Type.POINTER:
                self.item()
                self.item()
            case Type.BYTECODE:
                self.number()  # how many of its constants are referred to
                self.code()
            case Type.S4 | Type.WEAK_REFERENCE:
                pass
            case _:
                raise ValueError(f"it has an object of type {type_.name} where none can be")
        return None

    def attributes(self) -> dict[str, RObject]:
        pairs = self.item()
        return pairs.named() if pairs.type == Type.PAIRLIST else {}

    def numbers(self, stored: np.dtype) -> np.ndarray:
        size, data = self.length() * stored.itemsize, bytearray()
        while len(data) < size:
            data += self.take(min(BLOCK, size - len(data)))
        values = np.frombuffer(data, stored)
        return values if sys.byteorder == "big" else values.byteswap(inplace=True).view(stored.newbyteorder("="))

    def text(self, size: int) -> str | None:
        return None if size == -1 else self.take(size).decode(errors="replace")

    def texts(self) -> list[str | None]:
        """Texts, of which there are as many as cells; without an object for each."""
        texts = []
        for _ in range(self.length()):
            flags, size = PAIR.unpack(self.take(PAIR.size))
            if flags & 0xFF != Type.CHAR:
                raise ValueError("it has something else among texts")
            texts.append(self.text(size))
        return texts

    def objects(self) -> list[RObject]:
        return [self.item() for _ in range(self.length())]

    def pairs(self, flags: int) -> RObject:
        """A chain of pairs, of which each has a value and the next; only those of a pairlist are kept."""
        type_, names, values = Type(flags & 0xFF), [], []
        while flags & 0xFF in PAIRS:
            if flags & 0x200:
                self.item()
            names.append(self.item().value if flags & 0x400 else None)
            values.append(self.item())
            flags = self.number()
        values.append(self.flagged(flags))  # a chain may end with a value of its own
        if type_ != Type.PAIRLIST:
            return RObject(type_)
        if values[-1].type == Type.NULL:
            values.pop()
        else:
            names.append(None)
        return RObject(type_, values, {"names": RObject(Type.CHARACTER, names)})

    def remember(self, made: RObject) -> RObject:
        self.references.append(made)
        return made

    def known(self, number: int) -> RObject:
        if not 0 < number <= len(self.references):
            raise ValueError("it refers to an object that it does not hold")
        return self.references[number - 1]

    def environment(self) -> RObject:
        made = self.remember(RObject(Type.ENVIRONMENT))
        self.number()  # whether it is locked
        for _ in ("the one around it", "its frame", "its table", "its attributes"):
            self.item()
        return made

    def alternative(self) -> RObject:
        """A vector that R stores as what it is made of (ALTREP)."""
        kind, state, attributes = self.item().value[0].value, self.item(), self.attributes()
        made = expanded(str(kind), state)
        return RObject(made.type, made.value, made.attributes | attributes)

    def code(self) -> None:
        """Compiled code and its constants."""
        self.item()
        for _ in range(self.number()):
            type_ = self.number()
            if type_ == Type.BYTECODE:
                self.code()
            else:
                self.constant(type_)

    def constant(self, type_: int) -> None:
        """A constant of compiled code; calls in it are written in a form of their own."""
        if type_ == Type.CODE_REFERENCE:
            self.number()
            return
        if type_ == Type.CODE_DEFINITION:
            self.number()
            type_ = self.number()
        if type_ in (Type.CODE_CALL, Type.CODE_PAIRLIST):
            self.item()  # attributes
        elif type_ not in (Type.CALL, Type.PAIRLIST):
            self.item()
            return
        self.item()  # name
        self.constant(self.number())
        self.constant(self.number())


def expanded(kind: str, state: RObject) -> RObject:
    """The vector that a compact form stands for.

    Args:
        kind: name of its class in R's `altclasses.c`.
        state: what R stores of it.

    Raises:
        ValueError: the class is unknown.
    """
    match kind:
        case "compact_intseq" | "compact_realseq":
            length, first, step = state.value
            values = first + step * np.arange(int(length))
            return RObject(Type.INTEGER, values.astype(np.int32)) if "int" in kind else RObject(Type.DOUBLE, values)
        case "deferred_string":
            return RObject(Type.CHARACTER, as_texts(state.value[0]))
        case _ if kind.startswith("wrap_"):
            return RObject(state.value[0].type, state.value[0].value, state.value[0].attributes)
    raise ValueError(f"it has a vector in the form {kind}, which is not known")


def as_texts(vector: RObject) -> list[str | None]:
    """A vector as R's `as.character` gives it; None where a value is missing."""
    match vector.type:
        case Type.CHARACTER:
            return list(vector.value)
        case Type.LOGICAL:
            return [None if value == NA else "TRUE" if value else "FALSE" for value in vector.value.tolist()]
        case Type.INTEGER:
            return [None if value == NA else str(value) for value in vector.value.tolist()]
        case Type.DOUBLE:
            return [None if value != value else f"{value:.15g}" for value in vector.value.tolist()]
    raise ValueError(f"no column of texts or numbers, but {vector.type.name.lower()}")
