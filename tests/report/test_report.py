"""The page: numbers in its figures, words on its first screen, bytes of its cells, and a browser that opens it."""

import base64
import gzip
import itertools
import json
import re
import shutil
import subprocess
import tarfile
import time
import xml.dom.minidom
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from brainmet import report
from brainmet.compare import nulls
from brainmet.core.tables import empty, write_table
from brainmet.knowledge.cell_types import shipped
from brainmet.report import (
    agreement,
    cautions,
    comparison,
    content,
    data,
    ecosystem,
    figure,
    findings,
    forest,
    identity,
    load,
    methods,
    palette,
    places,
    quality,
    record,
    signatures,
    static,
    text_table,
    views,
    wording,
)

from tests import report_toy as toy
from tests.browser import CHROMIUM, Browser

browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def embedded(html: str, name: str) -> bytes:
    text = re.search(rf'id="{name}">([A-Za-z0-9+/=]+)<', html)
    assert text
    return gzip.decompress(base64.b64decode(text[1]))


@pytest.fixture(scope="module")
def html() -> str:
    return report.page(toy.run(simulated=True), toy.parts(), toy.SETTINGS)


# --- cells ------------------------------------------------------------------------------------------------------------


def unpacked(packed: data.Packed, key: str) -> np.ndarray:
    column = next(c for c in packed.meta["columns"] if c["key"] == key)
    kind = np.uint16 if column.get("bytes") == 2 else np.uint8
    n = column.get("n", packed.meta["n"])
    return np.frombuffer(packed.blob, dtype=kind, count=n, offset=column["offset"])


def packed(run, **changes):
    settings = {"max_cells": 1000, "max_scores": 10_000, "max_gene_values": 10_000, "seed": 1} | changes
    return data.pack(run.annotation, run.layout, run.scores, run.genes, names=run.names, uses=run.uses, **settings)


def test_cells_come_back_as_they_were_packed():
    run = toy.run()
    got = packed(run)
    ids = np.frombuffer(got.blob, np.uint32, got.meta["n"], got.meta["id"]["offset"])
    text = got.blob[got.meta["id"]["text"] :][: got.meta["id"]["bytes"]].decode().split("\n")
    cells = [text[i] for i in ids]
    assert sorted(cells) == sorted(run.annotation.index)
    column = next(c for c in got.meta["columns"] if c["key"] == "cell_type")
    assert [column["levels"][k] for k in unpacked(got, "cell_type")] == list(run.annotation.loc[cells, "cell_type"])
    x = np.frombuffer(got.blob, np.uint16, got.meta["n"], got.meta["x"]["offset"]) / 65535
    place = got.meta["x"]["low"] + x * (got.meta["x"]["high"] - got.meta["x"]["low"])
    np.testing.assert_allclose(place, run.layout.loc[cells, "umap_1"], atol=1e-3)
    score = next(c for c in got.meta["columns"] if c["key"] == "score:proliferation")
    value = score["low"] + unpacked(got, "score:proliferation") / data.STEPS_SCORE * (score["high"] - score["low"])
    inside = np.clip(run.scores.loc[cells, "proliferation"], score["low"], score["high"])
    np.testing.assert_allclose(value, inside, atol=(score["high"] - score["low"]) / data.STEPS_SCORE)


def test_a_signature_that_no_cell_has_is_not_carried():
    assert "score:notch" not in [c["key"] for c in packed(toy.run()).meta["columns"]]


def test_genes_are_carried_in_steps_with_what_they_are_there_for():
    run = toy.run()
    got = packed(run)
    gene = next(c for c in got.meta["columns"] if c["key"] == "gene:ERBB2")
    assert (gene["low"], gene["high"], gene["note"]) == (0, 2, "antigen of trastuzumab deruxtecan")
    order = data.drawn(len(run.annotation), most=1000, seed=1)
    assert unpacked(got, "gene:ERBB2").tolist() == [7 * (i % 3) for i in order]
    assert "gene:FASN" not in [c["key"] for c in got.meta["columns"]]  # measured nowhere


def test_a_large_cohort_is_sampled_and_its_scores_and_genes_more_so():
    run = toy.run(cells=100)
    got = packed(run, max_cells=50, max_scores=40, max_gene_values=60)
    assert (got.meta["n"], got.meta["total"], got.meta["scored"], got.meta["expressed"]) == (50, 200, 20, 30)
    only = replace(run, genes=run.genes.loc[run.annotation.index[data.drawn(200, most=50, seed=1)[:30]]])
    assert packed(only, max_cells=50, max_scores=40, max_gene_values=60).blob == got.blob
    assert got.blob == packed(run, max_cells=50, max_scores=40, max_gene_values=60).blob
    assert got.blob != packed(run, max_cells=50, max_scores=40, max_gene_values=60, seed=2).blob


# --- figures ----------------------------------------------------------------------------------------------------------


def test_missing_and_infinite_numbers_become_null():
    assert figure.clean([1.23456789, np.nan, np.inf, np.int64(3), None, "a", True]) == [
        1.2346,
        None,
        None,
        3,
        None,
        "a",
        True,
    ]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.uint8, bool])
def test_arrays_are_cleaned_as_their_values_are(dtype: type) -> None:
    values = np.array([1.23456789, 0, 3e-7, 123456.7, 200], float).astype(dtype)
    if values.dtype.kind == "f":
        values = np.append(values, np.array([np.nan, np.inf, -np.inf], dtype))
    for given in (values, pd.Series(values)):
        cleaned = figure.clean(given)
        assert cleaned == figure.clean(list(values)) and {type(x) for x in cleaned} <= {float, int, bool, type(None)}


def test_donor_means_are_means_of_a_donors_cells_and_leave_out_few():
    run = toy.run(cells=40)
    means = signatures.donor_means(run.scores, run.annotation)
    own = (run.annotation["cell_type"] == "t_cell") & (run.annotation["donor"] == "donor_S1")
    expected = run.scores.loc[own, "proliferation"].mean()
    assert means.loc["t_cell", "primary"]["proliferation"].iloc[0] == pytest.approx(expected)
    assert "unknown" not in means.index.get_level_values("cell_type")
    assert signatures.donor_means(run.scores.head(12), run.annotation.head(12)).empty


def test_fates_name_the_one_limit_that_was_broken():
    cells = pd.DataFrame(
        {"sample": "S", "keep": [True, False, False], "reason": ["", "high_mt", "low_counts;low_genes"]}
    )
    got = quality.fates(cells, ["S"])
    assert got.loc["S"].to_dict() == {"kept": 1, "high mitochondrial share": 1, "several": 1}


def test_confusion_shares_are_of_the_authors_class():
    trace = agreement.confusion(toy.run().tables["confusion"]).variants[0].data[0]
    row = dict(zip(trace["x"], trace["z"][trace["y"].index("T and NK")], strict=True))
    assert (row["T and NK"], row["unknown"], row["myeloid"]) == (0.9, 0.1, 0)


def test_every_figure_that_owes_its_method_links_to_a_numbered_reference(html):
    shown = content.Content(toy.run(), toy.SETTINGS)
    drawn = {figure.id for view in views.VIEWS for figure in view.figures(shown)} | {"cells"}
    assert set(report.CITES) <= drawn
    cited = methods.bibliography(toy.parts().bib)
    assert {key for keys in report.CITES.values() for key in keys} <= set(cited)
    assert re.search(r'id="qc-doublets".*?href="#ref-\d+">Germain et al. 2021 \[\d+\]', html, re.S)


def test_clusters_name_the_markers_that_their_cells_show():
    reasons = pd.Series(["GFAP, AQP4 high; neighbours agree 3/3", "AQP4 high; no copy-number change", "weak evidence"])
    assert identity._commonest_markers(reasons) == "AQP4\u00a067%, GFAP\u00a033%"


def test_what_stands_beside_an_effect_and_what_explains_it():
    row = {"effect": 1.0, "ci_low": 0.2, "ci_high": 1.8, "n_a": 4, "n_b": 5, "estimator": "within", "p": 0.01}
    row |= {"p_perm": 0.02, "coverage": 0.5, "mde": np.nan}
    rows = pd.DataFrame([row | {"fdr": f, "explained_by": why} for f, why in ((0.01, ""), (0.01, "depth"), (0.2, ""))])
    (trace,), layout = forest.forest(rows, pd.Series(["a", "b", "c"]), alpha=0.05)
    assert trace["marker"]["color"] == [palette.ACCENT, palette.DOUBTED, "#ffffff"]
    assert trace["text"][1].endswith("permuting donors: p = 0.02<br>genes measured: 50%<br>explained by: depth")
    assert "permuting" in trace["text"][0] and "explained" not in trace["text"][0]
    assert layout["yaxis"]["range"] == [-0.7, 2.7]
    assert [(note["text"], note["y"]) for note in layout["annotations"][1:]] == [("4 v 5", i) for i in range(3)]


def test_contrasts_that_were_judged_come_first_and_one_compartment_is_shown_once():
    table = toy.run().tables["contrasts"]
    confounded = table.tail(1).assign(effect=3.0)
    labels = [label for label, _ in forest.contrasts(pd.concat([confounded, table.head(2)]))]
    assert labels == [
        "brain metastasis against primary",
        "brain metastasis against normal brain (confounded, never judged)",
    ]
    twice = pd.concat([table.head(1), table.head(1).assign(cell_type="malignant_epithelial")], ignore_index=True)
    assert comparison._once(twice)["cell_type"].tolist() == ["malignant"]


def test_clear_genes_that_may_be_ambient_are_marked():
    table = (
        toy.run().tables["de"].assign(ambient_flag=[True, True, False, False, False], fdr=[0.5, 0.01, 0.01, 0.01, 0.01])
    )
    marked = comparison.volcano(table, alpha=0.05, most=10).variants[0].data[0]
    colours = dict(zip(marked["customdata"], marked["marker"]["color"], strict=True))
    assert colours["G1"] == palette.DOUBTED and colours["G2"] == colours["G3"] == palette.ACCENT
    assert colours["G0"] not in (palette.DOUBTED, palette.ACCENT)


def test_names_of_genes_do_not_lie_on_each_other():
    x, y = np.array([0.0, 0.01, 5.0, 5.0]), np.array([9.0, 9.0, 9.0, 1.0])
    assert comparison._apart(x, y).tolist() == [True, False, True, True]


def test_ambient_shares_are_boxes_of_the_cells():
    shares = pd.DataFrame({"sample": "S", "ambient_share": [0.1, 0.2, np.nan, 0.3]})
    samples = pd.DataFrame({"sample": ["S", "P"], "technology": ["10x_3prime", "smartseq"]})
    drawn = quality.ambient(shares, samples)
    assert drawn.variants[0].data[0]["median"] == [20.0]
    assert "cells on plates share no fluid: P." in drawn.caption
    assert quality.ambient(shares.assign(sample="P"), samples).variants == []


def test_runtime_sums_the_jobs_of_a_step():
    steps = record.by_step(toy.run().benchmarks)
    assert steps.loc[0, ["step", "jobs", "seconds", "peak_mb"]].tolist() == ["qc", 2, 4.0, 100.0]


def test_every_type_of_the_resource_has_a_colour_and_no_two_the_same():
    assert set(shipped().entries) <= set(palette.CELL_TYPES)
    assert len(set(palette.CELL_TYPES.values())) == len(palette.CELL_TYPES)


def test_every_table_of_a_run_is_on_the_page():
    placed = views.tables_by_view(["qc", "one_that_comes_later"])
    assert placed["run"] == ("one_that_comes_later",)
    everything = views.tables_by_view(toy.names())
    known = {name for view in views.VIEWS for name in view.tables}
    assert {name for own in everything.values() for name in own} == set(toy.names()) | known


def test_every_figure_says_why_it_is_empty(html):
    shown = content.Content(replace(toy.run(cells=0, tables=False), tables={}), toy.SETTINGS)
    for view in views.VIEWS:
        for drawn in view.figures(shown):
            assert drawn.variants == [], drawn.id
            assert drawn.empty.endswith(".") and drawn.caption.endswith("."), drawn.id


# --- first screen -----------------------------------------------------------------------------------------------------


def doubts(run, **changes):
    changed = replace(run, tables=dict(run.tables) | changes)
    return {caution.title: caution for caution in cautions.cautions(content.Content(changed, toy.SETTINGS))}


def test_what_to_distrust_is_named_worst_first():
    found = doubts(toy.run())
    assert list(found)[:2] == [
        "Brain metastasis against normal brain is confounded with study",
        "The tests find something when there is nothing to find",
    ]
    assert "S1 (60%)" in found["Low agreement with the authors' labels"].detail
    assert "S1 (25%)" in found["Many cells left unknown"].detail
    assert "30%" in found["Many counts were lost with unknown genes"].detail
    assert "notch" in found["1 signature could be scored in no sample"].detail


def test_a_stricter_level_of_the_fdr_reaches_figures_and_captions():
    table = (
        toy.run().tables["contrasts"].query("study == 'pooled' and effect == effect").assign(fdr=0.03, explained_by="")
    )
    for alpha, colour in ((0.05, palette.ACCENT), (0.01, "#ffffff")):
        drawn = comparison.contrast_forest(table, {}, alpha=alpha)
        assert drawn.variants[0].data[0]["marker"]["color"][0] == colour
        assert f"FDR below {alpha}" in drawn.caption


def test_doublets_not_looked_for_are_told_by_reason():
    qc = toy.rows("qc", [{"sample": s, "status": "kept", "doublet_skipped": "one cell per well"} for s in ("S1", "S3")])
    qc.loc[2] = qc.loc[0]
    qc.loc[2, ["sample", "doublet_skipped"]] = ["S2", "40 cells, fewer than 50"]
    said = doubts(toy.run(), qc=qc)["Doublets were not looked for in 3 samples"].detail
    assert said == "S2: 40 cells, fewer than 50; S1, S3: one cell per well."


def test_a_batch_that_goes_with_the_condition_is_told_first():
    contrasts = toy.run().tables["contrasts"].copy()
    pooled = contrasts.index[contrasts["study"] == "pooled"]
    contrasts["explained_by"] = ""
    assert not [title for title in doubts(toy.run(), contrasts=contrasts) if "cannot be told from" in title]
    contrasts.loc[pooled[0], "explained_by"] = "ambient_rna;batch;depth"
    (title, *_) = [title for title in doubts(toy.run(), contrasts=contrasts) if "cannot be told from" in title]
    assert title == "Brain metastasis against primary cannot be told from batch"
    said = doubts(toy.run(), contrasts=contrasts)[title]
    assert (
        said.level == "serious" and "differ in batch too, so 1 difference with a low FDR may come from" in said.detail
    )


def test_labels_set_by_hand_are_told_with_what_they_replaced():
    run = toy.run()
    assert not [title for title in doubts(run) if "by hand" in title]
    annotation = run.annotation.assign(reason=run.annotation["reason"].astype(object))
    cells = annotation.index[:3]
    annotation.loc[cells, "cell_type"] = "pericyte"
    annotation.loc[cells[:2], "reason"] = "set by hand (cluster 9); called neuron before"
    annotation.loc[cells[2], "reason"] = "set by hand (cell S1:ACGT-1); called t_cell before"
    changed = replace(run, annotation=annotation)
    said = doubts(changed)["3 cells labelled by hand"].detail
    assert "cluster 9, 2 neuron to pericyte; single cells, 1 T cell to pericyte. Numbers of clusters change" in said
    told = report._methods(content.Content(changed, toy.SETTINGS), toy.parts())["methods"]["plain"]
    assert "The types of 3 cells were set by hand." in told
    assert f"samples ({report._first_screen(content.Content(run, toy.SETTINGS))['overview']['conditions']}) and" in told


def test_samples_of_which_nobody_says_whether_they_were_enriched_are_told():
    samples = toy.run().tables["samples"].assign(enrichment="none")
    assert not [title for title in doubts(toy.run(), samples=samples) if "not compared" in title]
    samples.loc[samples.index[0], "enrichment"] = "unknown"
    said = doubts(toy.run(), samples=samples)["Shares of cell types are not compared for 1 sample"]
    assert said.detail.startswith(f"{samples['sample'].iloc[0]}: whether cells were enriched before loading is not")


def test_samples_without_counts_are_told_as_troubleshooting_names_them(home):
    samples = toy.run().tables["samples"].copy()
    samples["values"] = ["log", *["counts"] * (len(samples) - 2), "expected_counts"]
    first, last = samples["sample"].iloc[[0, -1]]
    said = doubts(toy.run(), samples=samples)["2 samples without counts"].detail
    assert said == f"{first}, {last}: expected counts, log; annotated and scored, not used where counts are needed."
    assert "| samples without counts |" in (home / "docs/troubleshooting.md").read_text()


def test_contrasts_that_failed_are_told_once():
    run = toy.run()
    failed = [
        {"contrast": f"brain_metastasis_vs_{arm}", "estimator": "not_testable", "study": "pooled", "reason": why}
        for arm, why in (("csf", "no donor of csf"), ("glioma", "no donor of glioma"))
    ]
    found = doubts(run, contrasts=toy.rows("contrasts", failed))
    assert "against CSF (no donor of CSF); Brain" in found["2 contrasts could not be tested"].detail


def test_why_a_contrast_was_not_tested_is_told_in_one_row() -> None:
    reasons = ["too few donors"] * 3 + ["no donor of csf"] * 2 + ["not scorable", "no study"]
    rows = pd.DataFrame({"contrast": "csf_vs_primary", "reason": [*reasons, "study and condition coincide"]})
    rows = rows.assign(study="pooled", effect=np.nan, estimator=["not_testable"] * 7 + ["confounded"])
    (many, one) = text_table.not_tested(comparison.not_tested(rows)).rows
    assert many[2] == "7" and one[2:] == ["1", "Study and condition coincide."]
    assert many[3] == "Too few donors (3 tests). No donor of CSF (2 tests). No study (1 test). Other reasons (1 test)."
    rows["reason"] = ["brain_metastasis was measured on nuclei", "csf was measured on plates"] * 4
    (many, _) = text_table.not_tested(comparison.not_tested(rows)).rows
    assert many[3] == "Brain metastasis was measured on nuclei (4 tests). CSF was measured on plates (3 tests)."
    assert not text_table.not_tested(comparison.not_tested(rows.assign(effect=1.0))).rows


def test_random_sets_are_told_once_and_each_compartment_with_its_own_advice():
    seen = (
        ("a", "measured", 90, nulls._AMBIENT),
        ("b", "measured", 80, nulls._BROAD),
        ("c", "measured", 70, nulls._AMBIENT),
        ("b", "less_ambient", 60, nulls._BROAD),
    )
    every = {"null": "random_sets", "exceeded": True, "n_runs": 200, "most_expected": 16}
    rows = [
        every | {"compartment": compartment, "profiles": profiles, "runs_with_discovery": n, "reading": reading}
        for compartment, profiles, n, reading in seen
    ]
    found = doubts(toy.run(), nulls=toy.rows("nulls", rows))
    detail = found["Random gene sets differ between conditions too: in a, b, c"].detail
    assert "a 90 of 200; b 80 of 200; c 70 of 200; b, less ambient RNA 60 of 200; chance" in detail
    assert detail.endswith(f"at most 16. A, c: {nulls._AMBIENT}. B: {nulls._BROAD}.")


def test_a_type_that_quality_control_took_is_named_and_drawn():
    seen = {"sample": "S1", "n_barcodes": 40, "n_dropped": 20, "share_dropped": 0.5, "main_reason": "high_mt"}
    table = toy.rows("dropped", [seen | {"provisional_type": "neuron", "flagged": True}])
    said = doubts(toy.run(), dropped=table)["Quality control dropped much of a cell type"].detail
    assert said == "neuron in S1 (50%, most for high mitochondrial share)."
    trace = quality.dropped(table, ["S1"]).variants[0].data[0]
    assert trace["z"] == [[0.5]] and trace["text"] == [["•"]]
    assert trace["customdata"] == [["S1<br>neuron: 20 of 40 dropped, most for high mitochondrial share"]]


def test_samples_that_hold_the_same_cells_are_named():
    pair = toy.rows("duplicates", [{"sample_a": "S1", "sample_b": "S2", "share": 0.9, "exclude": "S2", "left_out": ""}])
    assert "exclude: [S2]" in doubts(toy.run(), duplicates=pair)["S1 and S2 hold the same cells"].detail
    found = doubts(toy.run(), duplicates=pair.assign(left_out="S2"))["S1 and S2 hold the same cells"]
    assert found.level == "caution" and "S2 is left out of everything that counts donors" in found.detail


def test_the_genome_is_drawn_in_bins_that_samples_share():
    rows = [
        {"sample": s, "group": g, "chromosome": c, "start": at, "end": at + 10**6, "log2_ratio": v}
        for s, g, c, at, v in (
            ("S1", "malignant", "2", 5, 0.5),
            ("S1", "malignant", "10", 5, -0.5),
            ("S2", "malignant", "2", 9_000, 0.1),
            ("S1", "immune", "2", 31_000_000, 0.0),
        )
    ]
    figure = identity.genome(toy.rows("cnv_windows", rows))
    assert [variant.label for variant in figure.variants] == ["malignant cells", "normal lineages"]
    (trace,) = figure.variants[0].data
    assert trace["x"] == ["2:0 Mb", "2:30 Mb", "10:0 Mb"] and trace["y"] == ["S1", "S2"]
    assert trace["z"][0] == [0.5, None, -0.5] and figure.variants[0].layout["xaxis"]["ticktext"] == ["2", "10"]
    assert identity._spaced(["1:0 Mb", "2:0 Mb"], ["1:0 Mb", "2:0 Mb", *"x" * 98]) == ["1", ""], "2 would touch 1"
    assert not identity.genome(toy.rows("cnv_windows", [])).variants


def test_tumours_of_one_sample_are_drawn_donor_by_donor():
    arm = {"group": "malignant", "arm": "1q", "call": "gain"}
    rows = [arm | {"sample": s, "donor": d, "mean": m} for s, d, m in (("S", "P1", 1), ("S", "P2", -1), ("T", "P1", 1))]
    (variant,) = identity.copy_number(toy.rows("cnv_arms", rows)).variants
    assert variant.data[0]["y"] == ["S · P1", "S · P2", "T"] and variant.data[0]["z"] == [[1.0], [-1.0], [1.0]]


def test_an_axis_of_a_state_tells_the_type_that_it_was_read_in():
    axis = {"axis": "A__B__x_to_y", "axis_group": "g", "sender": "microglia", "receiver": "cd8_t", "median_score": 1.0}
    read = {"sender_types": "microglia", "receiver_types": "t_cell"}
    table = toy.rows("crosstalk_summary", [axis | read | {"condition": c} for c in ("primary", "brain_metastasis")])
    variants = ecosystem.crosstalk(table).variants
    assert set(variants[0].data[0]["y"]) == {"A–B · microglia → CD8 T cell (read in T cell)"}
    plain = ecosystem.crosstalk(table.assign(receiver="t_cell", sender_types="microglia+myeloid")).variants
    assert set(plain[0].data[0]["y"]) == {"A–B · microglia → T cell"}


def test_a_donor_measured_in_two_ways_has_two_columns():
    row = {"study": "s", "donor": "P1", "condition": "primary", "compartment": "tumor", "gene": "ERBB2"}
    ways = [{"platform": "10x_3prime, cell", "log2_cpm": 4.0}, {"platform": "10x_3prime, nucleus", "log2_cpm": 8.0}]
    rows = [row | {"values": "counts"} | way for way in ways]
    rows.append(row | {"values": "counts", "donor": "P2", "platform": "10x_3prime, cell", "log2_cpm": 5.0})
    shown = ecosystem.drug_targets(toy.rows("druggability", rows)).variants[0].data[0]
    assert dict(zip(shown["x"], shown["z"][0], strict=True)) == {
        "P1 · primary · s, 10x_3prime, cell, counts": 4.0,
        "P1 · primary · s, 10x_3prime, nucleus, counts": 8.0,
        "P2 · primary": 5.0,
    }


def test_a_model_says_how_it_was_measured():
    row = {"donor": "L1", "condition": "cell_line", "compartment": "malignant", "reference": "primary", "rho": 0.5}
    rows = [
        row | {"platform": "10x_3prime, cell", "same_platform": True},
        row | {"platform": "smartseq2, cell", "same_platform": False},
    ]
    same, other = ecosystem.fidelity(toy.rows("fidelity", rows)).variants[0].data[0]["y"]
    assert same.startswith("L1 (10x_3prime, cell) · ") and not same.endswith("measured otherwise")
    assert other.startswith("L1 (smartseq2, cell) · ") and other.endswith(", measured otherwise")


def test_what_integration_merged_is_named():
    shares = {"own_before": 0.9, "own_after": 0.25}
    rows = [{"level": "tumours", "label": "S:P1", "alarm": "merged"}, {"level": "types", "label": "mast", "alarm": ""}]
    rows = [row | shares for row in rows]
    table = toy.rows("integration", rows)
    said = doubts(toy.run(), integration=table)
    found = said["Integration mixed the tumour cells of 1 donor with others"]
    assert found.level == "note" and "before and after integration: S:P1 90% and 25%. To compare" in found.detail
    found = doubts(toy.run(), integration=table.assign(alarm="merged"))["Integration mixed 1 cell type with others"]
    assert found.level == "caution" and "integration: mast 90% and 25%. Run once with" in found.detail


def test_a_clean_run_has_no_serious_caution():
    assert not any(w.level == "serious" for w in doubts(toy.run(tables=False)).values())


def test_claims_with_a_verdict_come_first_and_others_say_why():
    got = findings.verdicts(toy.run().tables["claims"])
    assert [c["claim"] for c in got["decided"]] == ["B2"]
    assert got["decided"][0]["numbers"] == "1.20 [0.30, 2.10]"
    assert [(c["claim"], c["reason"]) for c in got["others"]] == [
        ("B5", "One study per condition"),
        ("B4", "Too few donors"),
    ]


def test_a_claim_that_is_not_settled_says_what_stands_against_it():
    table = toy.run().tables["claims"].head(1)
    reason = "g 3.24 (1.48 to 5.00), FDR 0.001; without ambient RNA, g 0.11"
    got = findings.verdicts(table.assign(verdict="inconclusive", reason=reason, why="without ambient RNA, g 0.11"))
    assert not got["decided"] and got["open"][0]["why"] == "Without ambient RNA, g 0.11"


def test_the_first_sentence_counts_what_was_analysed_found_and_doubted():
    run = toy.run()
    found = findings.overview(run.tables["samples"], run.annotation, run.tables["qc"])
    said = findings.in_short(found, findings.verdicts(run.tables["claims"]), ["serious", "caution", "note"])
    assert said == (
        "2 samples of 2 donors: 1 primary, 1 brain metastasis. Of 3 published claims: 1 supported, 1 confounded, "
        "1 not testable. 2 cautions, 1 of them serious, named below."
    )


def test_an_interval_beyond_the_scale_ends_in_an_arrow():
    assert findings.verdict_interval(1, 0, 2, reach=6).count("<path") == 0
    beyond = findings.verdict_interval(8, 5, 11, reach=6)
    assert beyond.count("<path") == 1 and "<circle" not in beyond
    assert findings.verdict_interval(float("nan"), 0, 1, reach=6) == ""


def test_ids_are_words_and_names_of_others_stay():
    assert wording.words("macrophage_md") == "macrophage, blood-derived"
    assert wording.contrast_words("HER2_pos_vs_TNBC") == "HER2-positive against TNBC"
    assert wording.words("A__B__t_cell_to_neuron") == "A–B (T cell to neuron)"
    assert wording.prose("brain_metastasis in demo_a, cd8_t") == "brain metastasis in demo_a, CD8 T cell"
    column = next(c for c in packed(toy.run()).meta["columns"] if c["key"] == "cell_type")
    assert "T cell" in column["shown"] and "t_cell" in column["levels"]
    sample = next(c for c in packed(toy.run()).meta["columns"] if c["key"] == "donor")
    assert sample["shown"] == ["donor_S1", "donor_S2"]


def test_simulated_runs_say_so_in_title_and_figures(html):
    assert "<title>SIMULATED" in html and "Nothing here is a finding about patients" in html
    assert json.loads(embedded(html, "payload"))["simulated"] is True
    real = report.page(toy.run(), toy.parts(), toy.SETTINGS)
    assert "SIMULATED DATA" not in real and '<h2 id="h-recovery">' not in real


def test_the_map_says_that_its_numbers_are_steps(html):
    said = " ".join(html.split())
    assert "in steps between low and high values (31 and 15), as fine as colours show, in the TSV too;" in said


def test_names_of_others_are_escaped(html):
    assert "A &lt;small&gt; series" in html and "Cells are &lt;more&gt; proliferative." in html


def test_the_page_needs_no_network_and_is_the_same_twice(html):
    outside = re.findall(r'(?:src|href)="(https?:[^"]+)"', html)
    assert all(re.search(rf'<a href="{re.escape(url)}"', html) for url in outside)
    assert "@import" not in html and "url(" not in html
    assert html == report.page(toy.run(simulated=True), toy.parts(), toy.SETTINGS)


# --- methods ----------------------------------------------------------------------------------------------------------


def test_citations_are_numbered_in_order_and_every_entry_is_used():
    bib = "@article{B2,\n  author = {Bee, B. and Cee, C.},\n  title = {On b},\n  doi = {10.1/b},\n}\n\n@misc{A1,\n  title = {On a},\n  url = {u},\n}\n"  # noqa: E501
    run = {"config": {"x": 3}, "software": {"tool": "2.0"}}
    got = methods.write(
        "Used {{ v.tool }} [@B2] and {{ config.x }} [@A1;@B2] of {{ named }}.",
        bib,
        run=run,
        facts={},
        datasets={"D": {"citation": {"doi": "10.1/d"}}},
    )
    assert got["plain"] == "Used 2.0 [1] and 3 [1,2] of D [3]."
    assert [r["key"] for r in got["references"]] == ["B2", "A1", "D"]
    assert got["references"][0]["url"] == "https://doi.org/10.1/b"
    assert got["bibtex"].startswith("@article{B2,") and "@misc{D," in got["bibtex"]
    with pytest.raises(KeyError, match="Z9"):
        methods.write("[@Z9]", bib, run=run, facts={}, datasets={})
    assert methods.evidence(["markers"]) == "marker genes" and methods.evidence([]) == "no method"
    assert methods.evidence(["markers", "ambient", "sctype"]) == "marker genes, the share of ambient RNA and ScType"
    assert got["references"][0]["short"] == "Bee and Cee"
    shipped = toy.parts()
    cited = set(re.findall(r"@(\w+)", " ".join(methods._CITED.findall(shipped.methods))))
    cited |= {k.split("@")[-1] for group in methods._CITED.findall(shipped.methods) for k in group.split(";")}
    assert set(methods.bibliography(shipped.bib)) <= cited


def test_methods_tell_of_no_step_that_had_nothing_to_work_on():
    def told(run) -> str:
        return report._methods(content.Content(run, toy.SETTINGS), toy.parts())["methods"]["plain"]

    steps = ("Hedges' g", "PyDESeq2", "non-negative matrix")
    full, bare = told(toy.run()), told(toy.run(tables=False))
    assert all(step in full for step in steps) and "No contrast" not in full and "LIANA" not in full
    assert not any(step in bare for step in steps) and bare.endswith(
        "No contrast between conditions could be tested in these data."
    )
    assert full.count("\n\n") == 5 and bare.count("\n\n") == 4
    assert "scDblFinder" in full and "AUCell" not in full, "AUCell is made on request"
    assert "with Harmony" in full
    assert "fixed limits" not in full
    fixed = toy.run()
    fixed.provenance["config"]["qc"]["fixed"] |= {"min_counts": 500, "max_pct_mt": 7.5}
    limits = "except for fixed limits (at least 500 counts, at most 7.5 % mitochondrial counts)"
    assert limits in told(fixed)
    few = told(replace(toy.run(), integrated=False))
    assert "Harmony" not in few and "used without integration" in few


def test_small_tables_hold_words_and_dashes_for_what_is_missing():
    rows = [
        {"null": "labels", "compartment": "", "profiles": "measured", "exceeded": True},
        {"null": "random_sets", "compartment": "t_cell", "profiles": "less_ambient", "share_p05": 0.052},
    ]
    table = text_table.nulls(toy.rows("nulls", rows))
    assert [row[0] for row in table.rows] == [
        "permuted labels of donors",
        "random sets in T cell, less ambient RNA",
    ]
    assert [row[3] for row in table.rows] == ["–", "5.2%"]
    assert table.rows[0][-1] == text_table.Chip("contradicted", "more than chance")
    one = {"scope": "cohort", "n": 1200, "accuracy": 0.9}
    table = text_table.agreement([one, one | {"scope": "S1", "macro": 0.5}])
    assert table.rows == [["cohort", "1,200", "0.900", "–", "–"]] and table.folded[0][0] == "S1"


def test_agreement_is_told_by_scope():
    rows = [
        {"scope": "cohort", "class": "accuracy", "recall": 0.9, "n": 10},
        {"scope": "cohort", "class": "macro", "f1": 0.8, "n": 12},
        {"scope": "cohort", "class": "t_cell", "f1": 0.1, "n": 99},
    ]
    got = agreement.by_scope(toy.rows("concordance", rows))
    assert got == [{"scope": "cohort", "n": 12, "accuracy": 0.9, "macro": 0.8}]


def test_pages_parts_are_formatted():
    for path in [*(toy.PAGE / "page").glob("*.js"), toy.PAGE / "page.css", toy.PAGE / "page.html.j2"]:
        long = [n for n, line in enumerate(path.read_text().splitlines(), start=1) if len(line) > 120]
        assert not long, f"{path.name}: lines {long} have more than 120 characters"
    parts = [path.read_text() for path in (toy.PAGE / "page").glob("*.js")]
    assert all(part in toy.parts().js for part in parts), "a part is missing in the rule's list"


def test_integration_is_read_off_the_components(tmp_path):
    columns = {"sample": ["a", "a", "b"], "PC_1": [1.0, 2, 3], "harmony_1": [1.0, 2, 3], "umap_1": 0.0, "umap_2": 0.0}
    table = pd.DataFrame(columns, index=pd.Index(["a:1", "a:2", "b:1"], name="cell_id"))
    write_table(table, tmp_path / "same.parquet", "embedding")
    write_table(table.assign(harmony_1=table["PC_1"] + 1), tmp_path / "moved.parquet", "embedding")
    assert not load.integrated(tmp_path / "same.parquet") and load.integrated(tmp_path / "moved.parquet")


# --- figures for a paper ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [20, 0])
def test_static_figures_are_svg_with_text_and_the_same_twice(tmp_path, cells):
    run = toy.run(cells=cells)
    means = signatures.donor_means(run.scores, run.annotation)
    drawings = {
        "umap": static.umap(run.layout, run.annotation["cell_type"]),
        "composition": static.composition(run.annotation, ["S1", "S2"]),
        "qc": static.fate(run.cells, ["S1", "S2"]),
        "signatures": static.signatures(means),
    }
    for name, draw in drawings.items():
        first, second = tmp_path / f"{name}.svg", tmp_path / f"{name}_2.svg"
        for path in (first, second):
            static.save(path, draw, size=(4, 3), simulated=True)
        assert first.read_bytes() == second.read_bytes()
        assert "SIMULATED" in first.read_text() and xml.dom.minidom.parse(str(first))


def test_names_stand_where_most_cells_are_of_their_kind():
    points = np.array([[0.0, 0]] * 40 + [[10.0, 4]] * 40 + [[5.0, 9]] * 40 + [[9.0, 9]])
    values = pd.Series(["a"] * 40 + ["b"] * 30 + ["c"] * 10 + ["d", "e"] * 20 + ["f"])
    found = {level: place.tolist() for level, place in places.places(points, values).items()}
    assert found == {"a": [0, 0], "b": [10, 4]}, "c is the lesser part, d and e are halves, f is rare"
    assert places.places(points[:0], values[:0]) == {}
    assert set(places.places(points, values.replace("a", ""))) == {"b"}
    wide = np.array([(x, y) for x in range(20) for y in range(20)] + [(60, 60)] * 10, float)
    assert set(places.places(wide, pd.Series(["wide"] * 400 + ["far"] * 10))) == {"wide", "far"}, "large, and together"


def test_the_page_writes_names_where_the_figures_do():
    run = toy.run()
    kinds = run.annotation["cell_type"]
    apart = run.layout.assign(umap_1=3.0 * pd.factorize(kinds)[0], umap_2=7.0)
    column = next(c for c in packed(replace(run, layout=apart)).meta["columns"] if c["key"] == "cell_type")
    expected = places.places(apart.to_numpy(float), kinds)
    assert dict(zip(column["levels"], column["places"], strict=True)) == {k: list(v) for k, v in expected.items()}
    assert len(expected) == kinds.nunique() > 2
    mixed = next(c for c in packed(run).meta["columns"] if c["key"] == "cell_type")
    assert mixed["places"] == [None] * len(mixed["levels"]), "in the toy every type lies everywhere"


@pytest.mark.parametrize("n", [0, 3, 112, 200])
def test_maps_of_many_samples_are_as_wide_as_those_of_few(n):
    import matplotlib as mpl
    from matplotlib.figure import Figure

    layout = pd.DataFrame({"umap_1": np.arange(2.0 * n), "umap_2": np.arange(2.0 * n) % 7})
    values = pd.Series([f"GSM4259{i}_brain" for i in range(n)] * 2, dtype=object)
    with mpl.rc_context(static._STYLE):
        drawn = Figure(figsize=(static.map_wide(values), 5), layout="constrained")
        static.umap(layout, values)(drawn)
        drawn.draw_without_rendering()
    [axes] = drawn.axes
    assert axes.get_position().width * drawn.get_figwidth() > 5
    assert (axes.get_legend() is None) == (n > 112)


def test_bars_of_few_samples_leave_room_for_the_keys_of_many_types(tmp_path):
    run = toy.run()
    kinds = pd.Series(list(palette.CELL_TYPES)[:20] * 4, index=run.annotation.index)
    path = tmp_path / "composition.svg"
    height = static.bars_high(2, 20)
    drawn = static.composition(run.annotation.assign(cell_type=kinds), ["S1", "S2"])
    static.save(path, drawn, size=(7, height), simulated=False)
    inside = [float(y) for y in re.findall(r"<use [^>]*y=\"([\d.]+)\"", path.read_text())]
    assert len(inside) >= 20 and min(inside) > 0 and max(inside) < 72 * height


# --- in a browser -----------------------------------------------------------------------------------------------------


@browser
def test_the_page_works_in_a_browser(html, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(html)
    with Browser(tmp_path) as b:
        b.open(page)
        assert b.run("document.documentElement.dataset.ready") == "yes"
        b.run("brainmet.drawAll()")
        undrawn = "[...document.querySelectorAll('[data-figure]')].filter(f => !f.querySelector('svg.main-svg')).map(f => f.id)"  # noqa: E501
        assert b.run(undrawn) == []
        assert b.run("document.querySelector('#quality .plot').textContent").find("SIMULATED") >= 0
        _colour_filter_select(b)
        _downloads(b)
        _tables_and_access(b)
        _printed(b)
        for width in (1280, 800, 400):
            b.size(width, 900)
            b.wait(f"document.documentElement.scrollWidth <= {width}", 10)
        assert b.complaints == []
        assert [r for r in b.requests if not r.startswith(("file:", "blob:", "data:"))] == []


def _colour_filter_select(b: Browser) -> None:
    left = "#cells [data-map=left]"
    b.choose(f"{left} [data-colour]", "score:proliferation")
    b.wait(f"document.querySelector('{left}').dataset.drawn === 'score:proliferation'")
    find = f"document.querySelector('{left} [data-find]')"
    b.run(f"(e => {{ e.value = 'erbb2'; e.dispatchEvent(new Event('change')); }})({find})")
    b.wait(f"document.querySelector('{left}').dataset.drawn === 'gene:ERBB2'")
    assert "antigen of trastuzumab" in b.run(f"document.querySelector('{left} .legend').textContent")
    b.run(f"(e => {{ e.value = 'ERBB9'; e.dispatchEvent(new Event('change')); }})({find})")
    assert "neither a gene of interest" in b.run("document.querySelector('#cells .status').textContent")
    b.choose(f"{left} [data-colour]", "cell_type")
    b.click(f"{left} .legend [data-level=t_cell]")
    b.wait("document.querySelector('#cells .status').textContent === '60 of 80 cells shown'")
    assert b.run(f"document.querySelector('{left} .legend [data-level=t_cell]').ariaPressed") == "false"
    b.run(f"document.querySelector('{left} .legend [data-level=t_cell]').focus({{preventScroll: true}})")
    b.run("document.activeElement.click()")
    b.wait("document.querySelector('#cells .status').textContent === '80 cells'")
    assert b.run("document.activeElement.dataset.level") == "t_cell", "the keyboard stays where it was"
    b.click("[data-reset]")
    _names(b)
    b.click("[data-mode=lasso]")
    x, y, w, h = b.box(f"{left} canvas")
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.5), (0.01, 0.5)]
    for k, (u, v) in enumerate(corners):
        b.mouse("mousePressed" if k == 0 else "mouseMoved", x + u * w, y + v * h, held=True)
    b.mouse("mouseReleased", x + 0.01 * w, y + 0.5 * h)
    b.wait("document.querySelector('#cells .status').textContent.endsWith('cells selected')")
    picked = b.run("brainmet.map.cells.selected.reduce((a, v) => a + v, 0)")
    assert 30 <= picked <= 50
    right = "brainmet.map.views[1].canvas.getContext('2d').getImageData(0, 0, 300, 300).data.some(v => v)"
    assert b.run(right)
    b.click("[data-clear]")
    b.click("[data-mode=pan]")
    place = "(c => [c.cells.x[0] * c.views[0].place().scale + c.views[0].place().dx, c.cells.y[0] * c.views[0].place().scale + c.views[0].place().dy, c.views[0].canvas.width])(brainmet.map)"  # noqa: E501
    x, y, w, _ = b.box(f"{left} canvas")
    px, py, wide = b.run(place)
    b.mouse("mouseMoved", x + px * w / wide, y + py * w / wide)
    b.wait("!document.querySelector('#tip').hidden")
    assert "& <neighbours>" in b.run("document.querySelector('#tip').textContent")


def _names(b: Browser) -> None:
    """A name stands where the data say and goes when its cells are hidden; types of the toy are mixed and have none."""
    named, cells = "brainmet.map.views[0].names.map(n => n.text)", "brainmet.map.cells"
    assert b.run(named) == []
    b.run(
        f"(c => {{ c.by.get('cell_type').places[1] = [c.meta.x.high, c.meta.y.low]; }})({cells}); "
        "brainmet.map.changed();"
    )
    b.wait(f"{named}.length")
    level, shown = b.run(f"(t => [t.levels[1], t.shown[1]])({cells}.by.get('cell_type'))")
    assert b.run(named) == [shown]
    corner = f"(c => [Math.max(...c.x), Math.max(...c.y)])({cells})"
    assert b.run("(n => [n.x, n.y])(brainmet.map.views[0].names[0])") == pytest.approx(b.run(corner), abs=1e-4)
    button = f"#cells [data-map=left] .legend [data-level={level}]"
    b.click(button)
    b.wait(f"{named}.length === 0")
    b.click(button)
    b.wait(f"{named}.length === 1")
    drawn = "brainmet.map.views[0].canvas.toDataURL()"
    before = b.run(drawn)
    b.click("[data-names]")
    b.wait(f"{drawn} !== {json.dumps(before)}")
    assert b.run("document.querySelector('[data-names]').ariaPressed") == "false"
    b.click("[data-names]")
    b.wait(f"{drawn} === {json.dumps(before)}")
    b.run(f"{cells}.by.get('cell_type').places[1] = null; brainmet.map.changed();")


def _printed(b: Browser) -> None:
    folded = "[...document.querySelectorAll('details.rest')].map(d => d.open)"
    widths = "[...document.querySelectorAll('.plot svg.main-svg')].map(p => p.getBoundingClientRect().width)"
    before = b.run(folded)
    b.run("window.dispatchEvent(new Event('beforeprint'))")
    assert b.run(folded) == [True] * len(before) and max(b.run(widths)) <= 661
    b.run("window.dispatchEvent(new Event('afterprint'))")
    assert b.run(folded) == before and not all(before) and max(b.run(widths)) > 700


def _downloads(b: Browser) -> None:
    b.click("#contrasts-forest [data-get=tsv]")
    table = pd.read_csv(b.downloaded("contrasts-forest_brain_metastasis_against_primary.tsv"), sep="\t")
    assert table["effect"].tolist() == [1.2]
    b.click("#contrasts-forest [data-get=svg]")
    assert "SIMULATED" in b.downloaded("primary.svg").read_text()
    b.click("#contrasts-forest [data-get=png]")
    assert b.downloaded("primary.png").read_bytes()[:4] == b"\x89PNG"
    left = "#cells [data-map=left]"
    b.choose(f"{left} [data-colour]", "score:proliferation")
    b.wait(f"document.querySelector('{left}').dataset.drawn === 'score:proliferation'")
    b.run("brainmet.map.cells.by.get('author_label').levels[0] = 'a\\tlabel\\nof theirs'")
    b.click("#cells [data-get=tsv]")
    table = pd.read_csv(b.downloaded("cells.tsv"), sep="\t")
    assert len(table) == 80 and table["score:proliferation_in_31_steps"].nunique() <= 31
    assert "a label of theirs" in set(table["author_label"])
    b.choose(f"{left} [data-colour]", "cell_type")
    b.wait(f"document.querySelector('{left}').dataset.drawn === 'cell_type'")
    b.click("#cells [data-get=svg]")
    assert b.downloaded("map.svg").read_text().count("h0") == 160
    b.click("[data-save=bibtex]")
    assert "@article" in b.downloaded(".bib").read_text()


_CONTRAST = """() => {
  const number = (c) => (c.match(/[\\d.]+/g) ?? []).map(Number);
  const curve = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * curve(r / 255) + 0.7152 * curve(g / 255) + 0.0722 * curve(b / 255);
  const back = (e) => {
    for (; e; e = e.parentElement) {
      const c = number(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || e.closest('svg, script, style, [hidden], .skip, :disabled') || !e.offsetParent) continue;
    const [a, b] = [light(number(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}`);
  }
  return [...new Set(bad)];
}"""


def _tables_and_access(b: Browser) -> None:
    assert b.run(f"({_CONTRAST})()") == []
    b.click("#theme")
    time.sleep(0.3)
    assert b.run(f"({_CONTRAST})()") == []
    b.click("#theme")
    b.run("document.querySelector('[data-table=contrasts]').open = true")
    b.wait("document.querySelectorAll('[data-table=contrasts] tbody tr').length === 3")
    script = "(i => { i.value = 'confounded'; i.dispatchEvent(new Event('input')); })(document.querySelector('[data-table=contrasts] input'))"  # noqa: E501
    b.run(script)
    assert b.run("document.querySelectorAll('[data-table=contrasts] tbody tr').length") == 1
    nameless = "[...document.querySelectorAll('button, select, input, canvas, a[href]')].filter(e => !(e.textContent.trim() || e.ariaLabel || e.getAttribute('aria-label') || e.labels?.length)).map(e => e.outerHTML)"  # noqa: E501
    assert b.run(nameless) == []
    twice = "(ids => ids.filter((id, k) => ids.indexOf(id) !== k))([...document.querySelectorAll('[id]')].map(e => e.id).filter(id => !/^(clip|legend|g[0-9a-f]|topdefs|defs|cb)/.test(id)))"  # noqa: E501
    assert b.run(twice) == []
    heads = b.run("[...document.querySelectorAll('h1, h2, h3')].map(e => Number(e.tagName[1]))")
    assert (
        heads[0] == 1
        and heads.count(1) == 1
        and all(after - before <= 1 for before, after in itertools.pairwise(heads))
    )


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The accessibility checker of npm, fetched for the test; the page does not carry it."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm") or pytest.skip("npm is not installed")
    done = subprocess.run([npm, "pack", "axe-core"], cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"axe-core cannot be fetched here: {done.stderr[-200:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


@browser
@pytest.mark.slow
@pytest.mark.parametrize("cells", [pytest.param(40, marks=pytest.mark.ci), 0])
def test_the_page_passes_axe_in_both_themes(axe, tmp_path, cells):
    page = tmp_path / "report.html"
    page.write_text(report.page(toy.run(simulated=True, cells=cells), toy.parts(), toy.SETTINGS))
    with Browser(tmp_path) as b:
        b.open(page)
        b.run("brainmet.drawAll()")
        b.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        b.run(axe + ";1")
        for _ in ("light", "dark"):
            broken = b.run(
                "axe.run(document).then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html.slice(0, 200)))"
            )
            assert broken == []
            b.click("#theme")
            time.sleep(0.3)


@browser
def test_a_run_with_nothing_in_its_tables_opens_too(tmp_path):
    with Browser(tmp_path) as b:
        for cells in (0, 40):
            run = toy.run(cells=cells, tables=False)
            page = tmp_path / f"{cells}.html"
            page.write_text(
                report.page(run if cells else replace(run, scores=run.scores[[]]), toy.parts(), toy.SETTINGS)
            )
            b.open(page)
            assert b.run("document.documentElement.dataset.ready") == "yes"
            b.run("brainmet.drawAll()")
            assert b.complaints == []
            assert "No published claim was configured" in b.run("document.body.innerText")


def _narrowed(run, case):
    """The run without what the case lacks."""
    cells = run.annotation.copy()
    if case == "one sample":
        cells = cells[cells["sample"] == "S1"]
    elif case == "one condition":
        cells["condition"] = "primary"
    elif case == "no labels":
        cells[["author_label", "author_cell_type"]] = ""
    else:
        cells["malignancy"] = "normal"
        cells[["cell_type", "lineage"]] = cells[["cell_type", "lineage"]].replace("malignant_epithelial", "astrocyte")
    tables = dict(run.tables)
    for name, table in tables.items():
        if "sample" in table:
            tables[name] = table[table["sample"].isin(["", *cells["sample"]])]
    if case == "one condition":
        tables["samples"] = tables["samples"].assign(condition="primary")
    kept = {
        "one condition": ["contrasts", "de", "gsea", "composition"],
        "no labels": ["confusion", "concordance", "calibration"],
    }
    for name in kept.get(case, ["cnv_arms", "adc_coverage", "adc_antigens", "programmes"]):
        tables[name] = empty(name)
    at = cells.index
    return replace(
        run, annotation=cells, layout=run.layout.loc[at], scores=run.scores.loc[at], genes=run.genes.loc[at],
        ambient=run.ambient.loc[at], cells=run.cells[run.cells["sample"].isin(cells["sample"])], tables=tables,
    )  # fmt: skip


@browser
def test_runs_that_lack_something_open_and_draw_the_rest(tmp_path):
    page = tmp_path / "report.html"
    with Browser(tmp_path) as b:
        for case in ("one sample", "one condition", "no labels", "no malignant cells"):
            page.write_text(report.page(_narrowed(toy.run(), case), toy.parts(), toy.SETTINGS))
            b.open(page)
            b.run("brainmet.drawAll()")
            assert (
                b.run("[...document.querySelectorAll('[data-figure]')].filter(f => !f.querySelector('svg')).length")
                == 0
            )
            assert (
                b.run("document.querySelector('#cells .status').textContent")
                == ("40" if case == "one sample" else "80") + " cells"
            )
            for width in (1280, 800):
                b.size(width, 900)
                b.wait(f"document.documentElement.scrollWidth <= {width}", 10)
            assert b.complaints == [], case


def test_time_of_samples_that_are_excluded_now_is_not_counted(tmp_path):
    for name in ("qc/A.tsv", "qc/B.1.tsv", "qc/gone.tsv", "embed.tsv", "fetch/D/x.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("s\tmax_rss\n2\t100\n")
    found = load.measured(tmp_path, ["A", "B.1"])
    assert {rule: len(frame) for rule, frame in found.items()} == {"qc": 2, "embed": 1, "fetch": 1}
    assert load.measured(tmp_path / "none", ["A"]) == {}
