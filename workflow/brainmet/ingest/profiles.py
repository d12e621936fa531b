"""Donor and condition of bulk profiles, by patterns over their names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from brainmet.errors import BrainmetError

ABOUT = "about"
"""Title, source and characteristics of each profile of a series matrix, joined by ` | `."""


def described(
    names: np.ndarray, about: np.ndarray | None, patterns: Sequence[Mapping[str, Any]], *, record: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Donor and condition of every profile.

    Args:
        names: columns of the table.
        about: title, source and characteristics, where the file has them; patterns are tried on both.
        patterns: `profiles` of the dataset file: a regular expression, whose groups joined by `_` name the donor, the
            condition, and whether a donor may have several such profiles (`several`).
        record: the sample's record, which describes profiles that no pattern fits.

    Raises:
        BrainmetError: a pattern fits two profiles of one donor unasked, or patterns are given and none fits.
    """
    donors, conditions = [], []
    seen: dict[tuple[str, str], str] = {}
    for i, name in enumerate(names):
        donor, condition = f"{record['dataset']}_{name}", str(record["condition"])
        for pattern in patterns:
            texts = [str(name)] if about is None else [str(name), str(about[i])]
            if found := next((m for text in texts if (m := re.search(pattern["pattern"], text))), None):
                groups = [group for group in found.groups() if group]
                donor = f"{record['dataset']}_{'_'.join(groups)}" if groups else donor
                condition = str(pattern["condition"])
                other = seen.get((donor, condition))
                if other and not pattern.get("several"):
                    raise BrainmetError(
                        f"{record['dataset']}.yaml: profiles: {other} and {name} are both {condition} of {donor}; "
                        "give the patterns groups that tell their donors apart, or say several: true"
                    )
                seen[donor, condition] = name
                break
        donors.append(donor)
        conditions.append(condition)
    if patterns and not seen:
        raise BrainmetError(
            f"{record['dataset']}.yaml: profiles: no pattern fits a profile (the first are "
            f"{', '.join(map(str, names[:4]))}); correct the patterns"
        )
    return np.array(donors, dtype=object), np.array(conditions, dtype=object)
