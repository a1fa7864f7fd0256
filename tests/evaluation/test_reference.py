"""VIS against VIS, and what else the figures of an evaluation are shown with."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from blocks import Blocks, evaluate, hallucinator, made_results, measured_fold, random_matrix
from whole_scores import curve_of, sides_in

from pcfh.databases.casia import read_casia
from pcfh.databases.records import Protocol, Record
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import drawn_faces, last_faces, lowest_faces
from pcfh.evaluation.evaluation_data import EvaluationJob, chosen_protocols, further_captures
from pcfh.evaluation.folds import shown_faces
from pcfh.evaluation.intervals import Bootstrap
from pcfh.evaluation.results import OwnProbes, ShownFace, from_json, to_json
from pcfh.evaluation.streaming import score_facts
from pcfh.evaluation.text_tables import markdown
from pcfh.images import read_image
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.preparation.manifest import open_prepared
from pcfh.rates import ScoreMatrix, equal_error_rate, ranks


def record(subject, path, modality="VIS"):
    return Record(subject=subject, modality=modality, path=path)


@pytest.fixture(scope="module")
def two_folds(drawn_database, tmp_path_factory):
    """The drawn database with a second protocol, in which the people of the first change sides."""
    root, out = (tmp_path_factory.mktemp(name) for name in ("swapped", "prepared"))
    shutil.copytree(drawn_database, root, dirs_exist_ok=True)
    shots = [f"{person:05d}\\{shot:03d}.png" for person in range(1, 7) for shot in range(1, 4)]
    lists = {
        "vis_train_2": [rf"s1\VIS\{shot}" for shot in shots[9:]],
        "nir_train_2": [rf"s1\NIR\{shot}" for shot in shots[9:]],
        "vis_gallery_2": [rf"s1\VIS\{shot}" for shot in shots[:9:3]],
        "nir_probe_2": [rf"s1\NIR\{shot}" for shot in shots[:9]],
    }
    for name, lines in lists.items():
        (root / "protocols" / f"{name}.txt").write_text("\n".join(lines))
    prepare(read_casia(root), out, PrepareOptions(sizes=(64,), backend="given", layout="casia"))
    return out


@pytest.fixture
def job(two_folds, tmp_path):
    return EvaluationJob(prepared=two_folds, protocols=("1", "2"), cache=tmp_path / "cache", resamples=20)


def test_further_captures_are_vis_of_the_people_searched_for_and_not_enrolled():
    fold = Protocol(
        name="1",
        train=(),
        gallery=(record("a", "a1"), record("b", "b1"), record("c", "c1")),
        probe=(record("a", "an", "NIR"), record("b", "bn", "NIR")),
    )
    others = (record("a", "a2"), record("c", "c2"), record("d", "d1"), record("b", "bm", "NIR"))
    found = further_captures((*fold.gallery, *fold.probe, *others), fold)
    assert [one.path for one in found] == ["a2"]


def test_vis_against_vis_is_the_recogniser_on_further_captures(job, two_folds):
    database = open_prepared(two_folds, 64)
    fold = database.protocol("1")
    people = {r.subject for r in fold.gallery}
    further = [r for r in database.records if r.modality == "VIS" and r.subject in people]
    further = [r for r in further if r not in fold.gallery]

    def features(records):
        return Blocks().features(np.stack([read_image(database.root / r.path) for r in records]))

    matrix = ScoreMatrix(
        scores=features(further) @ features(fold.gallery).T,
        probes=np.array([r.subject for r in further]),
        gallery=np.array([r.subject for r in fold.gallery]),
    )
    figures = evaluate(job, Blocks()).folds[0].methods[-1]
    assert (figures.method, figures.own) == (
        "reference",
        OwnProbes(probes=6, people=3, genuine=6, impostors=12),
    )
    assert figures.cmc[0] == (ranks(matrix) == 1).mean()
    assert figures.eer == pytest.approx(equal_error_rate(curve_of(matrix)))


def test_vis_against_vis_is_compared_with_nothing_and_in_no_group(job, tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("path,hat\ns1/NIR/00004/001.png,yes\n")
    results = evaluate(replace(job, groups=table), Blocks())
    assert results.methods == ("original", "reference")
    assert results.folds[0].comparisons == ()
    assert {row.method for row in results.groups} == {"original"}


def test_without_further_captures_it_is_said_and_left_out(drawn_prepared, tmp_path):
    results = evaluate(
        EvaluationJob(prepared=drawn_prepared, protocols=("1",), cache=tmp_path, resamples=20), Blocks()
    )
    assert "reference" not in results.methods
    assert "people tested in protocol 1, no VIS capture beside the gallery's" in results.notes[0]


def test_the_table_says_that_its_probes_are_others(job):
    text = markdown(evaluate(replace(job, protocols=("1",)), Blocks()))
    assert "| VIS-VIS (reference) |" in text
    assert "VIS-VIS (reference) has other probes: 6 further VIS captures of 3 of the people tested" in text


def test_a_single_fold_has_a_second_table_with_intervals():
    matrices = {"original": random_matrix(0, signal=0.2)}
    fold = measured_fold("1", matrices)
    text = markdown(made_results(folds=(fold,)))
    interval = fold.methods[0].rank1_interval
    assert f"[{100 * interval.low:.2f}, {100 * interval.high:.2f}]" in text
    assert "With 95 %" not in markdown(made_results())


def test_what_has_a_default_may_be_absent():
    content = json.loads(to_json(made_results()))
    for name in ("random", "worst"):
        del content["results"][name]
    for fold in content["results"]["folds"]:
        for figures in fold["methods"]:
            del figures["own"]
    assert from_json(json.dumps(content)) == made_results(worst=())


# Faces to show


def face(probe, margin, protocol="1", rank=1):
    return ShownFace(
        protocol=protocol,
        subject="a",
        probe=probe,
        right="g",
        wrong="h",
        wrong_subject="b",
        right_score=margin,
        wrong_score=0.0,
        rank=rank,
    )


def test_a_face_is_shown_with_its_persons_best_image_and_the_margin():
    fold = Protocol(
        name="1", train=(), gallery=(record("a", "a1"), record("a", "a2"), record("b", "b1")),
        probe=(record("a", "p", "NIR"),),
    )  # fmt: skip
    matrix = ScoreMatrix(scores=np.array([[0.25, 0.5, 0.75]]), probes=["a"], gallery=["a", "a", "b"])
    (found,) = shown_faces(score_facts(sides_in(matrix), [], Bootstrap()), fold)
    assert (found.probe, found.right, found.wrong, found.margin) == ("p", "a2", "b1", -0.25)
    assert found.rank == 2


def test_the_lowest_margins_come_first_each_probe_once():
    faces = [face("p", 0.5), face("q", -0.5), face("p", -1.0, "2"), face("r", 0.0)]
    assert lowest_faces(faces, 2) == (faces[2], faces[1])


def test_the_last_ranks_come_first_and_those_of_one_rank_by_margin():
    faces = [face("p", 0.5), face("q", -0.1, rank=9), face("r", -0.5, rank=2), face("s", -0.4, rank=9)]
    assert last_faces(faces, 3) == (faces[3], faces[1], faces[2])


def test_faces_are_drawn_by_the_seed_each_probe_once():
    faces = [face(f"p{i % 30}", float(i), str(i // 30)) for i in range(60)]
    first = drawn_faces(faces, 16, 0)
    assert first == drawn_faces(faces, 16, 0) != drawn_faces(faces, 16, 1)
    assert len({one.probe for one in first}) == 16


def test_an_evaluation_names_the_faces_to_show(job):
    results = evaluate(job, Blocks(), {"1": hallucinator(), "2": hallucinator("b" * 64)})
    assert len(results.random) == len(results.worst) == 16
    margins = [one.margin for one in results.worst]
    assert margins == sorted(margins)


# What is refused


def test_captures_of_one_modality_are_refused(drawn_prepared):
    database = open_prepared(drawn_prepared, 64)
    vis = tuple(r for r in database.records if r.modality == "VIS")
    with pytest.raises(UserError, match="expected NIR and VIS captures, got VIS only"):
        chosen_protocols(replace(database, records=vis), ("1",))


def test_a_gallery_of_one_person_is_refused(drawn_prepared):
    database = open_prepared(drawn_prepared, 64)
    one = database.protocol("1")
    single = replace(one, gallery=one.gallery[:1], probe=one.probe[:3])
    with pytest.raises(UserError, match="two people or more in the gallery of protocol '1'"):
        chosen_protocols(replace(database, protocols={"1": single}), ("1",))
