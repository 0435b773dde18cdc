"""Models that training is measured by, under names: shape and batch as their users choose them."""

from dataclasses import dataclass

from understudy.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Case:
    """A model and the faces of each side in a batch."""

    config: ModelConfig
    batch_size: int


def _case(archi: str, resolution: int, dims: tuple[int, int, int, int], batch_size: int) -> Case:
    ae_dims, e_dims, d_dims, d_mask_dims = dims
    config = ModelConfig(
        kind="SAEHD",
        archi=archi,
        resolution=resolution,
        ae_dims=ae_dims,
        e_dims=e_dims,
        d_dims=d_dims,
        d_mask_dims=d_mask_dims,
    )
    return Case(config, batch_size)


CASES = {
    "df-ud-64": _case("df-ud", 64, (128, 32, 32, 16), 8),
    "df-ud-128": _case("df-ud", 128, (128, 64, 64, 22), 4),
    "liae-ud-128": _case("liae-ud", 128, (128, 64, 64, 22), 4),
}
"""Those a processor is measured by."""

CARD_CASES = {
    "df-ud-128": _case("df-ud", 128, (128, 64, 64, 22), 16),
    "liae-ud-128": _case("liae-ud", 128, (128, 64, 64, 22), 16),
    "df-ud-256": _case("df-ud", 256, (256, 64, 64, 22), 8),
    "liae-ud-256": _case("liae-ud", 256, (256, 64, 64, 22), 8),
    "df-ud-512": _case("df-ud", 512, (256, 64, 64, 22), 4),
    "liae-ud-512": _case("liae-ud", 512, (256, 64, 64, 22), 4),
}
"""Those an accelerator is measured by."""
