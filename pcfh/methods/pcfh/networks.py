"""All networks of the method that training changes, in one module."""

from torch import nn

from pcfh.methods.pcfh.attention import Attention
from pcfh.methods.pcfh.critic import Critic
from pcfh.methods.pcfh.generator import AuxiliaryGenerator, Generator
from pcfh.methods.pcfh.statistics_network import Estimator, StatisticsNetwork


class PCFH(nn.Module):
    """G_A, G_B, D_A and, unless switched off, the attention network and N_E.

    Args:
        size: side of the images in pixels.
        generator_width: channels at full size of G_A and G_B.
        generator_blocks: residual blocks of the global paths.
        local_blocks: residual blocks of each local path.
        critic_width: first layer of D_A.
        attention_width: first layer of the attention network; 0 builds none (w/o AWM).
        dependence_width: first layer of N_E's branches; 0 builds none (w/o MIC).
        patch_ramp: pixels over which G_A's local paths fade in.
        mi_estimator: what N_E's estimate is made of.
    """

    def __init__(  # noqa: PLR0913 - one argument per size
        self,
        *,
        size: int,
        generator_width: int,
        generator_blocks: int,
        local_blocks: int,
        critic_width: int,
        attention_width: int,
        dependence_width: int,
        patch_ramp: int = 0,
        mi_estimator: Estimator = "cosine",
    ) -> None:
        super().__init__()
        self.G_A = Generator(
            size=size,
            width=generator_width,
            blocks=generator_blocks,
            local_blocks=local_blocks,
            ramp=patch_ramp,
        )
        self.G_B = AuxiliaryGenerator(width=generator_width, blocks=generator_blocks)
        self.D_A = Critic(width=critic_width)
        self.Att = Attention(width=attention_width) if attention_width else None
        self.N_E: StatisticsNetwork | None = None
        if dependence_width:
            self.N_E = StatisticsNetwork(width=dependence_width, estimator=mi_estimator)
