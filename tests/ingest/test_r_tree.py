"""R's serialization: what R wrote is read to its last byte, and no damage goes unnoticed."""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rdata
from brainmet.ingest.r_tree import NA, RObject, Type, as_texts, expanded, read_object

OBJECTS = Path(__file__).parent / "objects"
UNPACK = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7z": lzma.decompress}
LEFT_OUT = "code or an environment"


def unpacked(name: str) -> bytes:
    data = (OBJECTS / name).read_bytes()
    return next((unpack(data) for mark, unpack in UNPACK.items() if data.startswith(mark)), data)


MISC = unpacked("seurat_misc.rds")


def plain(tree: RObject) -> Any:
    """A tree as values and attributes that can be compared."""
    match tree.type:
        case Type.NULL:
            return None
        case Type.SYMBOL:
            return tree.value
        case Type.LOGICAL | Type.INTEGER:
            value = [None if number == NA else int(number) for number in tree.value]
        case Type.DOUBLE | Type.COMPLEX | Type.RAW:
            value = tree.value.tolist()
        case Type.CHARACTER:
            value = tree.value
        case Type.LIST | Type.EXPRESSION | Type.PAIRLIST:
            value = [plain(item) for item in tree.value]
        case Type.S4:
            value = "S4"
        case _:
            return LEFT_OUT
    return value, {name: plain(item) for name, item in tree.attributes.items()}


def plain_by_rdata(tree: Any) -> Any:
    """The same of a tree that the library made."""
    kind = tree.info.type.name
    if kind == "REF":
        return plain_by_rdata(tree.referenced_object)
    if kind in ("NIL", "NILVALUE", "EMPTYENV", "GLOBALENV", "BASEENV", "MISSINGARG"):
        return None
    if kind == "SYM":
        return tree.value.value.decode()
    if kind == "LIST":
        pairs = list(links(tree))
        return [plain_by_rdata(pair.value[0]) for pair in pairs], {"names": ([tag(pair) for pair in pairs], {})}
    if kind in ("LGL", "INT"):
        value: Any = [None if number is np.ma.masked or number == NA else int(number) for number in tree.value]
    elif kind in ("REAL", "CPLX", "RAW"):
        value = np.asarray(tree.value).tolist()
    elif kind == "STR":
        value = [None if text.value is None else text.value.decode() for text in tree.value]
    elif kind in ("VEC", "EXPR"):
        value = [plain_by_rdata(item) for item in tree.value]
    elif kind == "S4":
        value = "S4"
    else:
        return LEFT_OUT
    own = list(links(tree.attributes)) if tree.attributes else []
    return value, {tag(pair): plain_by_rdata(pair.value[0]) for pair in own}


def links(pair: Any) -> Iterator[Any]:
    """The pairs of a chain."""
    while pair.info.type.name == "LIST":
        yield pair
        pair = pair.value[1]


def tag(pair: Any) -> Any:
    return pair.tag and plain_by_rdata(pair.tag)


@pytest.mark.parametrize("name", sorted({path.name for path in OBJECTS.iterdir()} - {"seurat_misc.rds"}))
def test_an_object_is_what_the_reference_library_reads(name: str) -> None:
    """All but one that rdata stops at: a plot within it refers to an unbound value."""
    data = unpacked(name)
    ours = read_object(io.BytesIO(data.removeprefix(b"RDX2\n").removeprefix(b"RDX3\n")))
    theirs = rdata.parser.parse_data((OBJECTS / name).read_bytes()).object
    assert repr(plain(ours)) == repr(plain_by_rdata(theirs))


def test_an_object_with_plots_and_compiled_code_is_read_to_its_end() -> None:
    """One byte read too many or too few within the code would show in all that follows."""
    stream = io.BytesIO(MISC)
    tree = read_object(stream)
    assert stream.read() == b""
    misc = tree.attributes["misc"].named()
    assert misc["i"].value.tolist() == list(range(1, 10)) and misc["i"].type == Type.INTEGER
    assert misc["text"].value == [str(i) for i in range(1, 10)]
    assert misc["compiled"].value is None and misc["deep"].type == Type.CALL
    assert list(tree.attributes["assays"].named()) == ["RNA"]


@pytest.mark.parametrize("kept", [0, 1, 2, 5, 13, 14, 40, 1_000, 10_000, len(MISC) // 2, len(MISC) - 1])
def test_a_cut_object(kept: int) -> None:
    with pytest.raises(EOFError, match="ends within a value"):
        read_object(io.BytesIO(MISC[:kept]))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"A\n3\n", "not in R's binary format"),
        (b"X\n" + (1).to_bytes(4, "big") + bytes(8), "version 1"),
        (b"X\n" + (2).to_bytes(4, "big") + bytes(8) + (0x1FF).to_bytes(4, "big"), "refers to an object"),
        (b"X\n" + (2).to_bytes(4, "big") + bytes(8) + (99).to_bytes(4, "big"), "99 is not a valid"),
        (b"X\n" + (2).to_bytes(4, "big") + bytes(8) + (13).to_bytes(4, "big") + b"\xff\xff\xff\xfe", "negative length"),
    ],
)
def test_what_is_no_object(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_object(io.BytesIO(data))


def test_a_length_that_the_file_does_not_fill_takes_no_memory() -> None:
    header = gzip.decompress((OBJECTS / "matrix.rds").read_bytes())[:23]
    with pytest.raises(EOFError):
        read_object(io.BytesIO(header + (14).to_bytes(4, "big") + (2**31 - 1).to_bytes(4, "big") + bytes(80)))


def test_compact_vectors() -> None:
    state = RObject(Type.DOUBLE, np.array([4.0, 3.0, -1.0]))
    whole, real = expanded("compact_intseq", state), expanded("compact_realseq", state)
    assert whole.type == Type.INTEGER and whole.value.tolist() == [3, 2, 1, 0]
    assert real.type == Type.DOUBLE and real.value.tolist() == [3.0, 2.0, 1.0, 0.0]
    texts = expanded("deferred_string", RObject(Type.PAIRLIST, [RObject(Type.INTEGER, np.array([7, NA]))]))
    assert texts.value == ["7", None]
    with pytest.raises(ValueError, match="mmap_real"):
        expanded("mmap_real", state)


@pytest.mark.parametrize(
    ("vector", "texts"),
    [
        (RObject(Type.LOGICAL, np.array([1, 0, NA])), ["TRUE", "FALSE", None]),
        (RObject(Type.INTEGER, np.array([12, NA])), ["12", None]),
        (RObject(Type.DOUBLE, np.array([3.0, 0.1, np.nan, 1e-20])), ["3", "0.1", None, "1e-20"]),
        (RObject(Type.CHARACTER, ["a", None]), ["a", None]),
    ],
)
def test_values_as_r_prints_them(vector: RObject, texts: list[str | None]) -> None:
    assert as_texts(vector) == texts
