"""Configuration: frozen dataclasses, presets, and overrides from text.

Read by the command line and the training loop only; networks and losses get plain arguments. A schedule
is a function of the step, so nothing here ever changes during a run. Fields are int, float, bool or
str.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pcfh.errors import UserError

Precision = Literal["auto", "fp32", "bf16"]
MethodName = Literal["pcfh", "pix2pix", "cyclegan"]

# Fields that must not be zero; no number may be negative.
_POSITIVE = (
    *("generator_width", "local_blocks", "critic_width", "attention_width", "dependence_width", "width"),
    *("reference_size", "size", "steps", "batch", "learning_rate", "critic_rate"),
    *("log_every", "image_every", "checkpoint_every"),
)


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Sizes of the networks; the paper does not give them. The other methods do not use them.

    Attributes:
        generator_width: channels at full size of G_A and G_B.
        generator_blocks: residual blocks of the global paths.
        local_blocks: residual blocks of each local path.
        critic_width: first layer of D_A.
        attention_width: first layer of the attention network.
        dependence_width: first layer of each branch of N_E.
        patch_ramp: pixels over which the features of G_A's local paths fade in from the borders of their
            boxes, so that these are not seen in the image; 0, as in the paper, does not fade.
    """

    generator_width: int = 32
    generator_blocks: int = 4
    local_blocks: int = 2
    critic_width: int = 64
    attention_width: int = 32
    dependence_width: int = 32
    patch_ramp: int = 0


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Weights of the paper's terms (Sec. 3.3 and 4.2) and what it leaves open; of PCFH alone.

    Attributes:
        lambda_rec: lambda_1 of Eq. 2, a sum over channels and pixels at ``reference_size``.
        lambda_id: lambda_2 of Eq. 3, a sum over features; 0 trains without a recogniser.
        lambda_y: lambda_3 of Eq. 4, a mean.
        lambda_awm: lambda_4 of Eq. 8, a sum over channels and pixels at ``reference_size``.
        lambda_mic: lambda_5 of Eq. 9.
        alpha_fit: alpha_1 of Eq. 7, a mean.
        alpha_rank: alpha_2 of Eq. 7, a sum of singular values.
        alpha_sparse: alpha_3 of Eq. 7, a sum over pixels.
        rec_noise: standard deviation of Gaussian noise on what G_B sees, in [-1, 1] images; 0 in the paper.
            Noise drowns the faint marks in which G_A would otherwise hide the NIR image from D_A and show
            it to G_B.
        id_person: L_ID compares with the mean of F over all VIS captures of the person, which light, pose and
            expression move less than F of the one capture of the pair, as in the paper.
        lambda_people: weight of the identity term against all people of the training, in the place of or
            beside lambda_2's, which knows one person at a time; 0 in the paper. Needs a recogniser.
        people_margin: of that term: by how much the cosine with the own person shall be larger than those
            with all others.
        lambda_truth: weight of the distance to the true VIS image of the moment, a mean; 0 in the paper. Only
            rendered databases know it.
        id_shake: F sees the generated face shifted and blurred a little, otherwise at each step, so that
            no pattern pays that only F sees.
        symmetric_fit: the map of Eq. 7 dims whichever of the two images is lighter, not the generated one
            alone.
        reference_size: side of the images for which lambda_1 and lambda_4 are meant. At another size
            they are scaled so that the terms stay as large as there; the paper uses the same weights at
            144 and at 256.
        awm: attention warping module on; off is the ablation "w/o AWM".
        mic: mutual information constraint on; off is the ablation "w/o MIC".
        penalty: weight of the gradient penalty of D_A and N_E.
    """

    lambda_rec: float = 2.5e-5
    lambda_id: float = 0.002
    lambda_y: float = 0.1
    lambda_awm: float = 2.5e-5
    lambda_mic: float = 0.1
    alpha_fit: float = 3.0
    alpha_rank: float = 0.003
    alpha_sparse: float = 1e-6
    rec_noise: float = 0.0
    id_person: bool = False
    lambda_people: float = 0.0
    people_margin: float = 0.0
    lambda_truth: float = 0.0
    id_shake: bool = False
    symmetric_fit: bool = False
    reference_size: int = 256
    awm: bool = True
    mic: bool = True
    penalty: float = 10.0

    @property
    def needs_recognizer(self) -> bool:
        """Whether any identity term is on."""
        return self.lambda_id > 0 or self.lambda_people > 0


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Sizes and weights of Pix2Pix and CycleGAN, as published; PCFH does not use them.

    Attributes:
        width: channels of the first layer of their generators and discriminators.
        blocks: residual blocks of CycleGAN's generators: 6 for images up to 128 pixels, 9 above.
        lambda_l1: of Pix2Pix, weight of the mean absolute error.
        lambda_cycle: of CycleGAN, weight of the cycle consistency, a mean.
        lambda_identity: of CycleGAN, weight of leaving images of the target domain as they are, a mean; 0
            leaves it out, as the paper does for photographs. Its authors' program takes 5.
        pool: of CycleGAN, how many old fakes of each generator the discriminators are shown again.
    """

    width: int = 64
    blocks: int = 9
    lambda_l1: float = 100.0
    lambda_cycle: float = 10.0
    lambda_identity: float = 0.0
    pool: int = 50


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long, how fast and on what; the paper does not say.

    Attributes:
        method: what is trained: pcfh, pix2pix or cyclegan.
        size: side of the images in pixels.
        steps: generator updates.
        batch: NIR images of one step, over all processes.
        group: of PCFH, consecutive images among which Eq. 10 re-pairs; the batch of one process is a
            multiple of it. Fixed, so that the estimate does not depend on the number of processes.
        learning_rate: of Adam, for all networks but the following.
        critic_rate: of Adam, for D_A and N_E, or the discriminators.
        beta_1: of Adam.
        beta_2: of Adam.
        constant: share of the steps before the learning rates start to fall linearly to zero.
        ema: decay of the moving average of the translator's weights, which is what is saved to translate
            with; 0 saves the last weights.
        precision: "fp32", "bf16" for mixed precision, or "auto" for the latter where the device has
            arithmetic for it.
        flip: mirrors half of the pairs.
        vary_nir: other light, exposure and noise for the NIR images at each step.
        warp_cache_mb: memory for warped images that were computed before.
        seed: of weights, pairs and everything else random.
        log_every: steps between scalars.
        image_every: steps between picture grids.
        checkpoint_every: steps between checkpoints.
    """

    method: MethodName = "pcfh"
    size: int = 256
    steps: int = 100_000
    batch: int = 8
    group: int = 8
    learning_rate: float = 2e-4
    critic_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    constant: float = 0.5
    ema: float = 0.999
    precision: Precision = "auto"
    flip: bool = True
    vary_nir: bool = False
    warp_cache_mb: int = 2048
    seed: int = 0
    log_every: int = 20
    image_every: int = 500
    checkpoint_every: int = 500


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a training run gives, with the data and the recogniser."""

    networks: Networks = field(default_factory=Networks)
    objective: Objective = field(default_factory=Objective)
    baseline: Baseline = field(default_factory=Baseline)
    training: Training = field(default_factory=Training)


def paper_256() -> Config:
    """The paper's method at 256 x 256."""
    return Config()


def paper_144() -> Config:
    """The paper's method at 144 x 144."""
    return Config(objective=Objective(reference_size=144), training=Training(size=144, batch=16))


def cpu() -> Config:
    """128 x 128, narrow: trains on two processor cores in a quarter of an hour.

    Short runs need a stronger L_AWM than the paper's, or G_A first learns colours that serve G_B, and an
    attention map that takes no notice of which image is lighter (docs/results.md). Without the identity
    loss, which needs a recogniser: set objective.lambda_id with --recognizer.
    """
    return Config(
        networks=Networks(
            generator_width=16,
            generator_blocks=3,
            local_blocks=1,
            critic_width=24,
            attention_width=16,
            dependence_width=12,
        ),
        objective=Objective(reference_size=144, lambda_id=0.0, lambda_awm=1e-4, symmetric_fit=True),
        training=Training(
            size=128,
            steps=540,
            batch=8,
            learning_rate=5e-4,
            log_every=10,
            image_every=100,
            checkpoint_every=100,
        ),
    )


def best() -> Config:
    """Our improvements over ``cpu``; needs a recogniser.

    The identity loss, against the mean of a person's captures and through shaken faces; noise on what G_B
    sees; local paths that fade in; more steps. The weight of the identity loss suits the shipped recogniser,
    whose features have a norm of about 130,000; it goes with the inverse of that norm.
    """
    narrow = cpu()
    return dataclasses.replace(
        narrow,
        networks=dataclasses.replace(narrow.networks, patch_ramp=4),
        objective=dataclasses.replace(
            narrow.objective, lambda_id=5e-7, rec_noise=0.05, id_person=True, id_shake=True
        ),
        training=dataclasses.replace(narrow.training, steps=900),
    )


def rendered() -> Config:
    """``best`` where the true VIS image of each NIR capture is known, that is, on rendered faces.

    Needs a recogniser and the database's true images. These take the place of the warped image, of the cycle
    and of the mutual information constraint; the identity term is that against all people.
    """
    ours = best()
    return dataclasses.replace(
        ours,
        objective=dataclasses.replace(
            ours.objective,
            lambda_truth=30.0,
            lambda_id=0.0,
            lambda_people=0.06,
            lambda_rec=0.0,
            awm=False,
            mic=False,
        ),
        training=dataclasses.replace(ours.training, steps=1500),
    )


def tiny() -> Config:
    """64 x 64 and a handful of channels, for tests."""
    return Config(
        networks=Networks(
            generator_width=8,
            generator_blocks=1,
            local_blocks=1,
            critic_width=8,
            attention_width=8,
            dependence_width=8,
        ),
        objective=Objective(reference_size=144, lambda_id=0.0, lambda_awm=1e-4, symmetric_fit=True),
        training=Training(
            size=64,
            steps=300,
            batch=4,
            group=4,
            learning_rate=5e-4,
            precision="fp32",
            log_every=5,
            image_every=100,
            checkpoint_every=50,
        ),
    )


def pix2pix() -> Config:
    """Pix2Pix at 256 x 256 as published: batch 1, no moving average; as many images as ``paper_256``."""
    return _published("pix2pix")


def cyclegan() -> Config:
    """CycleGAN at 256 x 256 as published: batch 1, no moving average; as many images as ``paper_256``."""
    return _published("cyclegan")


def pix2pix_cpu() -> Config:
    """Pix2Pix at 128 x 128, half as wide: sees as many images as ``cpu``, in a third of the time."""
    return _narrow("pix2pix", Baseline(width=32))


def cyclegan_cpu() -> Config:
    """CycleGAN at 128 x 128, a quarter as wide: sees as many images as ``cpu``, in 1.2 times the time."""
    return _narrow("cyclegan", Baseline(width=16, blocks=6))


def _published(method: MethodName) -> Config:
    training = Training(
        method=method,
        batch=1,
        steps=800_000,
        ema=0.0,
        log_every=160,
        image_every=4000,
        checkpoint_every=4000,
    )
    return Config(objective=Objective(lambda_id=0.0), training=training)


def _narrow(method: MethodName, baseline: Baseline) -> Config:
    """Data, batch, steps and moving average of ``cpu``; learning rates as published."""
    training = dataclasses.replace(cpu().training, method=method, learning_rate=2e-4)
    return Config(objective=Objective(lambda_id=0.0), baseline=baseline, training=training)


PRESETS: Mapping[str, Callable[[], Config]] = {
    "paper-256": paper_256,
    "paper-144": paper_144,
    "cpu": cpu,
    "best": best,
    "rendered": rendered,
    "tiny": tiny,
    "pix2pix": pix2pix,
    "cyclegan": cyclegan,
    "pix2pix-cpu": pix2pix_cpu,
    "cyclegan-cpu": cyclegan_cpu,
}


def preset(name: str) -> Config:
    """Looks a preset up by name.

    Raises:
        UserError: there is none of that name; the text lists those there are.
    """
    if name not in PRESETS:
        raise UserError(f"no preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]()


def overridden(config: Config, assignments: Iterable[str]) -> Config:
    """Applies texts of the form group.field=value, e.g. training.steps=500.

    Raises:
        UserError: no such field (the text lists the known ones), or a value that is not of the field's
            type.
    """
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        known = known_fields()
        if key not in known:
            raise UserError(f"unknown setting {key!r}; expected one of\n  " + "\n  ".join(known))
        if not equals:
            raise UserError(f"setting {key!r} has no value; expected {key}=VALUE")
        group_name, _, name = key.partition(".")
        group = getattr(config, group_name)
        kind = next(f.type for f in dataclasses.fields(group) if f.name == name)
        value = _parse(text, kind, key)
        config = dataclasses.replace(config, **{group_name: dataclasses.replace(group, **{name: value})})
    return config


def known_fields() -> list[str]:
    """Every field as the overrides name it."""
    return [f"{group}.{name}" for group, fields in to_dict(Config()).items() for name in fields]


def to_dict(config: Config) -> dict[str, dict[str, Any]]:
    """Plain data for a checkpoint or a JSON file."""
    return dataclasses.asdict(config)


def completed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of an earlier version with the settings that it did not know, at their defaults.

    So a new setting's default must leave runs as they were without it.

    Args:
        record: what decided a result, with what ``to_dict`` gave as "config"; one without it stays as it is.
    """
    if "config" not in record:
        return dict(record)
    defaults, known = to_dict(Config()), record["config"]
    config = {group: {**defaults.get(group, {}), **known.get(group, {})} for group in {**defaults, **known}}
    return {**record, "config": config}


def from_dict(data: Mapping[str, Mapping[str, Any]]) -> Config:
    """Restores what ``to_dict`` gave."""
    return Config(
        networks=Networks(**data["networks"]),
        objective=Objective(**data["objective"]),
        baseline=Baseline(**data["baseline"]),
        training=Training(**data["training"]),
    )


def validate(config: Config, processes: int = 1) -> None:
    """Refuses values that cannot work together.

    Raises:
        UserError: says which and what to set instead.
    """
    _require_ranges(config)
    t = config.training
    if t.method == "pcfh":
        _require_groups(t, processes)
    if t.batch % processes:
        raise UserError(f"training.batch={t.batch}: expected a multiple of the processes, {processes}")
    for name in ("ema", "constant", "beta_1", "beta_2"):
        if getattr(t, name) >= 1:
            raise UserError(f"training.{name}={getattr(t, name)}: expected 0 <= value < 1")


def _require_groups(t: Training, processes: int) -> None:
    """Refuses a batch of which a process cannot make groups."""
    if t.group < 2:
        raise UserError(f"training.group={t.group}: Eq. 10 re-pairs inside a group, so it needs at least 2")
    if t.batch % (processes * t.group):
        raise UserError(
            f"training.batch={t.batch}: expected a multiple of processes x training.group = "
            f"{processes} x {t.group}"
        )


def _require_ranges(config: Config) -> None:
    """Refuses numbers that are negative, or zero where that means nothing."""
    for group, fields in to_dict(config).items():
        for name, value in fields.items():
            if isinstance(value, str):
                continue
            if value < 0 or (value == 0 and name in _POSITIVE):
                least = "a positive number" if name in _POSITIVE else "no negative number"
                raise UserError(f"{group}.{name}={value}: expected {least}")


def rate_factor(config: Config, step: int) -> float:
    """What the learning rates are multiplied by: one, then linear to zero at the last step."""
    t = config.training
    return min(1.0, (t.steps - step) / (t.steps * (1 - t.constant)))


def pixel_weight(weight: float, objective: Objective, size: int) -> float:
    """Scales the weight of a sum over pixels from ``reference_size`` to another size."""
    return weight * (objective.reference_size / size) ** 2


def _parse(text: str, kind: Any, key: str) -> int | float | bool | str:
    """Converts a text to the field's type; booleans are spelt true or false."""
    choices = ("true", "false") if kind is bool else get_args(kind)
    if choices:
        if text.lower() not in choices:
            raise UserError(f"{key}={text}: expected {' or '.join(choices)}")
        return text.lower() == "true" if kind is bool else text.lower()
    try:
        value = int(text) if kind is int else float(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise UserError(f"{key}={text}: expected {expected}") from None
    if not math.isfinite(value):
        raise UserError(f"{key}={text}: expected a finite number")
    return value
