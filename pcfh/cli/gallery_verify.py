"""The command that compares two faces."""

from contextlib import nullcontext
from pathlib import Path

from pcfh.cli.gallery_options import Networks, about_threshold, decision, open_gallery
from pcfh.errors import UserError
from pcfh.gallery.entries import Kind
from pcfh.images import read_image

_DEFAULT = Networks()


def gallery_verify(
    probe: Path,
    reference: str,
    *,
    gallery: str | None = None,
    far: float | None = None,
    score: Kind = "fused",
    visible: bool = False,
    networks: Networks = _DEFAULT,
    collection: str = "faces",
) -> int:
    """Compare a near-infrared face with a visible-light one, or with a person enrolled.

    Args:
        probe: near-infrared photograph.
        reference: visible-light photograph; with --gallery, a person's name if there is no such file.
        gallery: where that person is enrolled, and whose threshold decides.
        far: false-accept rate of the threshold, found before by pcfh gallery calibrate.
        score: that decides.
        visible: the probe is a visible-light photograph, too.
        networks: that compute the features.
        collection: name of the gallery in its store.
    """
    picture = Path(reference) if Path(reference).is_file() else None
    if gallery is None and far is not None:
        raise UserError("--far: the threshold comes from a gallery; give --gallery, too")
    if gallery is None and picture is None:
        raise UserError(f"{reference}: no such file; if it is a person enrolled, give --gallery, too")
    by: Kind = "original" if visible else score
    with nullcontext() if gallery is None else open_gallery(gallery, collection) as opened:
        calibration = opened.calibration(far) if opened and far is not None else None
        reader = networks.reader()
        key = reader.recognizer.key
        if opened:
            opened.require(key, reader.recognizer.name)
        face = reader.probe(read_image(probe), visible=visible)
        if picture is not None:
            feature, _ = reader.reference(read_image(picture))
            scores = {kind: float(values[0]) for kind, values in face.against(feature[None]).items()}
        else:
            assert opened is not None
            scores = dict(opened.verify(face, reference, key, by=by).scores)
    for kind, value in scores.items():
        print(f"{kind:10} {value:.4f} {decision(value, calibration) if kind == by else ''}".rstrip())
    if calibration is not None:
        print(about_threshold(calibration))
    return 0
