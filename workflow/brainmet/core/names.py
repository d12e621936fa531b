"""Names of files, and which sample they are of: the one whose `match` they begin with."""

import re

ACCESSION = re.compile(r"^GSM\d+[_.\-]")
"""What GEO writes in front of the name of a sample's file."""


def matches_name(name: str, match: str) -> bool:
    """Whether a file is a sample's: its name begins with `match`, or its path from any of its folders on."""
    return any(begins(place, match) for place in places(name))


def places(name: str) -> list[str]:
    """A path, from each of its folders on: a/b/c, b/c and c."""
    return [name, *(name[i + 1 :] for i, mark in enumerate(name) if mark == "/")]


def begins(name: str, match: str) -> bool:
    """Whether `match` is a prefix of a name, with or without the accession in front, ended by a character that is
    neither letter nor digit."""
    names = (name, ACCESSION.sub("", name))
    return any(text.startswith(match) and not text[len(match) : len(match) + 1].isalnum() for text in names)
