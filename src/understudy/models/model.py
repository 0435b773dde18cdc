"""What every model of the house has, whatever it paints: its config and its networks by name.

Knows nothing of faces, masks, losses or files.
"""

from collections.abc import Callable

from torch import nn

from understudy.models.config import ModelConfig
from understudy.registry import Registry


class Model(nn.Module):
    """Networks that belong together. Attributes of the class are its networks."""

    config: ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def networks(self) -> dict[str, nn.Module]:
        """The networks under DFL's file names."""
        return dict(self.named_children())

    def frozen(self, *, random_warp: bool, parity: bool = False) -> frozenset[str]:
        """Names of the networks that don't learn with these settings."""
        return frozenset()


MODELS: Registry[Callable[[ModelConfig], Model]] = Registry("kind of model")
