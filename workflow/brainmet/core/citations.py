"""References of the resources as tables and the page show them, with a mark on those that were not read."""

from collections.abc import Mapping
from typing import Any

TO_BE_VERIFIED = " (to be verified)"
"""The mark of a reference that is from memory and still to be looked up."""


def cited(reference: Mapping[str, Any]) -> str:
    """Author, year, journal and the first identifier of a reference, with the mark where it was not read."""
    words = [str(reference[key]) for key in ("first_author", "year", "journal") if reference.get(key)]
    return " ".join([*words, *identifiers(reference)[:1]]) + mark(reference)


def identifiers(reference: Mapping[str, Any]) -> list[str]:
    """The identifiers of a reference as `doi:…`, `pmid:…` and `pmcid:…`, in this order."""
    return [f"{key}:{reference[key]}" for key in ("doi", "pmid", "pmcid") if reference.get(key)]


def mark(reference: Mapping[str, Any]) -> str:
    """The mark where a reference is from memory; empty where it was read."""
    from_memory = bool(reference.get("verify")) or reference.get("checked") == "memory"
    return TO_BE_VERIFIED if from_memory else ""
