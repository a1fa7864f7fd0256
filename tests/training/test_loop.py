"""Runs that are stopped in every way, and what they give when they go on."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import (
    CPU,
    assert_same_bits,
    command,
    finish,
    job,
    start_and_wait_for_checkpoint,
    stop_after,
    torchrun,
    weights,
)
from small_database import write_small_database

from pcfh.databases.casia import read_casia
from pcfh.databases.rendered import truth_crop
from pcfh.errors import UserError
from pcfh.methods.files import load_generator, training_history
from pcfh.methods.find import configured, preset
from pcfh.methods.train import (
    GENERATOR,
    GeneratorTask,
    MethodLearner,
    kept_generators,
    mean_of_people,
    open_pairs,
    train,
    vis_features,
)
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import prepare
from pcfh.recognisers.lightcnn.network import build_lightcnn
from pcfh.runtime import Runtime
from pcfh.training.loop import BEST, CHECKPOINT, Callbacks, TrainingStoppedError, begin
from pcfh.training.monitor import read_metrics


@pytest.fixture(scope="module")
def whole(drawn_prepared, tmp_path_factory) -> Path:
    """A run of six steps without interruption."""
    run = tmp_path_factory.mktemp("whole")
    train(job(drawn_prepared, run), CPU)
    return run


def test_a_run_leaves_checkpoint_generator_pictures_and_scalars(whole):
    assert {p.name for p in whole.iterdir()} == {
        ".lock",
        "checkpoint.pt",
        "config.toml",
        "generator.safetensors",
        "metrics.csv",
        "pictures",
        "tensorboard",
    }
    assert [p.name for p in sorted((whole / "pictures").iterdir())] == ["0000003.png", "0000006.png"]


def test_tensorboard_holds_every_term_the_attention_and_the_gradient_norms(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole / "tensorboard"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    terms = {"ad", "rec", "y", "awm", "mic"}
    assert {f"loss/{t}" for t in terms} | {f"gradient/{t}" for t in terms} <= names
    assert {
        "attention/mean",
        "attention/spread",
        "dependence/I_GV",
        "dependence/I_GN",
        "learning_rate",
    } <= names
    assert [e.step for e in events.Scalars("loss/rec")] == [1, 2, 3, 4, 5, 6]
    assert len(events.Tags()["images"]) == 1


def test_the_same_seed_gives_the_same_bits_and_files(whole, drawn_prepared, tmp_path):
    train(job(drawn_prepared, tmp_path), CPU)
    assert_same_bits(whole, tmp_path)
    assert (tmp_path / GENERATOR).read_bytes() == (whole / GENERATOR).read_bytes()


def test_another_seed_begins_with_other_weights(drawn_prepared, tmp_path):
    first, second = (
        begin(MethodLearner(job(drawn_prepared, tmp_path, f"training.seed={seed}").config, CPU)).networks
        for seed in (0, 1)
    )
    key = "G_A.whole.first.0.weight"
    assert not torch.equal(first.state_dict()[key], second.state_dict()[key])


@pytest.mark.parametrize("stop_after", [1, 4])
def test_stopped_at_any_step_and_resumed_it_gives_the_same_bits(whole, drawn_prepared, tmp_path, stop_after):
    steps: list[int] = []
    callbacks = Callbacks(
        on_step=lambda step, _: steps.append(step), should_stop=lambda: len(steps) == stop_after - 1
    )
    state = train(job(drawn_prepared, tmp_path), CPU, callbacks)
    assert state.step == stop_after
    train(job(drawn_prepared, tmp_path), CPU)
    assert_same_bits(whole, tmp_path)


def refuse_to_warp(*_: object) -> None:
    raise RuntimeError("warped")


@pytest.mark.parametrize("setting", ["method=pix2pix", "method=cyclegan", "awm"])
def test_a_method_that_does_not_look_at_warped_images_gets_none_made(
    setting, drawn_prepared, tmp_path, monkeypatch
):
    monkeypatch.setattr("pcfh.preparation.training_pairs.inverse_distance_warp", refuse_to_warp)
    named = {
        "method=pix2pix": ("training.method=pix2pix", "baseline.width=4"),
        "method=cyclegan": ("training.method=cyclegan", "baseline.width=4", "baseline.blocks=1"),
        "awm": ("objective.awm=false",),
    }
    settings = (*named[setting], "training.steps=1", "training.image_every=1")
    assert train(job(drawn_prepared, tmp_path, *settings), CPU).step == 1
    assert (tmp_path / "pictures" / "0000001.png").exists()


def test_attention_warping_gets_warped_images(drawn_prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("pcfh.preparation.training_pairs.inverse_distance_warp", refuse_to_warp)
    with pytest.raises(RuntimeError, match="warped"):
        train(job(drawn_prepared, tmp_path), CPU)


def test_varied_images_are_the_same_again_in_a_run_that_goes_on_and_matter(whole, drawn_prepared, tmp_path):
    more = ("training.vary_nir=true",)
    train(job(drawn_prepared, tmp_path / "whole", *more), CPU)
    cut = job(drawn_prepared, tmp_path / "cut", *more)
    assert train(cut, CPU, Callbacks(should_stop=stop_after(3))).step == 3
    train(cut, CPU)
    assert_same_bits(tmp_path / "whole", tmp_path / "cut")
    varied, plain = weights(tmp_path / "whole"), weights(whole)
    assert not torch.equal(varied["G_A.whole.first.0.weight"], plain["G_A.whole.first.0.weight"])


LONGER = ("training.steps=16", "training.checkpoint_every=2")


@pytest.fixture(scope="module")
def longer(drawn_prepared, tmp_path_factory) -> Path:
    """A run of 16 steps without interruption."""
    run = tmp_path_factory.mktemp("longer")
    train(job(drawn_prepared, run, *LONGER), CPU)
    return run


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_killed_from_outside_and_started_again_it_gives_the_same_bits(
    longer, drawn_prepared, tmp_path, how, code
):
    run = tmp_path / "run"
    process = start_and_wait_for_checkpoint(command(drawn_prepared, run, *LONGER), run)
    process.send_signal(how)
    assert process.wait() == code
    assert torch.load(run / CHECKPOINT, weights_only=True)["step"] < 16
    train(job(drawn_prepared, run, *LONGER), CPU)
    assert_same_bits(longer, run)


@pytest.mark.slow
def test_two_processes_see_the_losses_of_one_with_the_doubled_batch(drawn_prepared, tmp_path, published):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def scalars(run: Path) -> dict[str, dict[int, float]]:
        events = EventAccumulator(str(run / "tensorboard"))
        events.Reload()
        return {name: {e.step: e.value for e in events.Scalars(name)} for name in events.Tags()["scalars"]}

    more = (
        "training.batch=8",
        "training.steps=3",
        "objective.lambda_id=0.002",
        "--recognizer",
        str(published),
    )
    train(replace(job(drawn_prepared, tmp_path / "one", *more[:3]), recognizer=published), CPU)
    finish(torchrun(drawn_prepared, tmp_path / "two", *more))
    one, two = scalars(tmp_path / "one"), scalars(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, values in one.items():
        assert two[name][1] == pytest.approx(values[1], rel=1e-4, abs=1e-6), name
    for name in ("loss/rec", "loss/y", "loss/awm", "attention/loss", "attention/mean"):
        assert two[name] == pytest.approx(one[name], rel=2e-3), name


def test_a_value_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    drawn_prepared, tmp_path
):
    poisoned = job(drawn_prepared, tmp_path)
    train(replace(poisoned, run=tmp_path), CPU, Callbacks(should_stop=stop_after(4)))
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    content["networks"]["D_A.score.weight"].fill_(3e38)
    torch.save(content, tmp_path / CHECKPOINT)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingStoppedError, match=r"not finite at step 5: .*critic/loss.*checkpoint\.pt"):
        train(poisoned, CPU)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_penalty_out_of_bounds_stops_the_run_and_keeps_the_last_good_checkpoint(drawn_prepared, tmp_path):
    steep = job(drawn_prepared, tmp_path)
    train(steep, CPU, Callbacks(should_stop=stop_after(4)))
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    for layer in (2, 4, 6, 8):
        content["networks"][f"D_A.features.{layer}.weight"] *= 10
    torch.save(content, tmp_path / CHECKPOINT)
    before = (tmp_path / CHECKPOINT).read_bytes()
    said = r"out of bounds at step 5: critic/penalty .*at most 1000.*checkpoint\.pt are good"
    with pytest.raises(TrainingStoppedError, match=said):
        train(steep, CPU)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_other_settings_in_the_same_folder_are_refused_and_named(whole, drawn_prepared):
    with pytest.raises(UserError, match=r"config\.training\.learning_rate was 0\.0005 and is 0\.001"):
        train(job(drawn_prepared, whole, "training.learning_rate=0.001"), CPU)


def test_a_finished_run_is_left_as_it_is(whole, drawn_prepared):
    before = weights(whole)
    state = train(job(drawn_prepared, whole), CPU)
    assert state.step == 6
    assert all(torch.equal(before[key], value) for key, value in weights(whole).items())


def test_the_identity_loss_needs_a_recogniser(drawn_prepared, tmp_path):
    with pytest.raises(UserError, match=r"needs a recogniser.*objective\.lambda_id=0"):
        train(job(drawn_prepared, tmp_path, "objective.lambda_id=0.002"), CPU)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file of weights in the form of the published Light CNNs."""
    file = tmp_path_factory.mktemp("published") / "lightcnn.pth"
    torch.save({"state_dict": build_lightcnn("lightcnn9").state_dict()}, file)
    return file


def test_the_identity_loss_trains_with_a_published_kind_of_recogniser(drawn_prepared, tmp_path, published):
    seen: dict[str, float] = {}
    base = job(drawn_prepared, tmp_path / "run", "objective.lambda_id=0.002", "training.steps=1")
    train(replace(base, recognizer=published), CPU, Callbacks(on_step=lambda _, values: seen.update(values)))
    assert seen["loss/id"] > 0 and seen["gradient/id"] > 0


class _OfFour(Runtime):
    """One of four processes, without the others to join its part with."""

    def gather(self, part):
        return part


def test_each_process_computes_a_part_of_the_vis_features_and_their_order_stays(drawn_prepared, tmp_path):
    network = build_lightcnn("lightcnn9").requires_grad_(False).eval()
    pairs, _ = open_pairs(job(drawn_prepared, tmp_path))
    parts = [
        vis_features(network, pairs, _OfFour(rank=rank, processes=4, device=CPU.device)) for rank in range(4)
    ]
    assert len(pairs.vis) == 9 and [len(part) for part in parts] == [3, 3, 3, 3]
    torch.testing.assert_close(torch.cat(parts)[:9], vis_features(network, pairs, CPU))


def test_the_identity_loss_may_compare_with_all_captures_of_a_person(drawn_prepared, tmp_path, published):
    losses = []
    callbacks = Callbacks(on_step=lambda _, values: losses.append(values["loss/id"]))
    for run in ("False", "True"):
        settings = ("objective.lambda_id=0.002", "training.steps=1", f"objective.id_person={run}")
        train(replace(job(drawn_prepared, tmp_path / run, *settings), recognizer=published), CPU, callbacks)
    assert losses[0] != losses[1]


def test_the_term_against_all_people_needs_a_recogniser_too(drawn_prepared, tmp_path, published):
    base = job(drawn_prepared, tmp_path / "run", "objective.lambda_people=0.1", "training.steps=1")
    with pytest.raises(UserError, match=r"needs a recogniser.*objective\.lambda_people=0"):
        train(base, CPU)
    seen: dict[str, float] = {}
    train(replace(base, recognizer=published), CPU, Callbacks(on_step=lambda _, values: seen.update(values)))
    assert seen["loss/people"] > 0 and "loss/id" not in seen


def test_the_identity_term_may_ask_several_recognisers(drawn_prepared, tmp_path, published):
    """The other one has a say; a run knows whom it asked."""
    other = tmp_path / "other.pth"
    torch.manual_seed(1)
    torch.save({"state_dict": build_lightcnn("lightcnn9").state_dict()}, other)
    base = job(drawn_prepared, tmp_path / "run", "objective.lambda_people=0.1", "training.steps=1")
    losses = []
    for beside in (published, other):
        work = replace(base, run=tmp_path / beside.stem, recognizer=published, beside=(beside,))
        train(work, CPU, Callbacks(on_step=lambda _, values: losses.append(values["loss/people"])))
    assert losses[0] > 0 and losses[0] != losses[1]
    with pytest.raises(UserError, match="beside"):
        train(replace(base, run=tmp_path / "other", recognizer=published), CPU)


def test_true_images_of_a_rendered_database_may_teach(drawn_prepared, drawn_database, tmp_path):
    seen: dict[str, float] = {}
    callbacks = Callbacks(on_step=lambda _, values: seen.update(values))
    base = job(drawn_prepared, tmp_path / "run", "objective.lambda_truth=30", "training.steps=1")
    with pytest.raises(UserError, match=r"lambda_truth=30\.0 needs true images: --truth DATABASE"):
        train(base, CPU)
    with pytest.raises(UserError, match=r"the true VIS image of a NIR capture is absent"):
        train(replace(base, truth=tmp_path), CPU)
    train(replace(base, truth=drawn_database), CPU, callbacks)
    # The first picture is near grey, and no true image is further from grey than black or white.
    assert 0 < seen["loss/truth"] < 30 * 1.5
    without = job(drawn_prepared, tmp_path / "other")
    with pytest.raises(UserError, match=r"objective\.lambda_truth is 0\); set it, or leave --truth out"):
        train(replace(without, truth=drawn_database), CPU)


def test_each_near_infrared_crop_gets_the_true_image_of_its_own_source(
    drawn_prepared, drawn_database, tmp_path, monkeypatch
):
    asked = []

    def noted(home, capture, size):
        asked.append(capture)
        return truth_crop(home, capture, size)

    monkeypatch.setattr("pcfh.methods.train.truth_crop", noted)
    base = job(drawn_prepared, tmp_path, "objective.lambda_truth=1")
    pairs, _ = open_pairs(replace(base, truth=drawn_database))
    assert len(asked) == len(pairs.nir_records)
    for source, crop in zip(asked, pairs.nir_records, strict=True):
        assert Path(source.path).stem in Path(crop.path).stem
        # Source and crop show the same 68 points, moved, turned and scaled alike.
        a, b = (np.array(points) - np.mean(points, 0) for points in (source.landmarks, crop.landmarks))
        z, w = a @ [1, 1j], b @ [1, 1j]
        assert abs(np.vdot(z, w)) == pytest.approx(np.linalg.norm(z) * np.linalg.norm(w), rel=1e-6)
        assert source.subject == crop.subject


def test_a_run_may_start_from_another_runs_generator(whole, drawn_prepared, tmp_path):
    base = job(drawn_prepared, tmp_path / "run", "training.learning_rate=1e-9", "training.ema=0.0")
    train(replace(base, start=whole / GENERATOR), CPU)
    started, about = load_generator(tmp_path / "run" / GENERATOR)
    first, before = load_generator(whole / GENERATOR)
    for key, value in first.state_dict().items():
        torch.testing.assert_close(started.state_dict()[key], value, atol=1e-6, rtol=0)
    assert (
        training_history(about) == [*training_history(before), *training_history(before)]
        and len(training_history(before)) == 1
    )
    with pytest.raises(UserError, match="start was"):
        train(base, CPU)


def test_a_generator_of_other_sizes_is_no_start(whole, drawn_prepared, tmp_path):
    wider = job(drawn_prepared, tmp_path / "run", "networks.generator_width=16")
    with pytest.raises(UserError, match=r"holds the generator pcfh .*'width': 8.*train pcfh .*'width': 16"):
        train(replace(wider, start=whole / GENERATOR), CPU)
    with pytest.raises(UserError, match=r"gone\.safetensors: no such file"):
        train(replace(wider, start=tmp_path / "gone.safetensors"), CPU)


@pytest.mark.parametrize("weight", ["0.002", "0"])
def test_an_absent_recogniser_is_named_whether_or_not_it_is_needed(drawn_prepared, tmp_path, weight):
    base = job(drawn_prepared, tmp_path / "run", f"objective.lambda_id={weight}")
    with pytest.raises(UserError, match=r"gone\.pth: no such file; give the path of a Light CNN's weights"):
        train(replace(base, recognizer=tmp_path / "gone.pth"), CPU)


def test_an_unknown_protocol_lists_the_known_ones(drawn_prepared, tmp_path):
    with pytest.raises(UserError, match="this database has: 1"):
        train(replace(job(drawn_prepared, tmp_path), protocol="7"), CPU)


def test_the_average_starts_as_the_generator_and_follows_it(drawn_prepared, tmp_path):
    start = begin(MethodLearner(job(drawn_prepared, tmp_path).config, CPU))
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            start.average.state_dict().values(), start.networks.G_A.state_dict().values(), strict=True
        )
    )
    state = train(job(drawn_prepared, tmp_path, "training.steps=1"), CPU)
    key = "whole.first.0.weight"
    first, moved = start.average.state_dict()[key], state.networks.G_A.state_dict()[key]
    torch.testing.assert_close(state.average.state_dict()[key], first + 0.9 * (moved - first))
    assert (tmp_path / GENERATOR).exists()


def test_the_mean_of_people_is_that_of_each_ones_captures():
    features = torch.arange(24.0).view(4, 2, 3) ** 2
    person, means = mean_of_people(features, ["b", "a", "b", "c"])
    assert person.tolist() == [1, 0, 1, 2]
    torch.testing.assert_close(means[1], (features[0] + features[2]) / 2)
    torch.testing.assert_close(means[[0, 2]], features[[1, 3]])


def test_settings_that_do_not_change_the_weights_may_differ_when_a_run_is_resumed(
    whole, drawn_prepared, tmp_path
):
    train(job(drawn_prepared, tmp_path), CPU, Callbacks(should_stop=stop_after(3)))
    free = ("training.log_every=2", "training.checkpoint_every=3", "training.warp_cache_mb=0")
    train(job(drawn_prepared, tmp_path, *free), CPU)
    assert_same_bits(whole, tmp_path)


def test_a_run_keeps_its_generators_of_some_images_in_half_the_bits(whole, drawn_prepared, tmp_path):
    batch = preset("tiny").training.batch
    kept = job(drawn_prepared, tmp_path, f"training.keep_every={2 * batch + 1}")
    train(kept, CPU, Callbacks(should_stop=stop_after(3)))
    early, about = load_generator(tmp_path / GENERATOR)
    (path,) = kept_generators(tmp_path)
    half, kept_about = load_generator(path)
    assert (path.name, kept_about) == (f"generator-{3 * batch:06d}.safetensors", about)
    assert path.stat().st_size < 0.6 * (tmp_path / GENERATOR).stat().st_size
    for name, weight in early.state_dict().items():
        torch.testing.assert_close(half.state_dict()[name], weight.half().float(), atol=0, rtol=0)
    train(kept, CPU)
    assert [load_generator(path)[1]["images"] for path in kept_generators(tmp_path)] == [3 * batch, 5 * batch]
    assert_same_bits(whole, tmp_path)


def test_an_extended_run_goes_on_with_the_rates_of_the_new_length(drawn_prepared, tmp_path):
    train(job(drawn_prepared, tmp_path), CPU)
    longer = job(drawn_prepared, tmp_path, "training.steps=8")
    with pytest.raises(UserError, match=r"planned to end at step 6, and is now to end at 8; .* --extend"):
        train(longer, CPU)
    assert train(replace(longer, extend=True), CPU).step == 8
    rates = [float(row["learning_rate"]) / 5e-4 for row in read_metrics(tmp_path)]
    assert rates == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3, 2 / 4, 1 / 4])
    assert train(longer, CPU).step == 8  # from now on, this is its planned end


def test_resumed_after_a_crash_it_gives_the_same_bits_and_drops_metrics_of_steps_done_again(
    whole, drawn_prepared, tmp_path
):
    def crash(step: int, _: object) -> None:
        if step == 6:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(job(drawn_prepared, tmp_path), CPU, Callbacks(on_step=crash))
    assert [row["step"] for row in read_metrics(tmp_path)] == list("12345")
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 4
    train(job(drawn_prepared, tmp_path), CPU)
    assert_same_bits(whole, tmp_path)
    cost = ("wall_seconds", "processor_seconds")
    first, second = (
        [{k: v for k, v in row.items() if k not in cost} for row in read_metrics(run)]
        for run in (whole, tmp_path)
    )
    assert first == second and [row["step"] for row in first] == list("123456")


def test_two_trainings_in_one_folder_are_refused(drawn_prepared, tmp_path):
    def again(step: int, _: object) -> None:
        train(job(drawn_prepared, tmp_path), CPU)

    with pytest.raises(UserError, match="another process is training there"):
        train(job(drawn_prepared, tmp_path), CPU, Callbacks(on_step=again))


@pytest.fixture(scope="module")
def five_people(tmp_path_factory):
    """Crops of five training people."""
    root, out = (tmp_path_factory.mktemp(name) for name in ("five", "five_prepared"))
    write_small_database(root, people=10)
    prepare(read_casia(root), out, PrepareOptions(sizes=(64,), backend="given", layout="casia"))
    return out


def test_people_held_out_are_scored_and_the_best_weights_kept(five_people, tmp_path, published):
    settings = ("training.validation=0.4", "training.validate_every=2")
    work = job(five_people, tmp_path / "run", *settings, recognizer=published)
    task = GeneratorTask(work, CPU)
    held_out = {record.subject for record in task._held_out.nir_records}
    assert len(held_out) == 2 and not held_out & {record.subject for record in task._pairs.nir_records}
    train(work, CPU)
    rows = read_metrics(tmp_path / "run")
    scores = {
        int(row["step"]): (float(row["validation/rank1"]), float(row["validation/cosine"]))
        for row in rows
        if row["validation/rank1"]
    }
    assert list(scores) == [2, 4, 6]
    _, about = load_generator(tmp_path / "run" / BEST)
    assert scores[about["step"]] == max(scores.values())


def test_scoring_people_held_out_changes_no_weight_and_survives_a_stop(five_people, tmp_path, published):
    often, seldom = (
        job(
            five_people,
            tmp_path / str(every),
            "training.validation=0.4",
            f"training.validate_every={every}",
            recognizer=published,
        )
        for every in (1, 6)
    )
    train(often, CPU, Callbacks(should_stop=stop_after(3)))
    train(often, CPU)
    train(seldom, CPU)
    assert_same_bits(often.run, seldom.run)


def test_people_can_be_held_out_only_where_there_are_enough_and_a_recogniser(
    drawn_prepared, tmp_path, published
):
    work = job(drawn_prepared, tmp_path / "run", "training.validation=0.4")
    with pytest.raises(UserError, match=r"training\.validation=0\.4 needs a recogniser"):
        train(work, CPU)
    with pytest.raises(UserError, match="3 people with NIR and VIS captures are too few to hold 2 out"):
        train(replace(work, recognizer=published), CPU)


def test_the_settings_file_of_a_run_gives_the_same_run(whole, drawn_prepared, tmp_path):
    config = configured("paper-256", file=whole / "config.toml")
    assert config == job(drawn_prepared, tmp_path).config
