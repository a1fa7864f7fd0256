"""The documents: links, pictures, commands and messages in them are real, and the site builds."""

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.step import PARTS
from pcfh import __version__
from pcfh.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("pcfh/weights/*.md"))
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|^)((?:    .*\n|\n(?=    ))+)", re.MULTILINE)
# What stands before the command itself: a loop, variables, a launcher, a folder.
BEFORE = r"\s*(?:do\s+)?(?:[A-Z_]+=\S+\s+)*(?:torchrun\s.*?-m\s+|python3?\s+-m\s+)?(?:\S*/)?"


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page):
    """A page without its blocks of code and its code in lines, in which brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", INDENTED.sub("", FENCE.sub("", text_of(page))))


def shell_lines(text):
    """Lines of the blocks that a reader would type; a backslash joins two."""
    fenced = [body for language, body in FENCE.findall(text) if language in {"", "sh", "bash", "console"}]
    blocks = [*fenced, *INDENTED.findall(FENCE.sub("", text))]
    return "".join(blocks).replace("\\\n", " ").splitlines()


def pcfh_commands(text):
    """Arguments of each ``pcfh`` that is called; dots that stand for more are left out."""
    lines = (re.sub(r"\s>\s*\S+", "", line) for line in shell_lines(text))
    pieces = (piece for line in lines for piece in re.split(r";|&&?|\|", line))
    calls = (re.match(rf"{BEFORE}pcfh\s+(.+)", piece) for piece in pieces)
    tokens = (shlex.split(re.sub(r"\$\w+", "0", call[1]), comments=True) for call in calls if call)
    return [[token for token in found if token != "..."] for found in tokens]


def links(page):
    """Relative links and pictures of a page: path and anchor."""
    found = re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", prose(page))
    return [tuple(link.partition("#")[::2]) for link in found if not re.match(r"[a-z]+:", link)]


def anchors(path):
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_of_a_page_exist(page):
    folder = (ROOT / page).parent
    assert [path for path, _ in links(page) if not (folder / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_anchors_that_a_page_names_exist(page):
    here = ROOT / page
    wanted = [(here.parent / path if path else here, anchor) for path, anchor in links(page) if anchor]
    assert [(path.name, anchor) for path, anchor in wanted if anchor not in anchors(path)] == []


def test_every_picture_of_the_docs_is_shown_or_linked_somewhere():
    named = {(ROOT / page).parent / path for page in PAGES for path, _ in links(page)}
    pictures = {path.resolve() for path in (ROOT / "docs" / "pictures").iterdir()}
    assert pictures - {path.resolve() for path in named} == set()


@pytest.mark.parametrize("page", PAGES)
def test_the_command_line_takes_the_commands_of_a_page(page):
    for tokens in pcfh_commands(text_of(page)):
        app.parse_args(tokens, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    pcfh train a b --set x.y=1 ...  # trains", ["train", "a", "b", "--set", "x.y=1"]),
        ("    for s in 0 1; do pcfh demo --device cuda:$s & done; wait", ["demo", "--device", "cuda:0"]),
        ("    X=1 torchrun --nproc-per-node 4 -m pcfh train a \\\n        b", ["train", "a", "b"]),
        ("```\n.venv/bin/pcfh doctor\n```", ["doctor"]),
    ],
)
def test_a_command_is_found_in(line, expected):
    assert pcfh_commands(f"Text.\n\n{line}\n") == [expected]


def test_no_command_is_found_in_messages_and_prose():
    assert pcfh_commands("Text, pcfh train a.\n\n```text\npcfh: run pcfh prepare first\n```\n") == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_named_in_the_text_of_a_page_exist(page):
    named = set(re.findall(r"`pcfh ([a-z][a-z-]+)", text_of(page)))
    assert named <= set(app)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_gives_translate_a_model_in_the_place_of_pictures(page):
    calls = [tokens for tokens in pcfh_commands(text_of(page)) if tokens[0] == "translate"]
    sources = [path for tokens in calls for path in app.parse_args(tokens)[1].arguments["sources"]]
    assert [path.name for path in sources if path.suffix == ".safetensors"] == []


@pytest.mark.parametrize("page", PAGES)
def test_programs_of_bench_that_a_page_names_exist(page):
    assert set(re.findall(r"python -m bench[ .](\w+)", text_of(page))) <= set(bench.PROGRAMS)


def test_the_parts_that_bench_times_are_functions_of_the_step():
    assert [name for module, name in PARTS if not callable(getattr(module, name, None))] == []


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_that_a_page_names_exist(page):
    made = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    calls = (re.match(r"\s*make (\w+)", line) for line in shell_lines(text_of(page)))
    assert {call[1] for call in calls if call} <= made


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_folder_of_one_machine(page):
    assert re.findall(r"(?<![\w.])/(?:work|root|tmp|home|Users)/|\bshared/", text_of(page)) == []


def names_linked_to_code(page):
    """Names that a page links to a Python file, as code: `name` and path."""
    return re.findall(r"\[`(\w+)`\]\(\.\./([\w/]+\.py)\)", text_of(page))


def test_names_that_the_paper_map_links_to_stand_in_their_files():
    links = names_linked_to_code("docs/paper_map.md")
    assert len(links) > 20
    missing = [
        (name, path)
        for name, path in links
        if not re.search(rf"^(?:def|class) {name}\b", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_tables_of_the_pages_are_those_of_the_result_files():
    command = [sys.executable, "docs/results/make.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=lambda path: path.stem
)
def test_a_result_file_names_how_its_numbers_were_made(path):
    file = json.loads(path.read_text(encoding="utf-8"))
    assert set(file["source"]) >= {"status", "data", "commands", "commit", "seeds", "machine"}
    assert all(file["source"].values())
    assert len(file["records"]) > 0
    for tokens in pcfh_commands("\n" + "".join(f"    {command}\n" for command in file["source"]["commands"])):
        app.parse_args(tokens, exit_on_error=False, print_error=False)


def literals():
    """Every piece of fixed text in the package; what a message inserts parts two pieces."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "pcfh").rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return "\0".join(n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))


def test_messages_quoted_by_troubleshooting_stand_in_the_program():
    blocks = [
        body for language, body in FENCE.findall(text_of("docs/troubleshooting.md")) if language == "text"
    ]
    pieces = [piece.strip() for body in blocks for piece in re.split(r"…|\n", body)]
    known = literals()
    assert len(pieces) > 50
    assert [piece for piece in pieces if piece not in known] == []


def test_the_citation_file_is_of_this_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_page_on_citing_is_of_this_version():
    assert f"version = {{{__version__}}}" in text_of("docs/cite.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning fails the build."""
    pytest.importorskip("properdocs", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page(site):
    pages = {Path(page).with_suffix(".html").name for page in PAGES if page.startswith("docs/")}
    assert pages <= {path.name for path in site.glob("*.html")}


def test_the_site_loads_nothing_from_elsewhere(site):
    outside = r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//"
    assert [path.name for path in site.rglob("*.html") if re.search(outside, path.read_text())] == []


@pytest.mark.parametrize(
    "term",
    [
        "confidence interval",
        "cosine similarity",
        "embedding",
        "resume",
        "fine-tune",
        "mixed precision",
        "multi-gpu",
        "configuration file",
        "augmentation",
        "training history",
    ],
)
def test_a_search_of_the_site_finds_the_terms_of_the_field(site, term):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert [entry["location"] for entry in index["docs"] if term in " ".join(entry["text"].lower().split())]


def test_the_site_shows_the_card_of_the_weights(site):
    card = text_of("pcfh/weights/README.md")
    *_, last = re.findall(r"^#+ ([\w ]+)", card, re.MULTILINE)
    assert last in (site / "weights.html").read_text(encoding="utf-8")


def test_links_to_the_program_lead_to_copies_in_the_site(site):
    assert 'href="repository/examples/onnx_faces.py.txt"' in (site / "export.html").read_text()
    copy = site / "repository" / "examples" / "onnx_faces.py.txt"
    assert copy.read_bytes() == (ROOT / "examples" / "onnx_faces.py").read_bytes()


def test_tables_and_lists_of_the_site_are_no_running_text(site):
    for path in site.glob("*.html"):
        text = re.sub(r"<(pre|script)\b.*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert re.findall(r"(?:<p>|\n)(?:[-|*] |\d+\. |```).*", text) == [], path.name
