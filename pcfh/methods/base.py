"""What the training loop knows of a method, and how the methods are built.

A method is a set of networks that learn together. For every batch it fills the gradients of all of them and
moves nothing; the loop then averages the gradients over the processes, takes one step of Adam and lets the
moving average of the translator follow. So all networks of a method move at once, away from the same weights.
What a method draws at random in a step it draws from PyTorch's generator, which the loop seeds for each step
and process; what a step changes besides weights lies in buffers of the networks. That is why a run can go on
bit for bit, whatever its method.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from pcfh import config as configuration
from pcfh.config import Config
from pcfh.devices import mixes
from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.cyclegan import CycleGAN, CycleGANNetworks
from pcfh.methods.pcfh.method import PCFHMethod
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.terms import LossWeights
from pcfh.methods.pix2pix import Pix2Pix, Pix2PixNetworks
from pcfh.methods.translators import Translator
from pcfh.runtime import Runtime


@runtime_checkable
class Method(Protocol):
    """Networks that learn together, and the gradients of a batch."""

    @property
    def networks(self) -> nn.Module:
        """All networks in one module; a checkpoint keeps its weights and buffers."""

    @property
    def translator(self) -> Translator:
        """The one of them that turns NIR into VIS: its moving average is what the run is for."""

    @property
    def critics(self) -> Sequence[nn.Module]:
        """Those of them that learn at the critics' rate; all others learn at the generators'."""

    @property
    def needs_warped(self) -> bool:
        """Whether it looks at ``Batch.warped``, which is not made for those that do not."""

    def backward(self, batch: Batch) -> Values:
        """Puts the gradient of every network into its parameters' ``grad``; updates nothing.

        Returns:
            Detached numbers by name, to be logged: ``loss/...`` are terms with their weights.
        """

    def pictures(self, batch: Batch, output: Image) -> Mapping[str, Image]:
        """What else is worth a look beside input, VIS capture and output, by title, in [-1, 1]."""


def build_method(config: Config, runtime: Runtime, recognizer: nn.Module | None) -> Method:
    """Builds the configuration's method, its networks with new weights on the runtime's device.

    Args:
        config: of the run.
        runtime: this process among the others.
        recognizer: F, for methods that have an identity loss.
    """
    return _BUILDERS[config.training.method](config, runtime, recognizer)


def pcfh_networks(config: Config) -> PCFH:
    """The networks of PCFH, with random weights."""
    n, o = config.networks, config.objective
    return PCFH(
        size=config.training.size,
        generator_width=n.generator_width,
        generator_blocks=n.generator_blocks,
        local_blocks=n.local_blocks,
        critic_width=n.critic_width,
        attention_width=n.attention_width if o.awm else 0,
        dependence_width=n.dependence_width if o.mic else 0,
        patch_ramp=n.patch_ramp,
    )


def _pcfh(config: Config, runtime: Runtime, recognizer: nn.Module | None) -> Method:
    return PCFHMethod(
        pcfh_networks(config).to(runtime.device), recognizer, term_weights(config, runtime.device)
    )


def _pix2pix(config: Config, runtime: Runtime, _: nn.Module | None) -> Method:
    b, t = config.baseline, config.training
    networks = Pix2PixNetworks(size=t.size, width=b.width)
    return Pix2Pix(
        networks.to(runtime.device), lambda_l1=b.lambda_l1, bf16=mixes(t.precision, runtime.device)
    )


def _cyclegan(config: Config, runtime: Runtime, _: nn.Module | None) -> Method:
    b, t = config.baseline, config.training
    networks = CycleGANNetworks(size=t.size, width=b.width, blocks=b.blocks, pool=b.pool, seed=t.seed)
    return CycleGAN(
        networks.to(runtime.device),
        runtime,
        lambda_cycle=b.lambda_cycle,
        lambda_identity=b.lambda_identity,
        bf16=mixes(t.precision, runtime.device),
    )


_BUILDERS: Mapping[str, Callable[[Config, Runtime, nn.Module | None], Method]] = {
    "pcfh": _pcfh,
    "pix2pix": _pix2pix,
    "cyclegan": _cyclegan,
}


def term_weights(config: Config, device: torch.device) -> LossWeights:
    """The weights of PCFH's terms at the size of the images, and how a device computes them."""
    o, t = config.objective, config.training
    return LossWeights(
        lambda_rec=configuration.pixel_weight(o.lambda_rec, o, t.size),
        lambda_id=o.lambda_id,
        lambda_people=o.lambda_people,
        people_margin=o.people_margin,
        lambda_truth=o.lambda_truth,
        lambda_y=o.lambda_y,
        lambda_awm=configuration.pixel_weight(o.lambda_awm, o, t.size),
        lambda_mic=o.lambda_mic,
        alpha=(o.alpha_fit, o.alpha_rank, o.alpha_sparse),
        rec_noise=o.rec_noise,
        id_shake=o.id_shake,
        symmetric_fit=o.symmetric_fit,
        penalty=o.penalty,
        group=t.group,
        bf16=mixes(t.precision, device),
    )
