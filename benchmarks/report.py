"""The tables of the README, made from the rows written down, so that no figure there is typed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tinydl.benchmarks import published
from tinydl.benchmarks.harness import RESULTS, history

HEADLINES = ("import_time", "first_step", "chain", "mlp_step", "lstm_step", "nade_step", "works")
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"  # around the table of that name
PAPERS = "papers.json"
LEAST_SHARE = 0.97  # of its time that a run must have had its core; a table marks those that had less
AVERAGES = {  # of tinydl.training.evaluation, and their names in a table
    "nll_per_frame": "per frame",
    "nll_skip_first": "first left out",
    "nll_per_sequence": "mean of pieces",
}
SHORT = {"Boulanger-Lewandowski 2012": "B-L 2012"}
MARKS = {
    "recalled": ("†", "recalled, not verified (the others were read)"),
    "nll_skip_first": ("‡", "first frames left out"),
    "estimate": ("§", "an estimate"),
    "unknown": ("¶", "how it is averaged is not known to us: compared over all frames"),
}


def table(folder: Path = RESULTS) -> str:
    """A Markdown table of the newest row of each figure; machine and versions below it, those of other rows named."""
    lines = [
        "| benchmark | tinydl | rival | rival's figure | rival / tinydl | date, commit |",
        "|---|---|---|---|---|---|",
    ]
    newest = {(name, row["case"], row["rival_name"]): row for name in HEADLINES for row in history(name, folder)}
    if not newest:
        return "Nothing is measured yet: `python -m tinydl.benchmarks all`."
    last = max(newest.values(), key=lambda row: row["date"])
    # Figures of two machines do not compare, so rows that were not measured where the last one was are marked.
    where = dict.fromkeys((row["machine"], row["versions"]) for row in [last, *newest.values()])
    places = {place: f"({k})" if k else "" for k, place in enumerate(where)}
    for (name, _, _), row in newest.items():
        rival = f"{row['rival']} {row['unit']}" if row["rival"] else ""
        what = " ".join(f"`{name}` {row['case']} {places[row['machine'], row['versions']]}".split())
        lines.append(
            f"| {what} | {row['ours']} {row['unit']} | {row['rival_name']} | {rival} | {row['ratio']} "
            f"| {row['date'][:10]}, {row['commit']} |"
        )
    machines = "; ".join(f"{mark} {'; '.join(place)}".strip() for place, mark in places.items())
    return "\n".join([*lines, "", f"Medians; {machines}."])


# ---------------------------------------------------------------------------------------------------------- the papers


def paper_rows(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of ``papers.json``; none when it is not there."""
    path = folder / PAPERS
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows by data set, model and minutes, as the tables show them."""
    data, models = list(published.DATA), list(published.BESIDE)

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return (
            data.index(row["data"]) if row["data"] in data else len(data),
            models.index(row["model"]) if row["model"] in models else len(models),
            row["data"],
            row["model"],
            row["minutes"],
        )

    return sorted(rows, key=place)


def nats(value: float | None) -> str:
    """A figure of ours: two decimals, as the papers print theirs; the spread over seeds is not below that."""
    return "-" if value is None else f"{value:.2f}"


def spread(row: Mapping[str, Any]) -> str:
    """``5.90 to 5.97``, the least and the greatest over the seeds; nothing for a single one."""
    low, high = row["spread"]
    return f"{nats(low)} to {nats(high)}" if len(row["seeds"]) > 1 else ""


def trained(row: Mapping[str, Any]) -> str:
    """``1:21 of 2 min``: how long the median run trained (validation may end it), and how long it might have."""
    from tinydl.cli._output import clock

    seconds = "?" if row["seconds"] is None else clock(row["seconds"])
    crowded = " (its core was shared)" if (row.get("core_share") or 1) < LEAST_SHARE else ""
    return f"{seconds} of {row['minutes']:g} min{crowded}"


def papers_table(folder: Path = RESULTS) -> str:
    """A Markdown table of ``papers.json``: each row of ours beside the published figures of its kind, and a legend."""
    rows = in_order(paper_rows(folder))
    if not rows:
        return "Our models beside the papers': nothing is measured yet, `python -m tinydl.benchmarks papers` does it."
    lines = [
        f"| data | model | trained | {' | '.join(AVERAGES.values())} | parameters | published |",
        "|---|---|---|---|---|---|---|---|",
    ]
    used: set[str] = set()
    for row in rows:
        kind = "" if row["kind"] == "exact" else f" ({row['kind']})"
        span = f" ({spread(row)})" if spread(row) else ""
        lines.append(
            f"| `{row['data']}` | `{row['model']}` | {trained(row)} | {nats(row['nll_per_frame'])}{kind}{span} "
            f"| {nats(row['nll_skip_first'])} | {nats(row['nll_per_sequence'])} | {row['params']:,} "
            f"| {published_cell(row, used)} |"
        )
    seeds = sorted({len(row["seeds"]) for row in rows})
    ours = f"median of {' or '.join(map(str, seeds))} seeds (least to greatest)"
    if all(row["kind"] == "exact" for row in rows):
        ours += ", exact likelihoods"
    legend = [
        "Test negative log-likelihood in nats per frame (of `binarized-mnist`: per image) on the canonical splits, "
        "lower is better: over all frames, "
        f"without each piece's first, and as a mean of the pieces' own means. Ours: {ours}; weights chosen on "
        "validation, the test split read once a run; cores: 1 per run, for at most the minutes given. On JSB the "
        "models have their default options, on images those that they have for such, on the other sets those of the "
        "plan in `benchmarks/papers.py`, chosen on validation.",
        "Published: **bold** where ours is lower; "
        + "; ".join(f"{mark} {words}" for name, (mark, words) in MARKS.items() if name in used)
        + "".join(f"; {paper.label}: {paper.note}" for paper in published.PAPERS.values() if paper.note)
        + f". The papers ({', '.join(f'{short}: {name}' for name, short in SHORT.items())}) are cited in "
        "`benchmarks/published.py`.",
        f"{measured_on(rows)}.",
    ]
    return "\n".join([*lines, "", "\n".join(legend)])


def measured_on(rows: Sequence[Mapping[str, Any]]) -> str:
    """Machine, versions, date and commits; where there are several machines, most rows' first, the others' by name."""
    places: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: str(row["date"])):
        places.setdefault((row["machine"], row["versions"]), []).append(row)
    parts: list[str] = []
    for (machine, versions), there in sorted(places.items(), key=lambda place: -len(place[1])):
        commits = ", ".join(dict.fromkeys(row["commit"] for row in there))
        named = ", ".join(f"`{row['model']}` on `{row['data']}`" for row in there) + ": " if parts else ""
        parts.append(f"{named}{machine}; {versions}; {there[-1]['date'][:10]}, {commits}")
    return "; but ".join(parts)


def published_cell(row: Mapping[str, Any], used: set[str]) -> str:
    """The figures beside a row: ``Chung 2014: **LSTM 8.67**†; ...``; the marks it needs are added to ``used``."""

    papers: dict[str, list[str]] = {}

    def figure(f: published.Figure) -> str:
        names = [
            *(["recalled"] if f.tag == "M" else []),
            *([f.average] if f.average in MARKS else []),
            *([f.kind] if f.kind in MARKS else []),
            *(["unknown"] if published.PAPERS[f.paper].average is None else []),
        ]
        used.update(names)
        text = f.text if f.quoted_by and papers.get(f.paper) else f"{f.model} {f.text}"  # after the original
        text += f" as quoted in {f.quoted_by}" if f.quoted_by else ""
        if row[f.average] is not None and row[f.average] < f.value:
            text = f"**{text}**"
        return text + "".join(MARKS[name][0] for name in names)

    for f in published.beside(row["model"], row["data"]):  # a quotation comes after the original
        papers.setdefault(f.paper, []).append(figure(f))
    return "; ".join(f"{SHORT.get(paper, paper)}: {', '.join(figures)}" for paper, figures in papers.items())


def say_papers(rows: Iterable[dict[str, Any]]) -> None:
    """Print, per data set, all that was published and ours among it, by value: the best stands last."""
    from tinydl.cli._output import say, say_table

    for data, group in groupby(rows, key=lambda row: row["data"]):
        lines: list[tuple[float, list[object]]] = []
        for row in group:
            who = f"ours, {len(row['seeds'])} seed{'s' if len(row['seeds']) > 1 else ''}"
            cells = [nats(row[average]) for average in AVERAGES]
            figures = [*cells, spread(row), row["kind"], trained(row), f"{row['params']:,}"]
            lines.append((row["nll_per_frame"], [f"> {row['model']}", *figures, who]))
        for f in published.on(data):
            cells = [f.text if f.average == average else "" for average in AVERAGES]
            lines.append((f.value, [f"  {f.model}", *cells, "", f.kind, "", "", f"{f.origin}: {f.words}"]))
        unit = "image" if data == "binarized-mnist" else "frame"
        say(f"{data}: test nats per {unit}; least and greatest of the seeds; lower is better")
        columns = ["  model", *AVERAGES.values(), "spread", "kind", "trained", "parameters", "from"]
        say_table(columns, [cells for _, cells in sorted(lines, key=lambda line: -line[0])])
        say()


# ------------------------------------------------------------------------------------------------------------ the page


def between(text: str, name: str = "benchmarks") -> tuple[str, str, str]:
    """A page cut at the two markers of a table: (before, table, after)."""
    begin, end = BEGIN.format(name), END.format(name)
    before, _, rest = text.partition(begin)
    inside, _, after = rest.partition(end)
    return before + begin, inside.strip(), end + after


def update(page: Path, folder: Path = RESULTS) -> None:
    """Write the tables into a page, each between its markers; a page without markers, or none, stays as it is."""
    if not page.exists():
        return
    text = old = page.read_text(encoding="utf-8")
    for name, made in (("benchmarks", table), ("papers", papers_table)):
        if BEGIN.format(name) in text:
            before, _, after = between(text, name)
            text = f"{before}\n\n{made(folder)}\n\n{after}"
    if text != old:
        page.write_text(text, encoding="utf-8")
