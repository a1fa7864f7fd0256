import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from blocks import Blocks, evaluate, hallucinator, measured_fold, random_matrix
from whole_scores import curve_of, matrix_of, sides_in

from pcfh.databases.records import Protocol, Record
from pcfh.databases.rendered import truth_crop
from pcfh.errors import UserError
from pcfh.evaluation.evaluate import common_alignment
from pcfh.evaluation.evaluate import evaluate as run_evaluation
from pcfh.evaluation.evaluation_data import (
    EvaluationData,
    EvaluationJob,
    chosen_protocols,
    evaluated_protocols,
    source_size,
)
from pcfh.evaluation.folds import impostor_count, measure, probe_counts
from pcfh.evaluation.generated import generated_crops
from pcfh.evaluation.groups import group_rows, read_groups, read_parameters
from pcfh.evaluation.image_metrics import face_mask
from pcfh.evaluation.intervals import (
    Bootstrap,
    mcnemar,
    mean_interval,
    percentile_interval,
)
from pcfh.evaluation.outcomes import read_outcomes, write_outcomes
from pcfh.evaluation.quality import Face, image_values, measure_faces, without_parts
from pcfh.evaluation.score_methods import CosineScores, FusedScores
from pcfh.evaluation.streaming import score_facts
from pcfh.files import sha256_of
from pcfh.images import read_image
from pcfh.landmarks.base import Face as Found
from pcfh.preparation.manifest import open_prepared, read_manifest, write_manifest
from pcfh.rates import ScoreMatrix, equal_error_rate, pairs_of, ranks, verification_rate
from pcfh.recognisers.alignment import LIGHTCNN, Alignment

DRAWS = Bootstrap(resamples=200, seed=0)


def record(subject, path, modality="NIR"):
    return Record(subject=subject, modality=modality, path=path)


@pytest.fixture
def job(drawn_prepared, tmp_path):
    return EvaluationJob(prepared=drawn_prepared, protocols=("1",), cache=tmp_path / "cache", resamples=20)


@pytest.fixture
def rendered(drawn_database, tmp_path):
    """The drawn database with a table of parameters, as a rendered one has it."""
    home = tmp_path / "rendered"
    home.mkdir()
    (home / "truth").symlink_to(drawn_database / "truth")
    lines = ["path,fitzpatrick,glasses,yaw,expression"]
    for person in range(1, 7):
        for shot in range(1, 4):
            lines.append(f"s1/NIR/0000{person}/00{shot}.png,{person},none,{-16 * (shot - 1)},neutral")
    (home / "parameters.csv").write_text("\n".join(lines))
    return home


def edited(prepared, tmp_path, change):
    """A copy of a prepared database with another protocol."""
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    manifest = read_manifest(copy)
    protocol = change(manifest.source.protocols["1"])
    source = replace(manifest.source, protocols={protocol.name: protocol})
    write_manifest(copy, replace(manifest, source=source))
    return copy


# Methods


def test_scores_are_cosines_and_fused_ones_their_average():
    fold = Protocol(
        name="1",
        train=(),
        gallery=(record("a", "ga", "VIS"), record("b", "gb", "VIS")),
        probe=(record("b", "pb"),),
    )

    def table(**rows):
        return {"1": {name: np.array(row, np.float32) for name, row in rows.items()}}

    gallery = table(gb=(0, 1), ga=(1, 0))
    original = CosineScores(name="original", probes=table(pb=(0.8, 0.6)), gallery=gallery)
    generated = CosineScores(name="generated", probes=table(pb=(0, 1)), gallery=gallery)
    fusions = [
        FusedScores(original=original, generated=generated, fusion=kind) for kind in ("average", "template")
    ]
    found = [matrix_of(method.sides(fold)) for method in (original, generated, *fusions)]
    assert found[0].scores.tolist()[0] == pytest.approx([0.8, 0.6])
    assert found[2].scores.tolist()[0] == pytest.approx([0.4, 0.8])
    assert found[3].scores.tolist()[0] == pytest.approx([0.2**0.5, 0.8**0.5])
    assert [ranks(matrix).item() for matrix in found] == [2, 1, 1, 1]


def test_without_a_generator_there_is_the_original_alone(job):
    results = evaluate(job, Blocks())
    assert results.methods == ("original",)
    (fold,) = results.folds
    assert (fold.probes, fold.gallery, fold.people, fold.genuine, fold.impostors) == (9, 3, 3, 9, 18)
    assert (fold.comparisons, results.quality, results.groups) == ((), (), ())


def test_the_original_is_the_recogniser_on_the_prepared_crops(job, drawn_prepared):
    database = open_prepared(drawn_prepared, 64)
    protocol = database.protocol("1")

    def features(records):
        from pcfh.images import read_image

        return Blocks().features(np.stack([read_image(database.root / r.path) for r in records]))

    matrix = ScoreMatrix(
        scores=features(protocol.probe) @ features(protocol.gallery).T,
        probes=np.array([r.subject for r in protocol.probe]),
        gallery=np.array([r.subject for r in protocol.gallery]),
    )
    figures = evaluate(job, Blocks()).folds[0].methods[0]
    assert figures.cmc[0] == (ranks(matrix) == 1).mean()
    assert figures.eer == pytest.approx(equal_error_rate(curve_of(matrix)))


def test_all_methods_are_there_with_a_generator_and_the_truth(job, drawn_database):
    results = evaluate(replace(job, raw=drawn_database), Blocks(), {"1": hallucinator()})
    assert results.methods == ("original", "generated", "fusion", "truth")
    assert [c.method for c in results.folds[0].comparisons] == ["generated", "fusion", "truth"]
    assert results.rendered


def test_a_far_that_needs_more_impostor_pairs_is_no_number(job):
    figures = evaluate(job, Blocks()).folds[0].methods[0]
    assert [(v.vr, v.interval) for v in figures.verification] == [(None, None)] * 3


# Figures of a fold


@pytest.fixture(scope="module")
def matrices():
    return {"original": random_matrix(0, signal=0.2), "fusion": random_matrix(1, signal=0.3)}


@pytest.fixture(scope="module")
def fold(matrices):
    return measured_fold("1", matrices, DRAWS)


@pytest.mark.parametrize("place", [0, 1])
def test_vr_and_its_interval_are_those_of_the_metrics(fold, matrices, place):
    found = fold.methods[1].verification[place]
    assert found.vr == verification_rate(pairs_of(matrices["fusion"]), found.far)
    draws = score_facts(sides_in(matrices["fusion"]), [found.far], DRAWS).draws[found.far]
    assert found.interval == percentile_interval(found.vr, draws)


def test_rank_1_has_the_interval_over_people(fold, matrices):
    hits = (ranks(matrices["original"]) == 1).astype(float)
    expected = mean_interval(hits, matrices["original"].probes, DRAWS)
    assert fold.methods[0].rank1_interval == expected


def test_vr_is_compared_on_the_same_draws(fold, matrices):
    (comparison,) = fold.comparisons
    a, b = (score_facts(sides_in(matrix), [0.01], DRAWS).draws[0.01] for matrix in matrices.values())
    rates = [method.verification[0].vr for method in fold.methods]
    assert comparison.verification[0].interval == percentile_interval(rates[1] - rates[0], b - a)


def test_rank_1_is_compared_by_mcnemar_with_the_original_first(fold, matrices):
    a, b = (ranks(matrix) == 1 for matrix in matrices.values())
    assert fold.comparisons[0].mcnemar == mcnemar(a, b)


def test_the_points_of_the_roc_are_vr_at_their_fars(fold, matrices):
    pairs = pairs_of(matrices["original"])
    for far, vr in fold.methods[0].roc[:-1]:
        assert vr == verification_rate(pairs, far)


def test_impostor_pairs_are_counted_without_the_persons_own_images():
    gallery = tuple(record(s, f"g{i}", "VIS") for i, s in enumerate("aabc"))
    probe = tuple(record(s, f"p{i}") for i, s in enumerate("abb"))
    assert impostor_count(Protocol(name="1", train=(), gallery=gallery, probe=probe)) == 2 + 3 + 3


# Tuned recognisers


class Negative(Blocks):
    """Blocks that sees NIR as a negative: another recogniser for each modality."""

    name, key = "negative", "negative-1"

    def features(self, crops, modality="VIS"):
        return super().features(crops) * (-1 if modality == "NIR" else 1)


def test_a_recogniser_knows_the_modality_of_what_it_sees(job):
    seen = []

    class Watching(Blocks):
        def features(self, crops, modality="VIS"):
            seen.extend([modality] * len(crops))
            return super().features(crops)

    evaluate(job, Watching(), {"1": hallucinator()})
    assert seen == ["VIS"] * 3 + ["NIR"] * 9 + ["VIS"] * 9


def test_a_tuned_recogniser_is_a_method_that_is_compared_with_the_original(job):
    results = evaluate(job, Blocks(), {"1": hallucinator()}, tuned={"negative": {"1": Negative()}})
    assert results.methods == ("original", "generated", "fusion", "negative")
    assert [c.method for c in results.folds[0].comparisons] == ["generated", "fusion", "negative"]
    assert [(m.role, m.name) for m in results.models][1] == ("negative", "negative")
    alone = evaluate(job, Negative())
    assert results.folds[0].methods[3].cmc == alone.folds[0].methods[0].cmc


@pytest.mark.parametrize("name", ["fusion", "a/b", "recogniser"])
def test_a_tuned_recogniser_has_a_name_of_its_own(job, name):
    with pytest.raises(UserError, match="cannot be the name of a tuned recogniser"):
        evaluate(job, Blocks(), tuned={name: {"1": Blocks()}})


def test_a_protocol_without_its_recogniser_or_generator_is_refused(job):
    with pytest.raises(UserError, match="expected a recogniser for each protocol, got none for 1"):
        evaluate(job, {"2": Blocks()})
    with pytest.raises(UserError, match="expected a generator for each protocol, got none for 1"):
        evaluate(job, Blocks(), {"2": hallucinator()})


def test_recognisers_of_two_alignments_are_refused_as_one_method():
    other = Blocks()
    other.alignment = LIGHTCNN
    with pytest.raises(UserError, match="recognisers of one alignment"):
        common_alignment([Blocks(), other])


def test_outcomes_are_kept_without_loss(job, tmp_path):
    data = EvaluationData(job, {"1": hallucinator()}, Blocks.alignment)
    found = run_evaluation(data, Blocks())
    write_outcomes(tmp_path / "outcomes.npz", found.outcomes)
    kept = read_outcomes(tmp_path / "outcomes.npz")
    assert kept.keys() == {"1"}
    assert [*kept["1"]] == ["original", "generated", "fusion"]
    for method, outcome in found.outcomes["1"].items():
        for name in ("people", "hits", "rates", "draws"):
            np.testing.assert_array_equal(getattr(kept["1"][method], name), getattr(outcome, name))
    hits = {m.method: m.cmc[0] for m in found.results.folds[0].methods}
    assert {method: outcome.hits.mean() for method, outcome in kept["1"].items()} == hits


def test_a_file_that_holds_no_outcomes_is_refused(tmp_path):
    (tmp_path / "outcomes.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="expected the outcomes of pcfh evaluate"):
        read_outcomes(tmp_path / "outcomes.npz")


# Groups


def counts_by_hand(far):
    """Four probes of four people; only the first impostor score is accepted at a FAR of 1/10."""
    gallery = np.array([*"abcd"])
    scores = np.array(
        [[0.9, 0.1, 0.1, 0.1], [0.8, 0.7, 0.1, 0.1], [0.1, 0.1, 0.6, 0.2], [0.1, 0.1, 0.1, 0.5]]
    )
    matrix = ScoreMatrix(scores=scores, probes=gallery, gallery=gallery)
    probes = [record(s, f"crop{s}") for s in "abcd"]
    facts = score_facts(sides_in(matrix), [far] if far else [], DRAWS)
    one = replace(measure("original", sides_in(matrix), DRAWS), facts=facts)
    return probe_counts(one, probes, [f"s1/NIR/{s}.BMP" for s in "abcd"], far)


def test_errors_by_group_by_hand(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("path,hat\ns1\\NIR\\a.jpg,no\ns1\\NIR\\b.jpg,yes\ns1\\NIR\\c.jpg,yes\n")
    rows = group_rows({"original": counts_by_hand(0.1)}, read_groups(table), DRAWS, thresholded=True)
    found = [(r.column, r.value, r.probes, r.people, r.rank1_error, r.frr, r.far) for r in rows]
    assert found == [
        ("hat", "no", 1, 1, 0.0, 0.0, 0.0),
        ("hat", "unknown", 1, 1, 0.0, 0.0, 0.0),
        ("hat", "yes", 2, 2, 0.5, 0.0, 1 / 6),
    ]


def test_without_a_threshold_groups_have_rank_1_alone(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("path,hat\ns1/NIR/b.jpg,yes\n")
    rows = group_rows({"original": counts_by_hand(None)}, read_groups(table), DRAWS, thresholded=False)
    assert [(r.rank1_error, r.frr, r.far) for r in rows] == [(0.0, None, None), (1.0, None, None)]


def test_parameters_of_a_rendered_database_become_groups(rendered):
    labels = read_parameters(rendered / "parameters.csv")
    assert labels["s1/nir/00002/003"] == {
        "skin type (Fitzpatrick)": "2",
        "glasses": "none",
        "turned by (|yaw|)": "30° and more",
        "expression": "neutral",
    }


def test_groups_come_from_the_rendered_database_unless_the_user_has_a_table(job, rendered, tmp_path):
    table = tmp_path / "groups.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "shift"], ["s1/NIR/00004/001.bmp", "night"]])
    own = evaluate(replace(job, raw=rendered), Blocks())
    users = evaluate(replace(job, raw=rendered, groups=table), Blocks())
    assert {row.column for row in own.groups} >= {"glasses", "expression"}
    assert {(row.column, row.value) for row in users.groups} == {("shift", "night"), ("shift", "unknown")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,hat\na,yes\n", "a column path"),
        ("path\ns1/NIR/a\n", "a column beside path"),
        ("path,hat\na,yes,no\n", "more cells"),
        (
            "path,age\n" + "".join(f"p{i},{i}\n" for i in range(41)),
            "at most 40 groups in column 'age', got 41",
        ),
    ],
)
def test_a_table_of_groups_that_is_none_is_refused(tmp_path, text, said):
    table = tmp_path / "groups.csv"
    table.write_text(text)
    with pytest.raises(UserError, match=said):
        read_groups(table)


def test_a_table_without_any_probe_is_refused(job, tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("path,hat\nelsewhere/1.bmp,yes\n")
    with pytest.raises(UserError, match=r"none of the 9 probes, e\.g\. s1/nir/00004/001"):
        evaluate(replace(job, groups=table), Blocks())


# Generated and true crops


def test_generated_crops_are_made_once_and_say_that_they_are_synthetic(drawn_prepared, tmp_path):
    from PIL import Image

    database = open_prepared(drawn_prepared, 64)
    records, made = database.protocol("1").probe[:3], hallucinator()
    first = list(generated_crops(made, database.root, records, cache=tmp_path, batch=2))
    made.crops = None  # a second call would fail
    again = list(generated_crops(made, database.root, records, cache=tmp_path, batch=2))
    np.testing.assert_array_equal(first, again)
    with Image.open(next(tmp_path.rglob("*.png"))) as image:
        assert image.text["Synthetic"] == "true"


def test_a_damaged_file_of_the_cache_is_made_again(drawn_prepared, tmp_path):
    database = open_prepared(drawn_prepared, 64)
    records, made = database.protocol("1").probe[:1], hallucinator()
    first = list(generated_crops(made, database.root, records, cache=tmp_path))
    (path,) = tmp_path.rglob("*.png")
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(first, list(generated_crops(made, database.root, records, cache=tmp_path)))


def test_another_generator_has_a_cache_of_its_own(drawn_prepared, tmp_path):
    database = open_prepared(drawn_prepared, 64)
    for model in ("a" * 64, "b" * 64):
        list(generated_crops(hallucinator(model), database.root, database.records[:1], cache=tmp_path))
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_a_second_evaluation_recognises_nothing_anew(job):
    evaluate(job, Blocks(), {"1": hallucinator()})
    again = Blocks()
    evaluate(job, again, {"1": hallucinator()})
    assert again.seen == 0


def test_the_truth_lies_on_the_nir_crop(drawn_prepared, drawn_database):
    """Where the drawn sclera and brows are, both are bright and dark at the same places."""
    manifest, database = read_manifest(drawn_prepared), open_prepared(drawn_prepared, 64)
    sources = {manifest.crops[r.path]: r for r in manifest.source.records}
    probe = database.protocol("1").probe[0]
    truth = truth_crop(drawn_database, sources[probe.path], 64)
    nir = read_image(database.root / probe.path)
    eyes = np.s_[12:28, 10:54]
    aligned = np.corrcoef(truth.mean(2)[eyes].ravel(), nir.mean(2)[eyes].ravel())[0, 1]
    shifted = np.corrcoef(np.roll(truth.mean(2), 4, 0)[eyes].ravel(), nir.mean(2)[eyes].ravel())[0, 1]
    assert aligned > shifted + 0.1


# Image quality


@pytest.fixture(scope="module")
def face(drawn_prepared):
    database = open_prepared(drawn_prepared, 64)
    grey = np.full((64, 64, 3), 100, np.uint8)
    return Face(
        person="a",
        landmarks=np.array(database.records[0].landmarks),
        nir=grey,
        generated=grey + np.uint8(51),
        truth=grey + np.uint8(102),
    )


def test_errors_of_flat_images_by_hand(face):
    values = image_values(face)
    assert values["mean absolute error, 0 to 1", "NIR, truth"] == pytest.approx(0.4)
    assert values["PSNR, dB", "generated, truth"] == pytest.approx(-20 * np.log10(0.2))


def test_equal_images_count_as_100_db(face):
    assert image_values(replace(face, generated=face.truth))["PSNR, dB", "generated, truth"] == 100


def test_the_skin_is_the_face_without_eyes_and_mouth(face):
    whole = face_mask(face.landmarks, 64)
    skin = without_parts(whole, face.landmarks)
    x, y = face.landmarks[36:42].mean(0).round().astype(int)
    nose_x, nose_y = face.landmarks[30].round().astype(int)
    assert (skin[y, x], skin[nose_y, nose_x]) == (False, True)
    assert not (skin & ~whole).any()


class Finder:
    """Finds the same face in every image but one turned in the generated one; nothing where it is told."""

    name = "fake"

    def __init__(self, points, blind=()):
        self.points, self.blind = points, blind

    def detect(self, image):
        if int(image[0, 0, 0]) in self.blind:
            return []
        moved = self.points + (2.0 if image[0, 0, 0] == 151 else 0.0)
        return [Found(box=(0.0, 0.0, 1.0, 1.0), score=1.0, landmarks=moved)]


def test_pose_is_measured_between_input_output_and_truth(face):
    rows = measure_faces([face, replace(face, person="b")], DRAWS, backend=Finder(face.landmarks))
    distance = {r.images: r.interval.estimate for r in rows if r.measure.startswith("landmark")}
    eyes = np.hypot(*(face.landmarks[45] - face.landmarks[36]))
    moved = pytest.approx(np.hypot(2, 2) / eyes)
    assert distance == {"NIR, truth": 0, "NIR, generated": moved, "truth, generated": moved}
    errors = [r.interval.estimate for r in rows if r.measure.startswith("yaw error")]
    assert errors == pytest.approx([0, 0, 0], abs=1e-6)


def test_probes_in_which_a_face_is_not_found_do_not_count(face):
    rows = measure_faces(
        [face, replace(face, nir=face.nir + np.uint8(1))], DRAWS, backend=Finder(face.landmarks, blind=(101,))
    )
    assert {r.probes for r in rows if r.measure.startswith("landmark")} == {1}
    assert {r.probes for r in rows if r.measure == "SSIM"} == {2}


# What is refused


def test_prepared_data_without_this_protocol_are_refused(job):
    with pytest.raises(UserError, match="no protocol '7'; this database has: 1"):
        evaluate(replace(job, protocols=("7",)), Blocks())


@pytest.mark.parametrize("part", ["gallery", "probe"])
def test_an_empty_list_is_refused(job, drawn_prepared, tmp_path, part):
    copy = edited(drawn_prepared, tmp_path, lambda protocol: replace(protocol, **{part: ()}))
    with pytest.raises(UserError, match=f"protocol '1' has no {part}"):
        evaluate(replace(job, prepared=copy), Blocks())


def test_a_person_in_training_and_test_is_refused(job, drawn_prepared, tmp_path):
    copy = edited(drawn_prepared, tmp_path, lambda p: replace(p, train=(*p.train, p.gallery[0])))
    with pytest.raises(UserError, match="1 people are in training and test"):
        evaluate(replace(job, prepared=copy), Blocks())


def test_a_probe_whose_person_is_not_enrolled_is_refused(job, drawn_prepared, tmp_path):
    copy = edited(drawn_prepared, tmp_path, lambda p: replace(p, gallery=p.gallery[1:]))
    with pytest.raises(UserError, match="got 1 who are not"):
        evaluate(replace(job, prepared=copy), Blocks())


def test_nan_features_are_refused(job):
    class Broken(Blocks):
        key = "broken"

        def features(self, crops, modality="VIS"):
            return np.full((len(crops), 4), np.nan, np.float32)

    with pytest.raises(UserError, match="probe features of norm 1, got nan"):
        evaluate(job, Broken())


def test_a_recogniser_that_does_not_take_its_own_crop_is_refused(job):
    class Picky(Blocks):
        key = "picky"

        def features(self, crops, modality="VIS"):
            raise UserError(f"picky: expected crops of 112 pixels, got {crops.shape[1]}")

    with pytest.raises(UserError, match="expected crops of 112 pixels, got 64"):
        evaluate(job, Picky())


def test_a_generator_of_another_size_than_the_crops_is_refused(job):
    with pytest.raises(UserError, match="has no crops of 128 pixels, only of 64"):
        evaluate(job, Blocks(), {"1": hallucinator(size=128)})


def test_a_generator_that_has_seen_the_people_of_the_test_is_refused(job, drawn_prepared, tmp_path):
    def add(protocol):
        return replace(protocol, name="2", train=(*protocol.gallery, *protocol.probe), gallery=(), probe=())

    copy = tmp_path / "copy"
    shutil.copytree(drawn_prepared, copy)
    manifest = read_manifest(copy)
    one = manifest.source.protocols["1"]
    write_manifest(
        copy, replace(manifest, source=replace(manifest.source, protocols={"1": one, "2": add(one)}))
    )
    about = {"training_data": sha256_of(copy / "manifest.json"), "protocol": "2"}
    tuned = Blocks()
    tuned.about = {"data": {"manifest": about["training_data"], "protocol": "2"}}
    with pytest.raises(UserError, match="the recogniser for protocol '1' was trained on protocol '2'"):
        evaluate(replace(job, prepared=copy), tuned)
    history = [{"manifest": about["training_data"], "protocol": "all"}]
    began = Blocks()
    began.about = {"data": {"manifest": "0" * 64, "protocol": "1"}, "before": history}
    with pytest.raises(UserError, match="trained on protocol 'all', which holds 3 of the people tested"):
        evaluate(replace(job, prepared=copy), began)
    with pytest.raises(UserError, match=r"the mine for protocol '1' .* \(--tuned 'runs"):
        evaluate(replace(job, prepared=copy), Blocks(), tuned={"mine": {"1": tuned}})
    for known in (about, {"before": [about]}, {**about, "protocol": "1", "before": [about]}):
        with pytest.raises(UserError, match="trained on protocol '2', which holds 3 of the people tested"):
            evaluate(replace(job, prepared=copy), Blocks(), {"1": hallucinator(**known)})


def test_a_generator_that_names_people_of_the_test_is_refused_whatever_preparation_it_met_them_in(
    job, drawn_prepared
):
    people = read_manifest(drawn_prepared).people
    elsewhere = {"training_data": "0" * 64, "protocol": "1"}
    strangers = {**elsewhere, "people": [people["00001"], people["00002"]]}
    evaluate(job, Blocks(), {"1": hallucinator(**strangers)})
    for known in (
        elsewhere | {"people": [people["00005"]]},
        {"before": [elsewhere | {"people": [people["00005"]]}]},
    ):
        with pytest.raises(UserError, match=r"has learnt from 1 of the people tested, e\.g\. 00005"):
            evaluate(job, Blocks(), {"1": hallucinator(**known)})


def test_a_folder_without_truth_and_parameters_is_refused(job, tmp_path):
    with pytest.raises(UserError, match="expected a rendered database"):
        evaluate(replace(job, raw=tmp_path), Blocks())


def test_an_absent_true_image_is_named(job, tmp_path):
    (tmp_path / "truth").mkdir()
    with pytest.raises(UserError, match=r"s1/NIR/00004/001\.png: the true VIS image of a NIR"):
        evaluate(replace(job, raw=tmp_path), Blocks())


# Which protocols and crops


def test_all_takes_what_has_probes_and_leaves_view_1_out():
    probe = (record("a", "p"),)
    protocols = {
        name: Protocol(name=name, train=(), probe=() if name == "train" else probe)
        for name in ("1", "2", "dev", "train")
    }
    assert evaluated_protocols(protocols, ("all",)) == ("1", "2")


def test_no_protocol_with_probes_is_refused(drawn_prepared):
    database = replace(open_prepared(drawn_prepared, 64), protocols={})
    with pytest.raises(UserError, match="no protocol has probes"):
        chosen_protocols(database, ("all",))


@pytest.mark.parametrize(
    ("sizes", "alignment", "best"),
    [
        ((144, 256), LIGHTCNN, 144),
        ((128, 256), LIGHTCNN, 128),
        ((64,), LIGHTCNN, 64),
        ((128, 144, 256), Alignment(convention="arcface", size=112), 144),
        ((144, 256), Alignment(convention="arcface", size=224), 256),
    ],
)
def test_the_smallest_crops_that_hold_what_the_recogniser_wants_are_taken(sizes, alignment, best):
    assert source_size(sizes, alignment) == best
