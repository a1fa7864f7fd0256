"""PCFH, the method of the paper: its settings and presets. Terms stand in ``losses``, a step in ``step``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pcfh.config import Count, Weight, Whole
from pcfh.errors import UserError
from pcfh.methods.base import NARROW, Config, Method, Needs, Training, filled

# Of Eq. 9. The paper's 0.1, for an N_E that it does not describe, would be far louder than L_AWM.
LAMBDA_MIC = 0.02
GPU_BATCH, GPU_RATE = 64, 2e-4  # four times the rate let D_A's penalty explode after 10,000 to 36,000 images
GPU_GIGABYTES = 0.35  # of a step of paper-256 in bfloat16, for an image


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Sizes of the networks; the paper does not give them.

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

    generator_width: Count = 32
    generator_blocks: Whole = 4
    local_blocks: Count = 2
    critic_width: Count = 64
    attention_width: Count = 32
    dependence_width: Count = 32
    patch_ramp: Whole = 0


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Weights of the paper's terms (Sec. 3.3 and 4.2) and what it leaves open.

    Attributes:
        lambda_rec: lambda_1 of Eq. 2, a sum over channels and pixels at ``reference_size``.
        lambda_id: lambda_2 of Eq. 3, a sum over features; 0 trains without a recogniser.
        lambda_y: lambda_3 of Eq. 4, a mean.
        lambda_awm: lambda_4 of Eq. 8, a sum over channels and pixels at ``reference_size``.
        lambda_mic: lambda_5 of Eq. 9; for the estimator below.
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
        eye_weight: of that term: how much more the middle of an eye counts than other pixels.
        id_shake: F sees the generated face shifted and blurred a little, otherwise at each step, so that
            no pattern pays that only F sees.
        symmetric_fit: the map of Eq. 7 dims whichever of the two images is lighter, not the generated one
            alone.
        reference_size: side of the images for which lambda_1 and lambda_4 are meant. At another size
            they are scaled so that the terms stay as large as there; the paper uses the same weights at
            144 and at 256.
        awm: attention warping module on; off is the ablation "w/o AWM".
        mic: mutual information constraint on; off is the ablation "w/o MIC".
        penalty: weight of the gradient penalty of D_A, and of N_E where it is bilinear.
        mi_estimator: what N_E is and what is estimated: "cosine" of both images' codes and Eq. 10; "jsd" and
            "infonce", two other estimates from that cosine; or "bilinear" under a penalty and Eq. 10, the
            form before, which stays near 0.
        lambda_ad: weight of L_ad, which has none in Eq. 1.
    """

    lambda_rec: Weight = 2.5e-5
    lambda_id: Weight = 0.002
    lambda_y: Weight = 0.1
    lambda_awm: Weight = 2.5e-5
    lambda_mic: Weight = LAMBDA_MIC
    alpha_fit: Weight = 3.0
    alpha_rank: Weight = 0.003
    alpha_sparse: Weight = 1e-6
    rec_noise: Weight = 0.0
    id_person: bool = False
    lambda_people: Weight = 0.0
    people_margin: Weight = 0.0
    lambda_truth: Weight = 0.0
    eye_weight: Weight = 0.0
    id_shake: bool = False
    symmetric_fit: bool = False
    reference_size: Count = 256
    awm: bool = True
    mic: bool = True
    penalty: Weight = 10.0
    mi_estimator: Literal["cosine", "jsd", "infonce", "bilinear"] = "cosine"
    lambda_ad: Weight = 1.0


@dataclass(frozen=True, kw_only=True)
class PCFHConfig(Config):
    """Settings of PCFH."""

    networks: Networks = field(default_factory=Networks)
    objective: Objective = field(default_factory=Objective)


class PCFH(Method):
    """The paper's method: G_A, G_B, D_A, the attention network and N_E."""

    name = "pcfh"
    Settings = PCFHConfig
    network = "pcfh.methods.pcfh.generator:Generator"
    trainer = "pcfh.methods.pcfh.pcfh_trainer:PCFHTrainer"

    @classmethod
    def presets(cls) -> Mapping[str, Config]:
        """The paper's, those for processors, our improvements, and one for tests."""
        return {
            "paper-256": PCFHConfig(),
            "paper-144": paper_144(),
            "cpu": cpu(),
            "best": best(),
            "rendered": rendered(),
            "tiny": tiny(),
        }

    @classmethod
    def for_gpu(cls, config: Any, gigabytes: float) -> Any:
        """The largest batch up to 64 that fits; not for tests."""
        t, n = config.training, config.networks
        if t.size < NARROW.size:
            return config
        image = GPU_GIGABYTES * (t.size / 256) ** 2 * n.generator_width / Networks().generator_width
        batch = GPU_BATCH
        while batch > t.batch and batch * image > 0.8 * gigabytes:
            batch //= 2
        return replace(config, training=filled(t, batch, GPU_RATE)) if batch > t.batch else config

    @classmethod
    def needs(cls, config: Any) -> Needs:
        """A recogniser for any identity term, true images for theirs, warped ones for attention warping."""
        o = config.objective
        weights = {"objective.lambda_id": o.lambda_id, "objective.lambda_people": o.lambda_people}
        return Needs(
            recognizer=next((name for name, weight in weights.items() if weight), None),
            truth="objective.lambda_truth" if o.lambda_truth else None,
            warped=o.awm,
        )

    @classmethod
    def check(cls, config: Any, processes: int) -> None:
        """Refuses a batch of which a process cannot make groups."""
        t = config.training
        if t.group < 2:
            raise UserError(
                f"training.group={t.group}: Eq. 10 re-pairs inside a group, so it needs at least 2"
            )
        if t.batch % (processes * t.group):
            raise UserError(
                f"training.batch={t.batch}: expected a multiple of processes x training.group = "
                f"{processes} x {t.group}"
            )


def paper_144() -> PCFHConfig:
    """The paper's method at 144 x 144."""
    return PCFHConfig(objective=Objective(reference_size=144), training=Training(size=144, batch=16))


def cpu() -> PCFHConfig:
    """128 x 128, narrow: trains on two processor cores in a quarter of an hour.

    Short runs need a stronger L_AWM than the paper's, or G_A first learns colours that serve G_B, and an
    attention map that takes no notice of which image is lighter (docs/results.md). Without the identity
    loss, which needs a recogniser: set objective.lambda_id with --recognizer.
    """
    return PCFHConfig(
        networks=Networks(
            generator_width=16,
            generator_blocks=3,
            local_blocks=1,
            critic_width=24,
            attention_width=16,
            dependence_width=12,
        ),
        objective=Objective(reference_size=144, lambda_id=0.0, lambda_awm=1e-4, symmetric_fit=True),
        training=NARROW,
    )


def best() -> PCFHConfig:
    """Our improvements over ``cpu``; needs a recogniser.

    The identity loss, against the mean of a person's captures and through shaken faces; noise on what G_B
    sees; local paths that fade in; more steps. The weight of the identity loss suits the shipped recogniser,
    whose features have a norm of about 130,000; it goes with the inverse of that norm.
    """
    narrow = cpu()
    return replace(
        narrow,
        networks=replace(narrow.networks, patch_ramp=4),
        objective=replace(narrow.objective, lambda_id=5e-7, rec_noise=0.05, id_person=True, id_shake=True),
        training=replace(narrow.training, steps=900),
    )


def rendered() -> PCFHConfig:
    """``best`` where the true VIS image of each NIR capture is known, that is, on rendered faces.

    Needs a recogniser and the database's true images. These take the place of the warped image, of the cycle
    and of the mutual information constraint; the identity term is that against all people.
    """
    ours = best()
    return replace(
        ours,
        objective=replace(
            ours.objective,
            lambda_truth=30.0,
            lambda_id=0.0,
            lambda_people=0.06,
            lambda_rec=0.0,
            awm=False,
            mic=False,
        ),
        training=replace(ours.training, steps=1500),
    )


def tiny() -> PCFHConfig:
    """64 x 64 and a handful of channels, for tests."""
    return PCFHConfig(
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


METHOD = PCFH
