"""The folders import downwards only, in the order of CONTRIBUTING.md."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
ORDER = (
    *(
        "cli",
        "web",
        "recipes",
        "work on files",
        "gallery",
        "evaluation",
        "hallucinate",
        "methods",
        "recognisers",
        "training",
    ),
    *("preparation", "databases", "landmarks", "geometry", "small modules"),
)
ON_FILES = {"api_faces", "api_databases", "demo", "doctor", "export", "feature_files", "translate"}


def layer(module: str) -> str:
    """Of a module of the package, by its name below it."""
    first = module.partition(".")[0]
    return "work on files" if first in ON_FILES else first if first in ORDER else "small modules"


def imports(path: Path) -> set[str]:
    """Modules of a package's own that a file imports, by their names below it; of pcfh alone."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = (node.module or "" for node in nodes if isinstance(node, ast.ImportFrom))
    return {name.removeprefix("pcfh.") for name in names if name.startswith("pcfh.")}


def test_no_folder_imports_one_above_it():
    files = [
        path for path in (ROOT / "pcfh").rglob("*.py") if path.parent != ROOT / "pcfh" or path.stem[0] != "_"
    ]
    upwards = [
        (str(path.relative_to(ROOT)), name)
        for path in files
        for name in imports(path)
        if ORDER.index(layer(name))
        < ORDER.index(layer(".".join(path.relative_to(ROOT / "pcfh").with_suffix("").parts)))
    ]
    assert upwards == []


def test_only_one_command_knows_the_renderer():
    files = [
        path for path in (ROOT / "pcfh").rglob("*.py") if "pcfh_render" in path.read_text(encoding="utf-8")
    ]
    assert {path.relative_to(ROOT / "pcfh").as_posix() for path in files} <= {"cli/render.py"}
