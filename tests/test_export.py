"""Exported files against the networks that they were made of, and the example that uses one."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from pcfh import export as export_module  # noqa: E402
from pcfh.errors import UserError  # noqa: E402
from pcfh.export import export  # noqa: E402
from pcfh.files import sha256_of  # noqa: E402
from pcfh.gallery.photographs import FaceReader  # noqa: E402
from pcfh.hallucinate import Hallucinator  # noqa: E402
from pcfh.images import read_image  # noqa: E402
from pcfh.levels import put_levels_before  # noqa: E402
from pcfh.methods.base import built_in, resolved  # noqa: E402
from pcfh.methods.familiar import put_familiar_before  # noqa: E402
from pcfh.methods.files import save_generator  # noqa: E402
from pcfh.methods.pcfh.generator import Generator, with_detail  # noqa: E402
from pcfh.preparation.training_range import shipped_range  # noqa: E402
from pcfh.recognisers.registry import open_recognizer  # noqa: E402
from pcfh.shipped import shipped  # noqa: E402
from pcfh.weight_files import CHECKPOINT  # noqa: E402

SIZE = 64
SMALL = {
    "pcfh": {"width": 4, "blocks": 1, "local_blocks": 1},
    "pix2pix": {"width": 4},
    "cyclegan": {"width": 4, "blocks": 1},
    "adfl": {"width": 4, "blocks": 1},
    "csh": {"channels": 4},
}


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    """A small generator of each kind with random weights."""
    folder = tmp_path_factory.mktemp("generators")
    torch.manual_seed(0)
    for kind, arguments in SMALL.items():
        network = resolved(built_in()[kind].network)(size=SIZE, **arguments).eval()
        save_generator(folder / f"{kind}.safetensors", network, {"step": 7})
    return folder


@pytest.fixture(scope="module")
def generator(generators):
    return generators / "pcfh.safetensors"


@pytest.fixture(scope="module")
def onnx_file(generator, tmp_path_factory):
    return export(generator, tmp_path_factory.mktemp("onnx") / "generator.onnx").path


def crops(count):
    draws = np.random.default_rng(0)
    grey = draws.integers(0, 256, (count, SIZE, SIZE, 1), np.uint8)
    return np.repeat(grey, 3, 3), draws.uniform(-SIZE / 4, SIZE * 1.25, (count, 68, 2))


def translated(path, images, landmarks):
    """Through onnxruntime, as bytes."""
    nir = images[..., :1].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(127.5) - 1
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (vis,) = session.run(None, {"nir": nir, "landmarks": landmarks.astype(np.float32)})
    return ((vis + 1) * 127.5).round().clip(0, 255).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("count", [1, 5])
def test_an_onnx_file_gives_what_the_hallucinator_gives_for_batches_never_traced(generator, onnx_file, count):
    images, landmarks = crops(count)
    expected = Hallucinator.from_file(generator, device="cpu").translate_batch(images, landmarks)
    found = translated(onnx_file, images, landmarks)
    assert np.abs(found - expected).max() <= 1  # a value may lie between two bytes


def test_parts_are_cut_at_each_faces_own_landmarks(onnx_file):
    images, landmarks = crops(1)
    pair = np.concatenate([landmarks, landmarks[:, ::-1]])
    one, other = translated(onnx_file, np.repeat(images, 2, 0), pair)
    assert np.abs(one - other).max() > 1


def test_the_batch_is_free_and_the_size_is_not(onnx_file):
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {
        "nir": ["batch", 1, SIZE, SIZE],
        "landmarks": ["batch", 68, 2],
        "vis": ["batch", 3, SIZE, SIZE],
    }


def test_an_onnx_file_says_that_its_faces_are_synthetic_and_of_which_model(generator, onnx_file):
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert (told["Synthetic"], told["Model"]) == ("true", sha256_of(generator))
    assert (told["pcfh.kind"], told["pcfh.size"], told["pcfh.opset"]) == ("generator", "64", "18")


def test_an_onnx_file_has_the_opset_that_it_names_and_explains_its_inputs(onnx_file):
    model = onnx.load(onnx_file)
    assert [entry.version for entry in model.opset_import] == [18]
    assert "in [-1, 1]" in model.graph.input[0].doc_string
    onnx.checker.check_model(model)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pix2pix", "cyclegan", "adfl", "csh"])
def test_translators_of_other_methods_export_too(generators, tmp_path, kind):
    written = export(generators / f"{kind}.safetensors", tmp_path / "generator.onnx")
    images, landmarks = crops(3)
    hallucinator = Hallucinator.from_file(generators / f"{kind}.safetensors", device="cpu")
    found = translated(written.path, images, landmarks)
    assert np.abs(found - hallucinator.translate_batch(images, landmarks)).max() <= 1


def test_a_generator_with_all_that_the_shipped_one_has_exports_with_a_free_batch(tmp_path):
    side = 128  # of what its paths see
    network = with_detail(Generator(size=side, width=4, blocks=1, local_blocks=1), 0.5, 2)
    put_levels_before(network)
    put_familiar_before(network, shipped_range())
    file = tmp_path / "detailed.safetensors"
    save_generator(file, network.eval(), {})
    written = export(file, tmp_path / "generator.onnx")
    draws = np.random.default_rng(0)
    images = np.repeat(draws.integers(0, 256, (5, 2 * side, 2 * side, 1), np.uint8), 3, 3)
    images[1:3] = images[1:3] // 4 + 90  # flat, so that each picture asks for another change
    landmarks = draws.uniform(side / 2, 1.5 * side, (5, 68, 2))
    expected = Hallucinator.from_file(file, device="cpu").translate_batch(images, landmarks)
    assert np.abs(translated(written.path, images, landmarks) - expected).max() <= 1


def test_the_generator_of_every_method_is_tested_here():
    assert SMALL.keys() == built_in().keys()


def test_a_pt2_file_gives_the_same_and_says_what_it_is(generator, tmp_path):
    written = export(generator, tmp_path / "generator.pt2")
    told = {"pcfh.json": ""}
    program = torch.export.load(io.BytesIO(written.path.read_bytes()), extra_files=told)
    images, landmarks = crops(3)
    nir = torch.from_numpy(images[..., :1]).permute(0, 3, 1, 2) / 127.5 - 1
    vis = program.module()(nir, torch.from_numpy(landmarks).float())
    expected = Hallucinator.from_file(generator, device="cpu").translate_batch(images, landmarks)
    bytes_of = ((vis + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).numpy()
    assert np.abs(bytes_of - expected).max() <= 1
    assert json.loads(told["pcfh.json"])["Synthetic"] == "true"


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_a_file_that_differs_is_not_written(generator, tmp_path, monkeypatch, difference):
    monkeypatch.setattr(export_module, "converted", lambda *arguments: (b"network", {}, difference))
    with pytest.raises(UserError, match="not written"):
        export(generator, tmp_path / "generator.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_difference_in_one_batch_alone_is_seen(generator):
    network = export_module.open_network(generator)

    def wrong_for_one_face(inputs):
        return (network.module(*inputs) + (0.25 if len(inputs[0]) == 1 else 0),)

    assert export_module.largest_difference(network, wrong_for_one_face) == pytest.approx(0.25, abs=1e-6)


def test_batches_of_one_and_of_several_are_compared_with_landmarks_at_the_corners():
    batches = export_module.generator_batches(SIZE)
    assert sorted(len(nir) for nir, _ in batches) == [1, 2, 4]
    corners = {tuple(point) for _, points in batches for point in points[:, 0].tolist()}
    assert {(0.0, 0.0), (SIZE - 1.0, SIZE - 1.0)} <= corners


def test_an_unknown_ending_is_refused(generator, tmp_path):
    with pytest.raises(UserError, match=r"\.onnx or \.pt2"):
        export(generator, tmp_path / "generator.pb")


def test_an_unknown_opset_is_refused(generator, tmp_path):
    with pytest.raises(UserError, match="expected 18 to 23"):
        export(generator, tmp_path / "generator.onnx", opset=7)


def test_an_absent_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors: no such file"):
        export(tmp_path / "none.safetensors", tmp_path / "generator.onnx")


def test_a_text_file_is_no_model(tmp_path):
    (tmp_path / "notes.safetensors").write_text("no weights")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        export(tmp_path / "notes.safetensors", tmp_path / "generator.onnx")


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    generator, tmp_path, monkeypatch, package
):
    if package == "onnxruntime":
        monkeypatch.setattr(export_module, "onnx_bytes", lambda *arguments: b"")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"needs an extra \(.*{package}.*pip install 'pcfh\[export\]'"):
        export(generator, tmp_path / "generator.onnx")


def test_the_checkpoint_of_a_training_is_recognised_and_the_right_file_named(generator, tmp_path):
    torch.save({"format": CHECKPOINT}, tmp_path / "checkpoint.pt")
    (tmp_path / "generator.safetensors").write_bytes(generator.read_bytes())
    with pytest.raises(UserError, match=r"checkpoint of a training.*give .*/generator\.safetensors"):
        export(tmp_path / "checkpoint.pt", tmp_path / "generator.onnx")


TOLD = {"pcfh.kind": "generator", "pcfh.size": str(SIZE)}


def test_the_command_says_what_it_compared_and_nothing_else(run, generator, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "converted", lambda *arguments: (b"network", TOLD, 1e-6))
    path = tmp_path / "generator.onnx"
    code, out, err = run("export", path, "--model", generator)
    assert (code, err) == (0, "Converting and comparing; this takes a minute or so.\n")
    assert out.startswith(f"Written: {path} (generator, 64 pixels)\nLargest difference")


EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_faces.py"
FACES = export_module.FACES
# Makes every import of these fail, then runs the example as a program.
ALONE = (
    "import runpy, sys\n"
    "for name in ('torch', 'pcfh', 'onnx', 'safetensors'): sys.modules[name] = None\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def alone(*arguments, cwd):
    """The example in a process of its own, without PyTorch and this package."""
    command = [sys.executable, "-c", ALONE, EXAMPLE, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def product(generator, blaze, tmp_path_factory):
    """Finder, a small generator of random weights, and the shipped recogniser."""
    folder = tmp_path_factory.mktemp("product")
    export_module.export_product(folder, generator=generator, recognizer=shipped("recognizer"))
    return folder


@pytest.mark.slow
def test_an_exported_recogniser_is_taken_as_a_recogniser_and_agrees(product):
    faces = np.repeat(np.random.default_rng(0).integers(0, 256, (3, 128, 128, 1), np.uint8), 3, 3)
    ours = open_recognizer(shipped("recognizer"), device="cpu").features(faces)
    theirs = open_recognizer(product / "recognizer.onnx").features(faces)
    np.testing.assert_allclose((ours * theirs).sum(1), 1, atol=1e-4)


@pytest.mark.slow
def test_an_exported_finder_finds_the_landmarks_that_the_detector_finds(product, blaze):
    session = onnxruntime.InferenceSession(product / "finder.onnx", providers=["CPUExecutionProvider"])
    for picture in export_module.finder_pictures():
        certainty, _, _, points = session.run(None, {"photograph": picture})
        expected = blaze.detect(picture)[0].landmarks
        assert certainty > 0.5
        assert np.linalg.norm(points - expected, axis=1).mean() < 1
    plain = np.full((200, 300, 3), 90, np.uint8)
    assert session.run(None, {"photograph": plain})[0] < 0.5


@pytest.mark.slow
def test_the_example_gives_the_hallucinators_face_and_scores_without_torch(
    product, generator, blaze, tmp_path
):
    probe, reference = FACES / "nir-00185.jpg", FACES / "vis-00185.jpg"
    done = alone(product, probe, "face.png", "--reference", reference, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = dict(zip(done.stdout.split()[::2], map(float, done.stdout.split()[1::2]), strict=True))

    recognizer = open_recognizer(shipped("recognizer"), device="cpu")
    reader = FaceReader(Hallucinator.from_file(generator, device="cpu", backend=blaze), recognizer)
    expected = reader.probe(read_image(probe)).against(reader.reference(read_image(reference))[0][None])
    for kind, score in expected.items():
        assert scores[kind] == pytest.approx(float(score[0]), abs=0.05)
    with Image.open(tmp_path / "face.png") as picture:
        found = np.asarray(picture).astype(int)
        assert picture.text["Synthetic"] == "true"
        assert "trainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
    vis = reader.hallucinator(read_image(probe))
    # Other sampling: the crop differs by a fraction of a pixel, and random weights make much of it.
    assert 2 * np.abs(found - vis).mean() < np.abs(found - vis[:, ::-1]).mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: networks, probe, face"),
        (("none", "a.png", "b.png"), "none/finder.onnx: no such file; make it by: pcfh export none"),
    ],
)
def test_the_example_says_in_a_line_what_is_missing(tmp_path, arguments, message):
    done = alone(*arguments, cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].endswith(message)


def test_the_example_is_about_sixty_lines():
    code = EXAMPLE.read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 65
