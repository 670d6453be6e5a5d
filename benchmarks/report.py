"""The table of the README, made from the rows written down, so that no figure there is typed by hand."""

from __future__ import annotations

from pathlib import Path

from tinydl.benchmarks.harness import RESULTS, history

HEADLINES = ("import_time", "chain", "mlp_step", "lstm_step", "jsb")
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def table(folder: Path = RESULTS) -> str:
    """A Markdown table of the newest row of each figure; the machine and versions of the newest of all below it."""
    lines = [
        "| benchmark | tinydl | rival | rival's figure | rival / tinydl | date, commit |",
        "|---|---|---|---|---|---|",
    ]
    last: dict[str, str] = {}
    for name in HEADLINES:
        newest = {(row["case"], row["rival_name"]): row for row in history(name, folder)}
        for row in newest.values():
            rival = f"{row['rival']} {row['unit']}" if row["rival"] else ""
            what = f"`{name}` {row['case']}".strip()
            lines.append(
                f"| {what} | {row['ours']} {row['unit']} | {row['rival_name']} | {rival} | {row['ratio']} "
                f"| {row['date'][:10]}, {row['commit']} |"
            )
            last = max(last, row, key=lambda r: r.get("date", ""))
    if not last:
        return "Nothing is measured yet: `python -m tinydl.benchmarks all`."
    return "\n".join([*lines, "", f"Medians; {last['machine']}; {last['versions']}."])


def between(text: str) -> tuple[str, str, str]:
    """A page cut at the two markers: (before, table, after)."""
    before, _, rest = text.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before + BEGIN, inside.strip(), END + after


def update(page: Path, folder: Path = RESULTS) -> None:
    """Write the table into a page, between its markers; a page without them, or none, stays as it is."""
    if not page.exists() or BEGIN not in page.read_text(encoding="utf-8"):
        return
    before, _, after = between(page.read_text(encoding="utf-8"))
    page.write_text(f"{before}\n\n{table(folder)}\n\n{after}", encoding="utf-8")
