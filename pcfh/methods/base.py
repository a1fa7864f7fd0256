"""What a method is and which there are: settings, network, trainer; light, so that settings are checked soon.

A method is one file or folder in ``pcfh/methods`` that says ``METHOD = <class>``, or any class elsewhere that
``training.method=my_module:MyMethod`` names (``examples/my_method.py``). How it learns stands in its trainer,
see ``pcfh.methods.trainer``.

A file never makes the program import anything: a generator of a method from outside can be opened once its
user has named the method, by ``training.method=my_module:MyMethod``, by ``find_method`` or in the
environment, ``PCFH_METHODS=my_module:MyMethod`` (several are joined by commas).
"""

import os
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar

from pcfh.config import Count, FreeCount, FreeWhole, Positive, Precision, Share, Switch, Whole, nearest
from pcfh.errors import UserError
from pcfh.plugins import is_outside, outside, siblings

VARIABLE = "PCFH_METHODS"


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long, how fast and on what; the settings that all methods share.

    Attributes:
        method: what is trained: pcfh, pix2pix, cyclegan, or my_module:MyMethod for one of yours.
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
        ema: decay of the moving average of the generator's weights, which is what is saved to translate
            with; 0 saves the last weights.
        precision: "fp32", "bf16" for mixed precision, or "auto" for the latter where the device has
            arithmetic for it.
        flip: mirrors half of the pairs.
        levels: one exposure for all NIR images, in training and in use, see ``pcfh.levels``.
        vary_nir: other light, exposure and noise for the NIR images at each step.
        vary_camera: instead, each NIR image as one of many kinds of cameras would have taken it, see
            ``pcfh.methods.cameras``.
        validation: share of the training people who are held out, to score the generator on; 0 trains on
            all.
        warp_cache_mb: memory for warped images that were computed before.
        seed: of weights, pairs and everything else random.
        validate_every: steps between two scorings on the people held out.
        log_every: steps between scalars.
        image_every: steps between picture grids.
        checkpoint_every: steps between checkpoints.
        capture: on a GPU, replays each step as one CUDA graph; "auto" does without where it cannot be, "on"
            refuses.
        resident: keeps all captures on the GPU; "auto" does so where they take less than half of the free
            memory.
        fused_norm: on a GPU, normalises in bfloat16 by a kernel of ours; "auto" does so where the kernel is
            right and faster, "on" refuses to go on without.
        compiled: "on" compiles on a GPU those networks that are differentiated once (torch.compile), which
            takes a minute at the start; "auto" does not.
        keep_every: NIR images between generators that are kept beside the last one, to see how the training
            went; 0 keeps none.
    """

    method: str = "pcfh"
    size: Count = 256
    steps: FreeCount = 100_000
    batch: Count = 8
    group: Count = 8
    learning_rate: Positive = 2e-4
    critic_rate: Positive = 2e-4
    beta_1: Share = 0.5
    beta_2: Share = 0.999
    constant: Share = 0.5
    ema: Share = 0.999
    precision: Precision = "auto"
    flip: bool = True
    vary_nir: bool = False
    vary_camera: bool = False
    levels: bool = True
    validation: Share = 0.0
    warp_cache_mb: FreeWhole = 2048
    seed: Whole = 0
    validate_every: FreeCount = 500
    log_every: FreeCount = 20
    image_every: FreeCount = 500
    checkpoint_every: FreeCount = 500
    capture: Switch = "auto"
    resident: Switch = "auto"
    fused_norm: Switch = "auto"
    compiled: Switch = "auto"
    keep_every: FreeWhole = 0


# 128 x 128 on two processor cores: what the narrow presets of all methods share.
NARROW = Training(
    size=128, steps=540, batch=8, learning_rate=5e-4, log_every=10, image_every=100, checkpoint_every=100
)
# One image a step and no moving average, as Pix2Pix and CycleGAN were published; as many images as paper-256.
PUBLISHED = Training(
    batch=1,
    steps=800_000,
    ema=0.0,
    validate_every=4000,
    log_every=160,
    image_every=4000,
    checkpoint_every=4000,
)


def filled(training: Training, batch: int, rate: float) -> Training:
    """Other batches and rates for as many images, with the same memory of the moving average in images.

    Checkpoints and pictures take longer than steps of a GPU, so there are at least 500 steps between them.

    Args:
        training: to change.
        batch: images of a step.
        rate: of all networks.
    """
    share = batch / training.batch
    return replace(
        training,
        batch=batch,
        steps=max(1, round(training.steps / share)),
        learning_rate=rate,
        critic_rate=rate,
        ema=max(0.0, 1 - (1 - training.ema) * share) if training.ema else 0.0,
        validate_every=max(500, training.validate_every),
        image_every=max(500, training.image_every),
        checkpoint_every=max(500, training.checkpoint_every),
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a training run gives, with the data and the recogniser.

    A method adds groups of its own in a subclass, each a frozen dataclass.
    """

    training: Training = field(default_factory=Training)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a batch must bring.

    Attributes:
        recognizer: the setting whose value asks for features of a recogniser, e.g. objective.lambda_id.
        truth: the setting whose value asks for true VIS images.
        warped: whether warped images are looked at, which take far longer than all else.
    """

    recognizer: str | None = None
    truth: str | None = None
    warped: bool = False


class Method:
    """A method; subclass it.

    Attributes:
        name: as ``training.method`` and generator files say it; one from outside is named by its place.
        Settings: its configuration.
        network: class of the generator, which its files hold; or "module:Class", not to import it at once.
        trainer: class that teaches the networks, see ``pcfh.methods.trainer``; or "module:Class".
    """

    name: ClassVar[str] = ""
    Settings: ClassVar[type[Config]] = Config
    network: ClassVar[Any]
    trainer: ClassVar[Any]

    @classmethod
    def presets(cls) -> Mapping[str, Config]:
        """Settings by name, for ``--preset``."""
        return {}

    @classmethod
    def for_gpu(cls, config: Any, gigabytes: float) -> Any:
        """A preset's settings for a GPU: a batch that fills it, rates that go with the batch.

        As many images as before, see ``filled``.

        Args:
            config: one of ``presets``.
            gigabytes: memory of the GPU.
        """
        return config

    @classmethod
    def needs(cls, config: Any) -> Needs:
        """What batches must bring under some settings."""
        return Needs()

    @classmethod
    def check(cls, config: Any, processes: int) -> None:
        """Refuses settings of the method that cannot work together; ``checked`` has seen each alone.

        Raises:
            UserError: says which and what to set instead.
        """


def resolved(named: Any) -> Any:
    """A class of a method that was given as itself or as "module:Class"."""
    return pkgutil.resolve_name(named) if isinstance(named, str) else named


_outside: dict[str, type[Method]] = {}  # that the user has named


@cache
def built_in() -> Mapping[str, type[Method]]:
    """The methods of this folder by name, the default one first."""
    methods: Iterable[type[Method]] = siblings("pcfh.methods", "METHOD").values()
    return {m.name: m for m in sorted(methods, key=lambda m: (m.name != Training().method, m.name))}


def known_methods() -> Mapping[str, type[Method]]:
    """The methods of this folder, and those that the user has named."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(",")):
        find_method(name.strip())
    return {**built_in(), **_outside}


def find_method(name: str) -> type[Method]:
    """A method by its name, or by its place, "my_module:MyMethod".

    Raises:
        UserError: there is none.
    """
    known = {**built_in(), **_outside}
    if name not in known and is_outside(name):
        _outside[name] = known[name] = _imported(name)
    if name.lower() in known:
        name = name.lower()
    if name not in known:
        raise UserError(
            f"training.method={name}: no such method{nearest(name, known)} One of yours is my_module:MyMethod"
        )
    return known[name]


def _imported(place: str) -> type[Method]:
    """A class of a user's own module, which is named by its place."""
    method = outside(place)
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise UserError(f"{place}: expected a subclass of pcfh.methods.base.Method, got {method!r}")
    return type(method.__name__, (method,), {"name": place, "__doc__": method.__doc__})


def kind_of(network: Any) -> str:
    """The name of the method to which a network belongs, as generator files say it."""
    return next(name for name, m in known_methods().items() if isinstance(network, resolved(m.network)))
