"""The pictures of README.md, taken by chromium from two finished runs: the demo, and real cells.

    uv run snakemake -d DEMO --cores all
    uv run snakemake results/report.html -d REAL --configfile tests/real/config.yaml \
        --config "dataset_paths=[$PWD/tests/real]" --cores all
    uv run python -m tests.pictures DEMO REAL
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import Browser
from tests.running import HOME

REPORT, MAP = HOME / "docs/report.png", HOME / "docs/map.png"
PAGE = "results/report.html"


def first_screen(run: Path, picture: Path) -> None:
    """What the page begins with."""
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder), width=1280, height=1420) as browser:
        browser.open(run / PAGE)
        browser.run("document.querySelectorAll('section.view').forEach(each => each.hidden = true)")
        browser.picture(picture)


def maps(run: Path, picture: Path) -> None:
    """The two maps of the same cells: types, and a signature that is high in the tumour's."""
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder), width=1280, height=1420) as browser:
        browser.open(run / PAGE)
        for side, column in (("left", "cell_type"), ("right", "score:proliferation")):
            browser.choose(f"#cells [data-map={side}] [data-colour]", column)
            browser.wait(f"document.querySelector('#cells [data-map={side}]').dataset.drawn === '{column}'")
        browser.picture(picture, "#cells")


if __name__ == "__main__":
    demo, real = map(Path, sys.argv[1:])
    first_screen(demo.resolve(), REPORT)
    maps(real.resolve(), MAP)
    for picture in (REPORT, MAP):
        Image.open(picture).convert("RGB").quantize(256).save(picture, optimize=True)
