"""A sequence of what is too large to be held together."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

Item = TypeVar("Item")


class Lazy(Sequence[Item]):
    """Items that are read anew whenever they are asked for, so that one at a time is held.

    Args:
        keys: what each item is read by, such as the path of its file.
        read: gives the item of a key.
    """

    def __init__(self, keys: Sequence[Any], read: Callable[[Any], Item]) -> None:
        self.keys, self.read = keys, read

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> "Lazy[Item]": ...

    def __getitem__(self, index: int | slice) -> "Item | Lazy[Item]":
        return Lazy(self.keys[index], self.read) if isinstance(index, slice) else self.read(self.keys[index])

    def __iter__(self) -> Iterator[Item]:
        return map(self.read, self.keys)


def some(items: Sequence[Item], positions: Sequence[int]) -> Lazy[Item]:
    """The items at some positions, each asked for when it is needed."""
    return Lazy(positions, lambda position: items[position])
