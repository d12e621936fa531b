"""Figures of the run itself: how much of a planted truth came back, where time and memory went."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainmet.report.figure import Figure, Variant, axis, clean, reversed_axis, rows_high
from brainmet.report.palette import ACCENT, colours
from brainmet.report.wording import words

_OUTCOMES = ("shifts", "claims")


def outcomes(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of recovery that are told in a table: planted shifts, traps and claims."""
    return table[table["step"].isin(_OUTCOMES)]


def recovery(table: pd.DataFrame) -> Figure:
    """Each step against the planted truth, between 0 and 1."""
    inside = table[table["value"].between(0, 1) & ~table["step"].isin(_OUTCOMES)]
    names = [
        f"{words(step)} · {_metric(metric)}" for step, metric in zip(inside["step"], inside["metric"], strict=True)
    ]
    shades = colours(dict.fromkeys(inside["step"]))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": clean(inside["value"]),
            "marker": {"color": [shades[step] for step in inside["step"]]},
            "customdata": [[n, note] for n, note in zip(clean(inside["n"]), inside["note"], strict=True)],
            "hovertemplate": "%{y}<br>%{x:.3f} (n = %{customdata[0]})<br>%{customdata[1]}<extra></extra>",
        }
    ]
    layout = {
        "height": rows_high(len(inside), row=18),
        "xaxis": axis("value", range=[0, 1.02]),
        "yaxis": reversed_axis(),
        "showlegend": False,
    }
    return Figure(
        id="recovery-steps",
        title="How well each step recovered the planted truth",
        source="recovery.tsv",
        caption="Shares and scores between 0 and 1 against what was simulated; hover for what exactly was compared.",
        empty="There is no planted truth in this run: it holds real data.",
        variants=[Variant("", data, layout, table)] if len(inside) else [],
    )


def _metric(name: str) -> str:
    """`f1_t_nk` as `F1, T and NK`."""
    return f"F1, {words(name.removeprefix('f1_'))}" if name.startswith("f1_") else words(name)


def by_step(benchmarks: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Runtime and memory by rule: `step, jobs, seconds, longest_seconds, peak_mb, cpu_seconds`, slowest first.

    Args:
        benchmarks: by rule, Snakemake's benchmark rows of all its jobs.
    """
    rows = []
    for name, frame in sorted(benchmarks.items()):
        numbers = frame.reindex(columns=["s", "max_rss", "cpu_time"]).apply(pd.to_numeric, errors="coerce")
        rows.append(
            (
                name,
                len(frame),
                numbers["s"].sum(),
                numbers["s"].max(),
                numbers["max_rss"].max(),
                numbers["cpu_time"].sum(),
            )
        )
    result = pd.DataFrame(rows, columns=["step", "jobs", "seconds", "longest_seconds", "peak_mb", "cpu_seconds"])
    return result.sort_values("seconds", ascending=False, kind="stable", ignore_index=True).astype({"jobs": np.int64})


def runtime(steps: pd.DataFrame) -> Figure:
    """Where time and memory went."""
    variants = []
    for label, column, unit in (
        ("Time, all jobs", "seconds", "seconds"),
        ("Longest job", "longest_seconds", "seconds"),
        ("Peak memory of a job", "peak_mb", "MB"),
    ):
        frame = steps[steps[column].notna()].sort_values(column, ascending=False, kind="stable")
        data = [
            {
                "type": "bar",
                "orientation": "h",
                "y": list(frame["step"]),
                "x": clean(frame[column]),
                "marker": {"color": ACCENT},
                "customdata": clean(frame["jobs"]),
                "hovertemplate": "%{y}<br>%{x:.4g} " + unit + ", %{customdata} jobs<extra></extra>",
            }
        ]
        layout = {
            "height": rows_high(len(frame), row=18),
            "xaxis": axis(unit, rangemode="tozero"),
            "yaxis": reversed_axis(),
            "showlegend": False,
        }
        if len(frame):
            variants.append(Variant(label, data, layout, frame))
    return Figure(
        id="runtime",
        title="Runtime and memory by step",
        choose="Show",
        source="benchmarks",
        caption="As measured by Snakemake for the jobs that made these results. These figures differ from run to run; "
        "all other results are reproducible byte for byte.",
        empty="No benchmarks were found beside the results.",
        variants=variants,
    )
