"""A methods section from what was run: configuration, versions, data, with numbered citations and their BibTeX."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brainmet.annotate import describe

_ENTRY = re.compile(r"@\w+\{(?P<key>[^,]+),(?P<body>.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", re.MULTILINE)
FIXED = {
    "min_counts": "at least {:g} counts",
    "min_genes": "at least {:g} genes",
    "max_pct_mt": "at most {:g} % mitochondrial counts",
}
_CITED = re.compile(r"\[@([\w;@ -]+)\]")


@dataclass(frozen=True)
class Reference:
    """One entry of a BibTeX file."""

    key: str
    fields: Mapping[str, str]
    source: str

    @property
    def text(self) -> str:
        """Author, title, journal and year in a line."""
        parts = [self.fields.get("title", ""), self.fields.get("journal", ""), self.fields.get("year", "")]
        return f"{self.authors.rstrip('.')}. " + ". ".join(part for part in parts if part)

    @property
    def short(self) -> str:
        """Authors and year."""
        return f"{self.authors} {self.fields.get('year', '')}".strip()

    @property
    def authors(self) -> str:
        """Family names: one, two, or the first and others."""
        names = [name.split(",")[0] for name in self.fields.get("author", "").split(" and ")]
        return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."

    @property
    def url(self) -> str:
        """Where to read it."""
        return f"https://doi.org/{self.fields['doi']}" if "doi" in self.fields else self.fields.get("url", "")


def bibliography(text: str) -> dict[str, Reference]:
    """Entries of a BibTeX file by key, in its order."""
    return {
        m["key"].strip(): Reference(m["key"].strip(), dict(_FIELD.findall(m["body"] + "\n")), m[0])
        for m in _ENTRY.finditer(text)
    }


def write(
    template: str,
    bib: str,
    *,
    run: Mapping[str, Any],
    facts: Mapping[str, Any],
    datasets: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The methods section.

    Args:
        template: paragraphs with jinja fields; `[@key;@key]` cites entries of the bibliography.
        bib: the bibliography.
        run: `config, software, samples` of provenance/run.json.
        facts: further values for the template: numbers of the run.
        datasets: by id, `title, citation` of the dataset files.

    Returns:
        `paragraphs` (HTML with linked numbers), `plain` (text), `references` (cited ones, in order), `bibtex`.
    """
    import jinja2

    entries = bibliography(bib) | {r.key: r for r in map(_of_dataset, datasets.items()) if r}
    cited = [f"[@{id_}]" if id_ in entries else "" for id_ in datasets]
    named = ", ".join(f"{id_}{cite}" for id_, cite in zip(datasets, cited, strict=True))
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"evidence": evidence, "limits": fixed_limits}
    text = environment.from_string(template).render(**facts, config=run["config"], v=run["software"], named=named)
    order: list[str] = []
    for group in _CITED.findall(text):
        order += [key for key in _keys(group) if key not in order]
    if missing := [key for key in order if key not in entries]:
        raise KeyError(f"not in the bibliography: {missing}")
    paragraphs = [" ".join(p.split()) for p in text.split("\n\n") if p.strip()]
    return {
        "paragraphs": [_numbered(_escape(p), order, link=True) for p in paragraphs],
        "plain": "\n\n".join(_numbered(p, order, link=False) for p in paragraphs),
        "references": [
            {"n": n, "key": key, "text": entries[key].text, "short": entries[key].short, "url": entries[key].url}
            for n, key in enumerate(order, start=1)
        ],
        "bibtex": "\n\n".join(entries[key].source for key in order) + "\n",
    }


def _of_dataset(item: tuple[str, Mapping[str, Any]]) -> Reference | None:
    id_, document = item
    citation = document.get("citation") or {}
    if not (citation.get("doi") or citation.get("pmid")):
        return None
    fields = {
        "author": f"Data of {id_}",
        "title": str(document.get("title", id_)),
        "note": "; ".join(
            filter(None, [str(citation.get("note", "")), "address to be checked" if citation.get("verify") else ""])
        ),
    }
    fields |= (
        {"doi": str(citation["doi"])}
        if citation.get("doi")
        else {"url": f"https://pubmed.ncbi.nlm.nih.gov/{citation['pmid']}"}
    )
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return Reference(id_, fields, f"@misc{{{id_},\n{body}\n}}")


def evidence(methods: Sequence[str]) -> str:
    """The methods of annotation in words, as each states them in its file."""
    names = [describe(name).in_words for name in methods]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "no method"


def fixed_limits(limits: Mapping[str, float | None]) -> str:
    """The fixed limits of quality control in words; empty where each sample has its own."""
    return ", ".join(FIXED[name].format(limit) for name, limit in limits.items() if limit is not None)


def _keys(group: str) -> list[str]:
    return [key.strip().lstrip("@") for key in group.split(";")]


def _numbered(text: str, order: list[str], *, link: bool) -> str:
    def numbers(match: re.Match[str]) -> str:
        found = sorted(order.index(key) + 1 for key in _keys(match[1]))
        shown = [f'<a href="#ref-{n}">{n}</a>' if link else str(n) for n in found]
        return ("<sup>" if link else " [") + ",".join(shown) + ("</sup>" if link else "]")

    return re.sub(r"\s*" + _CITED.pattern, numbers, text)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
