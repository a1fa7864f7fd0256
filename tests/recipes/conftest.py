"""Miniature databases of rendered sample faces in three layouts, prepared once; experiments of two steps."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcfh.evaluation.outcomes import MethodOutcome
from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.recipes.experiment import ExperimentConfig, RecipeCallbacks, TrainingBudget
from pcfh.recipes.runner import reproduce
from pcfh.runtime import start_runtime

SAMPLE = Path(__file__).parents[2] / "samples" / "NIR-VIS-2.0"
EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
SIDECAR = "landmarks68.csv"


def sample_people():
    """Captures of each person of the sample by modality, as paths relative to it."""
    people = {}
    for path in sorted(SAMPLE.glob("s?/*/*/*.jpg")):
        kinds = people.setdefault(path.parent.name, {"NIR": [], "VIS": []})
        kinds[path.parent.parent.name].append(path.relative_to(SAMPLE).as_posix())
    return people


@dataclass
class Builder:
    """Writes sample captures under other names, with their landmarks beside them."""

    root: Path

    def __post_init__(self):
        self.known = read_landmarks(SAMPLE / SIDECAR)
        self.points = {}

    def add(self, source, name, *, truth=False):
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == Path(source).suffix:
            shutil.copy(SAMPLE / source, target)
        else:
            Image.open(SAMPLE / source).save(target)
        self.points[name] = self.known[source.lower().rpartition(".")[0]]
        if truth:
            lies = self.root / "truth" / name
            lies.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SAMPLE / "truth" / source, lies)

    def finish(self):
        write_landmarks(self.root / SIDECAR, self.points)
        return self.root


def build_casia(root, *, train=4, test=8):
    """Two folds; who is tested in one trains in the other. 16 probes against 8 people in the first."""
    people = {name: {k: c[:2] for k, c in kinds.items()} for name, kinds in sample_people().items()}
    names = list(people)
    groups = names[:train], names[train : train + test]
    builder = Builder(root)
    for name in (*groups[0], *groups[1]):
        for kind, captures in people[name].items():
            for capture in captures:
                builder.add(capture, capture, truth=kind == "NIR")
    lists = root / "protocols"
    lists.mkdir()
    for fold, (trained, tested) in {"1": groups, "2": groups[::-1]}.items():
        parts = {
            "nir_train": [c for p in trained for c in people[p]["NIR"]],
            "vis_train": [c for p in trained for c in people[p]["VIS"]],
            "vis_gallery": [people[p]["VIS"][0] for p in tested],
            "nir_probe": [c for p in tested for c in people[p]["NIR"]],
        }
        for part, captures in parts.items():
            (lists / f"{part}_{fold}.txt").write_text("".join(f"{c}\n" for c in captures))
    return builder.finish()


def build_oulu(root):
    """Four people, one frame of each film; two are tested."""
    builder = Builder(root)
    for number, captures in zip((1, 2, 51, 52), list(sample_people().values())[20:], strict=False):
        for camera, kind in (("NI", "NIR"), ("VL", "VIS")):
            for i, expression in enumerate(EXPRESSIONS):
                source = captures[kind][i % len(captures[kind])]
                builder.add(source, f"{camera}/Strong/P{number:03}/{expression}/000.jpg")
    return builder.finish()


def build_buaa(root):
    """Six people, two shots in both lights each; four are tested."""
    builder = Builder(root)
    for number, captures in enumerate(list(sample_people().values())[30:36], start=1):
        for shot in (0, 1):
            builder.add(captures["VIS"][shot], f"{number}/{2 * shot + 1}.bmp")
            builder.add(captures["NIR"][shot], f"{number}/{2 * shot + 2}.bmp")
    return builder.finish()


@pytest.fixture(scope="session")
def databases(tmp_path_factory):
    """Roots of the three; read only."""
    home = tmp_path_factory.mktemp("databases")
    return {
        "casia": build_casia(home / "NIR-VIS-2.0"),
        "oulu": build_oulu(home / "Oulu"),
        "buaa": build_buaa(home / "BUAA"),
    }


def build_recognizer(path, side=8):
    """Features are the means of square blocks: weak, and done in no time."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    tensor = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("AveragePool", ["x"], ["blocks"], kernel_shape=[side] * 2, strides=[side] * 2),
        onnx.helper.make_node("Flatten", ["blocks"], ["y"], axis=1),
    ]
    graph = onnx.helper.make_graph(
        nodes, "blocks", [tensor("x", 1, ["b", 1, 64, 64])], [tensor("y", 1, ["b", (64 // side) ** 2])]
    )
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path
    )
    settings = {"alignment": "lightcnn", "size": 64, "channels": "grey"}
    path.with_name(f"{path.name}.json").write_text(json.dumps(settings))
    return path


@pytest.fixture(scope="session")
def recognizer(tmp_path_factory):
    return build_recognizer(tmp_path_factory.mktemp("recognizer") / "blocks.onnx")


@pytest.fixture(scope="session")
def outsider(tmp_path_factory):
    """Another recogniser."""
    return build_recognizer(tmp_path_factory.mktemp("outsider") / "coarse.onnx", side=16)


@pytest.fixture(scope="session")
def experiment(databases, recognizer):
    """Makes an experiment of two steps that needs no detector; ``changes`` are fields."""

    def make(out, table="table1", **changes):
        usual = ExperimentConfig(
            table=table,
            out=Path(out),
            work=Path(out),
            databases=databases,
            protocols=("1",),
            budget=TrainingBudget(preset="tiny", steps=2, settings=("training.checkpoint_every=1",)),
            recognizer=recognizer,
            seeds=(0,),
            landmarks="given",
            pose=False,
            device="cpu",
            resamples=50,
        )
        return replace(usual, **changes)

    return make


@pytest.fixture(scope="session")
def carry_out():
    """Runs an experiment in this process."""

    def call(experiment, callbacks=None):
        with start_runtime("cpu") as runtime:
            return reproduce(experiment, runtime, callbacks or RecipeCallbacks())

    return call


@pytest.fixture(scope="session")
def ready(experiment, carry_out, tmp_path_factory):
    """A folder with all three databases prepared, and Light CNN evaluated on the first; read only."""
    work = tmp_path_factory.mktemp("ready") / "work"
    for table in ("table3", "table4"):
        carry_out(experiment(work, table, until="prepared"))
    carry_out(experiment(work, rows=("light-cnn",)))
    return work


@pytest.fixture
def begun(ready, tmp_path):
    """A copy of it to go on with."""
    return shutil.copytree(ready, tmp_path / "work")


@pytest.fixture(scope="session")
def finished(ready, experiment, carry_out, tmp_path_factory):
    """All six rows of Table 1, PCFH with two seeds: the folder and the table; read only."""
    work = shutil.copytree(ready, tmp_path_factory.mktemp("finished") / "work")
    carry_out(experiment(work))
    return work, carry_out(experiment(work, rows=("pcfh",), seeds=(1,)))


@pytest.fixture
def outcome():
    """Makes an outcome by hand: three probes of two people, VR at 1 % and 0.1 %."""

    def make(hits, rates=(0.5, 0.25), draws=None, people=("a", "a", "b")):
        given = np.tile(np.array(rates, float)[:, None], (1, 4)) if draws is None else np.array(draws, float)
        return MethodOutcome(
            people=np.array(people), hits=np.array(hits, bool), rates=np.array(rates, float), draws=given
        )

    return make
