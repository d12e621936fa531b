"""A contrast: read from the configuration and from claims alike, and the donors that may stand in its groups."""

from dataclasses import replace

import pandas as pd
import pytest
from brainmet.compare.contrast import ANY_SITE, Contrast, read_contrasts

from tests.compare_toy import CONTRAST, donors


def test_an_entry_of_the_configuration_and_a_comparison_of_a_claim_are_read_alike() -> None:
    entry = {"id": "x", "a": "brain_metastasis", "b": "primary", "where": {"subtype": "TNBC", "her2": ["0", "low"]}}
    (read,) = read_contrasts([entry])
    assert read == Contrast("x", *CONTRAST.groups, where={"subtype": ("TNBC",), "her2": ("0", "low")})
    assert read.words() == ["subtype TNBC", "her2 0 or low"]
    by = Contrast.read({"id": "x", "a": "pos", "b": "neg", "by": "er", "site": "*"})
    assert (by.by, by.groups, by.where) == ("er", ("pos", "neg"), {})
    assert Contrast.read({"id": "x", "a": "primary"}).groups == ("primary",)


def cohort() -> pd.DataFrame:
    """Two tumours of each subtype with a normal brain, all of the normal brains dissociated warm."""
    frame = donors({"s": (4, 4)})
    normal = frame["condition"] == "primary"
    return frame.assign(
        condition=frame["condition"].where(~normal, "normal_brain"),
        subtype=["TNBC", "HER2_pos"] * 2 + ["unknown"] * 4,
        dissociation=["cold"] * 4 + ["enzymatic_37C"] * 4,
        primary_site=frame["primary_site"].where(~normal, "none"),
    )


@pytest.mark.parametrize(
    ("where", "n"),
    [
        ({}, (4, 4)),
        ({"subtype": ("TNBC",)}, (2, 4)),
        ({"dissociation": ("cold",)}, (4, 0)),
        ({"dissociation": ("cold", "enzymatic_37C"), "subtype": ("HER2_pos",)}, (2, 4)),
    ],
)
def test_tissue_is_asked_for_its_protocol_and_only_tumours_for_what_tumours_have(
    where: dict[str, tuple[str, ...]], n: tuple[int, int]
) -> None:
    contrast = Contrast("x", "brain_metastasis", "normal_brain", where=where)
    for site in ("breast", ANY_SITE):
        members, _ = contrast.eligible(cohort(), site=site)
        assert tuple(map(len, contrast.sides(members, min_donors=3))) == n


def test_groups_of_another_column_are_the_condition_of_settled_donors() -> None:
    contrast = Contrast("x", "TNBC", "HER2_pos", by="subtype", where={"condition": ("brain_metastasis",)})
    people, owner = contrast.taking_part(cohort())
    assert people["condition"].tolist() == ["TNBC", "HER2_pos"] * 2 and set(people["sampled"]) == {"brain_metastasis"}
    assert owner.index.equals(people.index)
    again, _ = contrast.of_conditions.taking_part(people)
    pd.testing.assert_frame_equal(again, people)
    assert CONTRAST.of_conditions is CONTRAST


def test_tumours_are_compared_by_their_subtype_without_the_normal_tissue_of_the_same_patients() -> None:
    frame = cohort().assign(donor=["p", "q", "r", "s"] * 2, subtype=["TNBC", "HER2_pos"] * 4)
    by = Contrast("x", "TNBC", "HER2_pos", by="subtype")
    people, owner = by.taking_part(frame)
    assert set(people["sampled"]) == {"brain_metastasis"} and owner.index.equals(people.index)
    # A contrast that asks for normal tissue by name is one of normal tissue.
    normal, _ = replace(by, where={"condition": ("normal_brain",)}).taking_part(frame)
    assert set(normal["sampled"]) == {"normal_brain"}


def test_models_stand_beside_no_patient_where_tumours_are_compared_by_subtype() -> None:
    frame = donors({"s": (4, 0), "lines": (4, 0)}).assign(subtype=["TNBC", "HER2_pos"] * 4)
    frame.loc[frame["study"] == "lines", "condition"] = "cell_line"
    members, _ = Contrast("x", "TNBC", "HER2_pos", by="subtype").eligible(frame, site=ANY_SITE)
    assert set(members["study"]) == {"s"}


def test_a_row_rests_on_the_donors_of_its_studies_and_platforms() -> None:
    frame = donors({"s": (3, 3), "t": (3, 3), "u": (2, 2)})
    frame.loc[frame["study"] == "t", "platform"] = "10x nucleus"
    row = {"studies": "s;t", "platform": "10x cell;10x nucleus"}
    assert set(CONTRAST.resting_on(row, frame, site="breast")["study"]) == {"s", "t"}
    one = {"studies": "s;t", "platform": "10x cell"}
    assert set(CONTRAST.resting_on(one, frame, site="breast")["study"]) == {"s"}
