"""Template of a database of your own.

From the folder of this file:

    pcfh inspect DIR --layout my_database:LAYOUT
    pcfh prepare OUT --database DIR --layout my_database:LAYOUT --option people_tested=20

DIR holds one folder per person with pictures such as anna/nir_1.png and anna/vis_1.png. As a file of
pcfh/databases/ it would be found by itself, and --layout be told by what lies on disk.
"""

import re
from pathlib import Path

from pcfh.databases.folders import draw, pictures_below
from pcfh.databases.layouts import Layout
from pcfh.databases.records import Database, Protocol, Record, of_modality, require_sound, subjects

NAME = re.compile(r"([^/]+)/(nir|vis)_\d+\.\w+", re.IGNORECASE)


def read(root: Path, *, seed: int = 0, people_tested: int = 2) -> Database:
    """Reads the database; its keyword arguments are options of the command line."""
    names, notes = pictures_below(root)  # the notes say what is left out
    matches = filter(None, map(NAME.fullmatch, names))
    records = tuple(
        Record(subject=m[1], modality="NIR" if m[2].lower() == "nir" else "VIS", path=m[0]) for m in matches
    )
    tested = set(draw(subjects(records), people_tested, f"{seed} test"))
    test = [record for record in records if record.subject in tested]
    protocol = Protocol(
        name="1",
        train=tuple(record for record in records if record.subject not in tested),
        gallery=of_modality(test, "VIS"),
        probe=of_modality(test, "NIR"),
    )
    require_sound(protocol)  # nobody in training and test, galleries of VIS and probes of NIR captures
    return Database(root=root, records=records, protocols={"1": protocol}, notes=notes)


LAYOUT = Layout(
    name="my-database",
    title="My database",
    sign=r"nir_\d+\.png",  # of a path that lies in no other database
    example="anna/nir_1.png",
    read=read,
)
