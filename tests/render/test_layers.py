"""What the renderer takes from the toolkit, and who takes the renderer."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = {
    *("pcfh.errors", "pcfh.extras", "pcfh.files", "pcfh.journal", "pcfh.parallel", "pcfh.provenance"),
    *("pcfh.databases.records", "pcfh.databases.rendered", "pcfh.landmarks.given"),
    *("pcfh.nir_cameras", "pcfh.shards"),
}


def imports(package):
    """Modules of ours that each file of a package names."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pcfh"):
                yield path.relative_to(ROOT).as_posix(), node.module


def test_the_renderer_takes_files_records_and_processes_from_pcfh_and_nothing_else():
    taken = {module for _, module in imports("pcfh_render") if module.split(".")[0] == "pcfh"}
    assert taken <= NEEDED


def test_nothing_of_pcfh_takes_the_renderer_but_its_command():
    takers = {file for file, module in imports("pcfh") if module.startswith("pcfh_render")}
    assert takers == {"pcfh/cli/render.py"}
