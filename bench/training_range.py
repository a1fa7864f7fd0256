"""Measures the range of training faces: ``python -m bench training_range [DATABASE] [FILE]``.

The faces are the NIR captures of a rendered database with its exact landmarks, the sample of the repository
if none is named. The file is the one that the program reads.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pcfh.databases.layouts import open_database
from pcfh.databases.records import LANDMARKS_FILE
from pcfh.databases.rendered import SAMPLE
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.images import read_image
from pcfh.landmarks.given import landmark_key, read_landmarks
from pcfh.preparation.face_reader import crop_of_photograph
from pcfh.preparation.training_range import PERCENTILES, face_measures, ranges_of
from pcfh.shipped import WEIGHTS

_SIZE = 128


def measured(home: Path) -> dict[str, object]:
    """The content of the file."""
    points = read_landmarks(home / LANDMARKS_FILE)
    records = [record for record in open_database(home).records if record.modality == "NIR"]
    faces = []
    for record in records:
        landmarks = points[landmark_key(record.path)]
        try:
            crop, _ = crop_of_photograph(read_image(home / record.path), landmarks, _SIZE, nir=True)
        except UserError:  # a face that reaches out of its picture; no training has seen it
            continue
        faces.append(face_measures(crop, landmarks))
    recipe = json.loads((home / "recipe.json").read_bytes())
    return {"recipe": recipe, "faces": len(faces), "percentiles": PERCENTILES, "ranges": ranges_of(faces)}


def main(arguments: Sequence[str]) -> int:
    """Measures and writes."""
    home = Path(arguments[0]) if arguments else SAMPLE
    file = Path(arguments[1]) if len(arguments) > 1 else WEIGHTS / "training_range.json"
    write_atomically(file, json.dumps(measured(home), indent=1).encode() + b"\n")
    print(f"Written to {file}")
    return 0
