"""Writes the tables of the documents from the result files beside this program.

    python docs/results/make.py            # writes the tables anew, in place
    python docs/results/make.py --check    # changes nothing; the exit code is 1 if a page would change

Each ``*.json`` here holds records and their source: the commands, commit, seeds and machine. ``tables.toml``
says which records and columns make a table. A page takes a table between two lines:

    <!-- table: NAME -->
    <!-- end of table -->

A new result is a new record (or file) and, for a new table, a new section of ``tables.toml``.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = ("docs/results.md", "docs/log.md", "docs/web.md", "README.md")
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Writes or checks all pages; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, say what would change")
    options = parser.parse_args(arguments)
    pages = {ROOT / page: with_tables((ROOT / page).read_text(encoding="utf-8")) for page in PAGES}
    stale = [page for page, text in pages.items() if text != page.read_text(encoding="utf-8")]
    for page in stale:
        print(("stale: " if options.check else "written: ") + page.relative_to(ROOT).as_posix())
        if not options.check:
            page.write_text(pages[page], encoding="utf-8")
    return int(options.check and bool(stale))


def with_tables(page: str) -> str:
    """The text of a page with each of its tables made anew."""
    tables = tomllib.loads((HERE / "tables.toml").read_text(encoding="utf-8"))
    return BLOCK.sub(lambda block: f"{block[1]}{table(tables[block[2]])}\n{block[3]}", page)


def table(view: Mapping[str, Any]) -> str:
    """One table in Markdown, below it where its numbers come from."""
    files = {name: json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in view["from"]}
    records = chosen([record for file in files.values() for record in file["records"]], view.get("rows"))
    columns = [column.split("|") for column in view["columns"]]
    rows = [[cell(record.get(key), form) for _, key, form in columns] for record in records]
    align = ["right" if form else "left" for _, _, form in columns]
    titles = [title for title, _, _ in columns]
    parts = [tabulate(rows, titles, tablefmt="pipe", colalign=align, disable_numparse=True)]
    if view.get("source", True):
        parts += [source_of(name, file["source"]) for name, file in files.items()]
    return "\n\n".join(parts)


def chosen(records: Sequence[Mapping[str, Any]], names: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """The records of the methods named, in that order, under the names that the table shows; else all."""
    if names is None:
        return [dict(record) for record in records]
    found = {record["method"]: record for record in records}
    return [{**found[method], "method": shown} for method, shown in names.items()]


def cell(value: Any, form: str) -> str:
    """A value as text: a number, mean ± deviation, an estimate with its interval, words, or nothing."""
    match value:
        case None:
            return "–"
        case {"mean": mean, "sd": deviation}:
            return f"{mean:{form}} ± {deviation:{form.removeprefix('+')}}"
        case {"value": estimate, "low": low, "high": high}:
            return f"{estimate:{form}} [{low:{form}}, {high:{form}}]"
        case str():
            return value
    return f"{value:{form}}"


def source_of(name: str, source: Mapping[str, Any]) -> str:
    """The commands behind a file, and its commit, seeds and machine."""
    seeds = ", ".join(map(str, source["seeds"]))
    facts = f"{source['data']}; commit {source['commit']}; seeds {seeds}; {source['machine']}"
    commands = ", ".join(f"`{command}`" for command in source["commands"])
    return f"[{name}.json](results/{name}.json), {source['status']}: {facts}. Made by {commands}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
