"""The command that says who is enrolled."""

from typing import Annotated

from cyclopts import Parameter
from tabulate import tabulate

from pcfh.cli.gallery_options import open_gallery

_TIME = "%Y-%m-%d %H:%M"


def gallery_list(
    gallery: str,
    *,
    person: str | None = None,
    removed: Annotated[bool, Parameter(negative="")] = False,
    collection: str = "faces",
) -> int:
    """List who is enrolled, the photographs of one person, or who was removed and by whom; times are UTC.

    Args:
        gallery: path of an embedded gallery, or address of a Milvus server.
        person: whose photographs to list.
        removed: list who was removed.
        collection: name of the gallery in its store.
    """
    with open_gallery(gallery, collection) as opened:
        if removed:
            rows: list[tuple[str | int, ...]] = [
                (one.person, one.faces, f"{one.enrolled:{_TIME}}", f"{one.removed:{_TIME}}", one.by)
                for one in opened.removals()
            ]
            headers = ["person", "photographs", "enrolled", "removed", "by"]
        elif person is not None:
            rows = [
                (one.source, f"{one.quality:.2f}", f"{one.enrolled:{_TIME}}", one.id)
                for one in opened.entries(person)
            ]
            headers = ["photograph", "quality", "enrolled", "id"]
        else:
            rows = [(one.name, one.faces, f"{one.enrolled:{_TIME}}") for one in opened.people()]
            headers = ["person", "photographs", "enrolled"]
        print(tabulate(rows, headers=headers, disable_numparse=True))
        print(f"{len(rows):,} lines; {len(opened):,} faces by the recogniser {opened.recognizer}")
    return 0
