"""The class behind the product, with a network of random weights: what it shows depends on every pixel."""

import xml.etree.ElementTree as ET
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from pcfh import __version__
from pcfh.errors import UserError
from pcfh.files import sha256_of
from pcfh.geometry.align import align_image, crop_of, similarity, transform_points
from pcfh.hallucinate import Hallucinator, NoFaceError
from pcfh.images import grey, read_image, write_png
from pcfh.landmarks.base import Face
from pcfh.landmarks.given import read_landmarks
from pcfh.methods.cyclegan.cyclegan_trainer import ResidualGenerator
from pcfh.methods.files import save_generator
from pcfh.methods.pcfh.generator import Generator
from pcfh.methods.pix2pix.pix2pix_trainer import UNetGenerator

SIZE = 64


class Finder:
    """A backend that finds the faces it was told."""

    name = "fake"

    def __init__(self, *faces: Face) -> None:
        self.faces, self.seen = list(faces), []

    def detect(self, image):
        self.seen.append(image)
        return self.faces


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Generator(size=SIZE, width=4, blocks=1, local_blocks=1).eval().requires_grad_(False)


@pytest.fixture
def hallucinator(network):
    return Hallucinator(network, about={}, backend=Finder())


@pytest.fixture(scope="module")
def photographs(drawn_database):
    """Three NIR photographs and their landmarks."""
    points = read_landmarks(drawn_database / "landmarks68.csv")
    names = [f"s1/NIR/0000{person}/00{person}" for person in (1, 2, 3)]
    return [(read_image(drawn_database / f"{name}.png"), points[name.lower()]) for name in names]


def reference(network, crop, landmarks):
    """The network's own output for one crop, as 8-bit values before rounding."""
    nir = torch.tensor(crop, dtype=torch.float32).movedim(-1, 0)[None] / 127.5 - 1
    with torch.no_grad():
        vis = network(nir, torch.tensor(landmarks, dtype=torch.float32)[None])
    return ((vis[0].movedim(0, -1) + 1) * 127.5).numpy()


def grey_distance(a, b):
    return np.abs(a.astype(float) - b.astype(float)).max()


def test_crops_are_the_networks_own_output_in_grey_levels(hallucinator, network, photographs):
    face = hallucinator.align(*photographs[0])
    image = hallucinator.translate_batch(face.crop[None], face.landmarks[None])[0]
    assert image.dtype == np.uint8
    assert grey_distance(image, reference(network, face.crop, face.landmarks)) <= 0.501


def test_a_photograph_is_aligned_as_in_preparation(hallucinator, photographs):
    image, points = photographs[0]
    matrix = similarity(points, crop_of(SIZE))
    face = hallucinator.align(image, points)
    np.testing.assert_array_equal(face.crop[..., :1], align_image(grey(image), matrix, SIZE))
    np.testing.assert_allclose(face.landmarks, transform_points(matrix, points))


def test_a_photograph_and_its_aligned_crop_give_the_same_result(hallucinator, photographs):
    image, points = photographs[1]
    face = hallucinator.align(image, points)
    again = hallucinator.as_aligned(face.crop, face.landmarks)
    from_crop = hallucinator.translate_batch(again.crop[None], again.landmarks[None])[0]
    np.testing.assert_array_equal(hallucinator(image, points), from_crop)


def test_colour_is_reduced_to_its_luma(hallucinator, photographs, drawn_database):
    colour = read_image(drawn_database / "s1/VIS/00001/001.png")
    luma = np.repeat(np.asarray(Image.fromarray(colour).convert("L"))[..., None], 3, axis=2)
    points = photographs[0][1]
    assert np.ptp(colour, axis=-1).max() > 20
    np.testing.assert_array_equal(hallucinator(colour, points), hallucinator(luma, points))


def test_an_aligned_crop_in_colour_is_reduced_to_its_luma(hallucinator, photographs):
    points = hallucinator.align(*photographs[0]).landmarks
    red = np.zeros((SIZE, SIZE, 3), np.uint8)
    red[..., 0] = 255
    assert np.unique(hallucinator.as_aligned(red, points).crop).tolist() == [76]


def test_a_batch_of_three_equals_three_single_ones(hallucinator, photographs):
    faces = [hallucinator.align(*photograph) for photograph in photographs]
    batch = hallucinator.translate_batch(
        np.stack([f.crop for f in faces]), np.stack([f.landmarks for f in faces])
    )
    assert batch.shape == (3, SIZE, SIZE, 3)
    for image, photograph in zip(batch, photographs, strict=True):
        assert grey_distance(image, hallucinator(*photograph)) <= 1


def test_single_precision_landmarks_serve_as_well(hallucinator, photographs):
    image, points = photographs[0]
    assert grey_distance(hallucinator(image, points.astype(np.float32)), hallucinator(image, points)) <= 1


def test_arrays_that_cannot_be_written_to_or_run_backwards_are_fine(hallucinator, photographs):
    face = hallucinator.align(*photographs[0])
    crops, points = face.crop[None][:, ::-1], face.landmarks[None]
    points.flags.writeable = False
    expected = hallucinator.translate_batch(np.ascontiguousarray(crops), points.copy())
    assert grey_distance(hallucinator.translate_batch(crops, points), expected) <= 1


def test_without_landmarks_the_largest_face_is_found(network, photographs):
    (image, points), other = photographs[0], photographs[1][1]
    small = Face(box=(0.0, 0.0, 10.0, 10.0), score=0.99, landmarks=other)
    large = Face(box=(0.0, 0.0, 30.0, 20.0), score=0.6, landmarks=points)
    finder = Finder(small, large)
    found = Hallucinator(network, about={}, backend=finder)
    np.testing.assert_array_equal(found(image), found(image, points))
    assert len(finder.seen) == 1 and np.array_equal(finder.seen[0], image)


def test_without_a_face_it_says_what_to_do(hallucinator, photographs):
    with pytest.raises(NoFaceError, match="no face was found; give its landmarks"):
        hallucinator(photographs[0][0])


def test_without_a_face_an_aligned_crop_is_refused_too(hallucinator):
    with pytest.raises(NoFaceError, match="no face was found"):
        hallucinator.as_aligned(np.zeros((SIZE, SIZE, 3), np.uint8))


def test_an_aligned_crop_of_another_size_is_refused(hallucinator, photographs):
    with pytest.raises(UserError, match=r"aligned crop of 64 x 64 pixels, got 50 x 96; leave --aligned out"):
        hallucinator.as_aligned(photographs[0][0][:, :50], photographs[0][1])


@pytest.mark.parametrize(
    "change",
    [
        lambda points: points + 500,
        lambda points: points - 200,
        lambda points: points * np.nan,
        lambda points: (points - points.mean(0)) * 1e6 + 48,
    ],
    ids=["right of it", "left of it", "not finite", "too large"],
)
@pytest.mark.parametrize("method", ["align", "as_aligned"])
def test_landmarks_of_another_picture_are_refused(hallucinator, photographs, change, method):
    image, points = photographs[0]
    with pytest.raises(UserError, match=r"do not lie inside the picture of 64 x 64 pixels|not finite"):
        getattr(hallucinator, method)(image[:SIZE, :SIZE], change(points))


def test_landmarks_that_are_no_face_are_refused(hallucinator, photographs):
    with pytest.raises(UserError, match="eye centres are 0"):
        hallucinator(photographs[0][0], np.full((68, 2), 40.0))


def test_a_jaw_outside_of_the_picture_is_fine(hallucinator, photographs):
    image, points = photographs[0]
    cut = points.copy()
    cut[:17] += 1000
    np.testing.assert_array_equal(hallucinator(image, cut), hallucinator(image, points))


@pytest.fixture
def generator_file(network, tmp_path):
    save_generator(tmp_path / "generator.safetensors", network, {"step": 7})
    return tmp_path / "generator.safetensors"


def test_a_generator_file_gives_the_same_faces(hallucinator, generator_file, photographs):
    opened = Hallucinator.from_file(str(generator_file), device="cpu")
    assert opened.size == SIZE
    np.testing.assert_array_equal(opened(*photographs[0]), hallucinator(*photographs[0]))


def test_a_generator_file_says_what_it_is(generator_file):
    about = Hallucinator.from_file(generator_file, device="cpu").about
    assert about == {"version": __version__, "step": 7, "model": sha256_of(generator_file)}


@pytest.mark.parametrize("kind", ["pix2pix", "cyclegan"])
def test_a_baselines_generator_is_opened_in_the_same_way(kind, photographs, tmp_path):
    torch.manual_seed(0)
    made = {
        "pix2pix": UNetGenerator(size=SIZE, width=4),
        "cyclegan": ResidualGenerator(size=SIZE, width=4, blocks=1),
    }[kind].eval()
    save_generator(tmp_path / "generator.safetensors", made, {})
    opened = Hallucinator.from_file(tmp_path / "generator.safetensors", device="cpu")
    face = opened.align(*photographs[0])
    image = opened.translate_batch(face.crop[None], face.landmarks[None])[0]
    assert opened.size == SIZE
    assert grey_distance(image, reference(made, face.crop, face.landmarks)) <= 0.501


@pytest.mark.parametrize("device", ["banana", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(generator_file, device):
    with pytest.raises(UserError, match=f"device '{device}' is not usable here; expected auto, cpu"):
        Hallucinator.from_file(generator_file, device=device)


@pytest.fixture
def marked(generator_file, photographs, tmp_path):
    opened = Hallucinator.from_file(generator_file, device="cpu")
    write_png(tmp_path / "vis.png", opened(*photographs[0]), opened.provenance())
    return tmp_path / "vis.png"


def test_a_written_face_says_that_it_is_synthetic_and_by_which_model(marked, generator_file):
    with Image.open(marked) as image:
        text = image.text
    assert text["Synthetic"] == "true"
    assert text["Software"] == f"pcfh {__version__}"
    assert text["Model"] == sha256_of(generator_file)
    assert "no photograph" in text["Description"]


def test_a_written_face_carries_the_press_councils_mark_in_its_xmp(marked):
    with Image.open(marked) as image:
        packet = image.info["xmp"]
    description = ET.fromstring(packet.decode()).find(".//{*}Description")
    assert description is not None
    mark = description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert mark == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_the_xmp_lies_where_readers_look_for_it(marked):
    assert b"iTXtXML:com.adobe.xmp\0\0\0\0\0<?xpacket begin=" in marked.read_bytes()


def test_faces_that_are_not_finite_are_refused(photographs, network):
    broken = deepcopy(network)
    next(iter(broken.parameters())).data.fill_(float("inf"))
    with pytest.raises(UserError, match="gives numbers that are not finite"):
        Hallucinator(broken, about={}, backend=Finder())(*photographs[0])
