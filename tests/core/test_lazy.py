"""Sequences of which one item at a time is held."""

from brainmet.core.lazy import Lazy, some


def test_items_are_read_when_they_are_asked_for() -> None:
    asked: list[int] = []

    def read(key: int) -> int:
        asked.append(key)
        return 10 * key

    items = Lazy([1, 2, 3], read)
    assert len(items) == 3 and asked == []
    assert items[1] == 20 and asked == [2]
    assert [list(items), list(items)] == [[10, 20, 30]] * 2 and len(asked) == 7
    assert list(items[1:]) == [20, 30] and items[-1] == 30


def test_some_of_a_sequence_are_read_alone() -> None:
    asked: list[str] = []
    chosen = some(some(Lazy("abcd", lambda key: asked.append(key) or key), [3, 1, 0]), [0, 2])
    assert list(chosen) == ["d", "a"] and asked == ["d", "a"]
    assert list(some(["a", "b"], [1])) == ["b"]
