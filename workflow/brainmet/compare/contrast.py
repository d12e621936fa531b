"""A contrast: the groups of donors that are compared, and which donors may stand in them.

Read from an entry of `compare: contrasts` in the configuration or from the comparison of a claim; everything that
compares donors asks the contrast for them, so that all tables choose them alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pandas as pd

from brainmet.compare.donors import HUMAN, MIXED, PLATFORM
from brainmet.compare.estimators import DonorValues
from brainmet.conditions import GLIOMA, ids
from brainmet.contract import UNKNOWN, Obs, Uns

NO_SITE = frozenset(ids(normal=True))
"""Conditions of tissue that has no primary tumour."""
NO_TUMOUR = NO_SITE | frozenset(ids(model=True))
"""Conditions that take no part where patients are compared by a property of their tumours."""
ANY_SITE = "*"
OF_TUMOURS = frozenset({"subtype", "er", "pr", "her2"})
"""Columns that describe a tumour: tissue without one is not asked for them."""
SAMPLED = "sampled"
"""The condition of donors that are compared by something else."""


class Eligible(NamedTuple):
    """Donors of the primary tumour asked about, and those of another known one."""

    of_site: pd.DataFrame
    of_others: pd.DataFrame


@dataclass(frozen=True)
class Contrast:
    """Two groups of donors: effects are a minus b. Without b, the donors of a are tested against a fixed value.

    Attributes:
        id: name of the contrast.
        a, b: the groups, as values of the column `by`.
        by: column of donors that holds the groups.
        where: values, by column, of the donors that take part.
    """

    id: str
    a: str
    b: str = ""
    by: str = Obs.CONDITION
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> "Contrast":
        """The contrast of a configuration's entry or a claim's comparison."""
        where = {
            column: tuple(wanted) if isinstance(wanted, list) else (wanted,)
            for column, wanted in entry.get("where", {}).items()
        }
        return cls(entry["id"], entry["a"], entry.get("b", ""), entry.get("by", Obs.CONDITION), where)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, a first."""
        return (self.a, self.b) if self.b else (self.a,)

    @property
    def without_site(self) -> frozenset[str]:
        """Groups that no primary tumour is asked of: tissue without a tumour, and glioma as what another tumour is
        compared with, or by itself."""
        tumours = set(self.groups) - NO_SITE - {GLIOMA}
        return NO_SITE | ({GLIOMA} if tumours or not self.b else set())

    @property
    def of_conditions(self) -> "Contrast":
        """The contrast of donors that `taking_part` returned, which are grouped by condition."""
        return self if self.by == Obs.CONDITION else replace(self, by=Obs.CONDITION, where={})

    def words(self) -> list[str]:
        """What is asked of the donors, in words."""
        return [f"{column} {' or '.join(wanted)}" for column, wanted in self.where.items()]

    def taking_part(self, donors: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        """Donors with the values asked for, their `condition` being the group that they are compared by.

        Groups other than conditions are properties of patients' tumours: normal tissue and models take no part, unless
        the condition is asked for.

        Returns:
            The donors; where they are compared by another column, `sampled` keeps their condition. And for each of
            their profiles the one that stands for the donor: the two differ where `by` puts several conditions of a
            donor into one group, of which it is one replicate (`per_donor`).
        """
        for column, wanted in self.where.items():
            keep = donors[column].isin(wanted)
            if column in OF_TUMOURS and self.by == Obs.CONDITION:
                keep |= donors[Obs.CONDITION].isin(self.without_site)
            donors = donors[keep]
        if self.by == Obs.CONDITION:
            return donors, pd.Series(donors.index, donors.index)
        if Obs.CONDITION not in self.where:
            donors = donors[~donors[Obs.CONDITION].isin(NO_TUMOUR)]
        donors = donors.assign(**{SAMPLED: donors[Obs.CONDITION], Obs.CONDITION: donors[self.by]})
        grouped = donors.groupby([Obs.STUDY, PLATFORM, Obs.DONOR, Obs.CONDITION], sort=False)
        donors[SAMPLED] = donors[SAMPLED].where(grouped[SAMPLED].transform("nunique") == 1, MIXED)
        people = grouped.ngroup()
        first = ~people.duplicated()
        return donors[first], pd.Series(donors.index[first][people], donors.index)

    def eligible(self, donors: pd.DataFrame, *, site: str) -> Eligible:
        """Donors of the groups with the primary tumour asked about, and those with another known one.

        Controls without that primary (`without_site`) belong to both. Donors whose primary is unknown are in neither: a
        metastasis is compared with its own primary tumour only. The site `*` takes all donors. Models stand in for
        patients, never beside them (`of_patients`).
        """
        donors, _ = self.taking_part(donors)
        donors = donors[donors[Obs.CONDITION].isin(self.groups)]
        if site == ANY_SITE:
            return Eligible(of_patients(donors), donors[:0])
        free = donors[Obs.CONDITION].isin(self.without_site)
        others = donors[free | ~donors["primary_site"].isin([site, UNKNOWN])]
        return Eligible(of_patients(donors[free | (donors["primary_site"] == site)]), of_patients(others))

    def resting_on(self, row: Mapping[str, Any], donors: pd.DataFrame, *, site: str) -> pd.DataFrame:
        """The donors that a pooled row of this contrast rests on: those of its `studies`, on its `platform`."""
        of_site, _ = self.eligible(donors, site=site)
        studies, platforms = (str(row[name]).split(";") for name in ("studies", "platform"))
        return of_site[of_site[Obs.STUDY].isin(studies) & of_site[PLATFORM].isin(platforms)]

    def per_donor(self, values: DonorValues, donors: pd.DataFrame) -> DonorValues:
        """Values of donors as they are compared: each the mean over the profiles of the donor in its group."""
        _, owner = self.taking_part(donors)
        if (owner == owner.index).all():
            return values

        def mean(index: pd.Index) -> pd.DataFrame:
            table = values.of(owner.index[owner.isin(index)])
            table = table.groupby(owner[table.index].to_numpy()).mean()
            return table.loc[index.intersection(table.index, sort=False)]

        return DonorValues(values.features, mean)

    def sides(self, members: pd.DataFrame, *, min_donors: int) -> tuple[pd.Index, pd.Index]:
        """Profiles of each group. Donors seen in both are compared with themselves when there are `min_donors` of them
        (rows of the two then correspond); otherwise they count in the smaller group alone, so that no donor stands on
        both sides."""
        who = members[[Obs.DONOR, Obs.CONDITION]]
        a, b = (who[who[Obs.CONDITION] == group].sort_values(Obs.DONOR, kind="stable") for group in (self.a, self.b))
        twice = sorted(set(a[Obs.DONOR]) & set(b[Obs.DONOR]))
        if len(twice) >= min_donors:
            return a.index[a[Obs.DONOR].isin(twice)], b.index[b[Obs.DONOR].isin(twice)]
        if twice and len(a) <= len(b):
            b = b[~b[Obs.DONOR].isin(twice)]
        elif twice:
            a = a[~a[Obs.DONOR].isin(twice)]
        return a.index, b.index


def read_contrasts(entries: Iterable[Mapping[str, Any]]) -> list[Contrast]:
    """The contrasts of a configuration."""
    return [Contrast.read(entry) for entry in entries]


def of_patients(donors: pd.DataFrame) -> pd.DataFrame:
    """The patients, where every condition of these donors has one; else all of them, of whatever species."""
    patients = donors[donors[Uns.ORGANISM].isin(HUMAN)]
    return patients if set(patients[Obs.CONDITION]) == set(donors[Obs.CONDITION]) else donors
