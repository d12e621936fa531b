"""Which signatures and cell types suffer from the genes that a sample does not measure."""

from collections.abc import Collection, Iterable, Mapping

SUFFERS = 0.8
"""A set with a smaller share of its genes in the sample's gene list is named."""


def affected(measured: Collection[str], sets: Mapping[str, Iterable[str]]) -> str:
    """Sets that lack genes, worst first, each with the share that is measured: `name 0.25; other 0.7`.

    Args:
        measured: symbols in the sample's gene list.
        sets: symbols by name; an empty set cannot lack anything.
    """
    found, known = [], frozenset(measured)
    for name, genes in sets.items():
        listed = set(genes)
        share = len(listed & known) / len(listed) if listed else 1.0
        if share < SUFFERS:
            found.append((share, name))
    return "; ".join(f"{name} {share:.2g}" for share, name in sorted(found))
