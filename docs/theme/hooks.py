"""What the pages need to be read as a site as well as in the repository.

Links to files beside ``docs`` lead to copies of these files in the site, under ``repository/``; the page of
the weights shows the model card that lies with the weights.
"""

import re
from functools import partial
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from properdocs.config.defaults import ProperDocsConfig
from properdocs.structure.files import File, Files
from properdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
CARD = PurePosixPath("pcfh/weights/README.md")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)")  # the path of a relative link


def on_page_markdown(markdown: str, *, page: Page, config: ProperDocsConfig, files: Files) -> str:
    """Makes the links of a page those of the site."""
    source = PurePosixPath("docs", page.file.src_uri)
    if source.name == "weights.md":
        source, markdown = CARD, (ROOT / CARD).read_text(encoding="utf-8")
    place = partial(_in_site, folder=source.parent, page=page.file.src_uri, config=config, files=files)
    return LINK.sub(lambda link: place(link[1]), markdown)


def _in_site(link: str, *, folder: PurePosixPath, page: str, config: ProperDocsConfig, files: Files) -> str:
    """The link from a page to what a path relative to a folder of the repository names."""
    path = PurePosixPath(normpath(folder / link))
    if path == CARD:
        target = "weights.md"
    elif path.parts[0] == "docs":
        target = path.relative_to("docs").as_posix()
    else:
        target = _copied(path, config, files)
    return relpath(target, PurePosixPath(page).parent)


def _copied(path: PurePosixPath, config: ProperDocsConfig, files: Files) -> str:
    """Puts a file of the repository into the site, as text that browsers show."""
    target = f"repository/{path}.txt"
    if (ROOT / path).is_file() and target not in files.src_uris:
        files.append(File.generated(config, target, abs_src_path=str(ROOT / path)))
    return target
