"""AMP: one decoder, and codes whose channels are taken from a src inter or a dst inter.

A config in, a `FaceModel` out. The share of channels that come from the src inter, the morph
factor, can be chosen when faces are merged: from the dst itself (0) to the src (1).
Weight-compatible with DeepFaceLab 2.0; written anew, licence as this project.
Source: reference "networks, losses, training", section 5.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from understudy.models.autoencoder import Decoder, Encoder
from understudy.models.config import ModelConfig
from understudy.models.face_model import (
    MODELS,
    FaceModel,
    Merged,
    Painted,
    Reconstruction,
    View,
    join,
    paint,
    split,
)

_ENCODER_LETTERS = frozenset("ut")
_DECODER_LETTERS = frozenset("dt")


class AmpEncoder(Encoder):
    """A face to a short code: the deep encoder, normalised, and the bottleneck in one network."""

    def __init__(self, *, resolution: int, width: int, num_code: int) -> None:
        super().__init__(resolution=resolution, width=width, letters=_ENCODER_LETTERS)
        self.dense1 = nn.Linear(self.num_out, num_code)

    def forward(self, face: Float[Tensor, "b 3 r r"]) -> Float[Tensor, "b n"]:
        """Code of each face."""
        code: Tensor = self.dense1(super().forward(face))
        return code


class AmpInter(nn.Module):
    """A short code to a small map."""

    def __init__(self, *, num_code: int, num_out: int, side: int) -> None:
        super().__init__()
        self.num_out, self.side = num_out, side
        self.dense2 = nn.Linear(num_code, side * side * num_out)

    def forward(self, code: Float[Tensor, "b n"]) -> Float[Tensor, "b c s s"]:
        """Map of each code."""
        flat: Tensor = self.dense2(code)
        return flat.view(-1, self.num_out, self.side, self.side)  # b (c h w) -> b c h w


class AmpModel(FaceModel):
    """Faces of both sides through one decoder; the swap lies on a path between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.encoder = AmpEncoder(
            resolution=config.resolution, width=config.e_dims, num_code=config.ae_dims
        )
        self.inter_src = self._inter()
        self.inter_dst = self._inter()
        self.decoder = Decoder(
            num_in=config.inter_dims,
            width=config.d_dims,
            mask_width=config.d_mask_dims,
            letters=_DECODER_LETTERS,
        )

    def _inter(self) -> AmpInter:
        config = self.config
        return AmpInter(
            num_code=config.ae_dims, num_out=config.inter_dims, side=config.resolution // 32
        )

    def frozen(self, *, random_warp: bool, parity: bool = False) -> frozenset[str]:
        """With `parity` both inters stay at their random first values, as the predecessor's do."""
        return frozenset({"inter_src", "inter_dst"}) if parity else frozenset()

    def view(
        self, src: Float[Tensor, "b 3 r r"], dst: Float[Tensor, "b 3 r r"], *, morph: float = 1.0
    ) -> View:
        """Both sides reconstructed, and the swap at `morph`."""
        flat = self.encoder(join(src, dst))
        src_flat, dst_flat = split(flat, len(src))
        src_code = self._src_code(src_flat, None)
        dst_code, swap = self._dst_codes(dst_flat, morph)
        faces, masks = self.decoder(torch.cat([src_code, dst_code, swap]))
        sizes = [len(src), len(dst), len(dst)]
        src_src, dst_dst, src_dst = faces.split(sizes)
        _, dst_dst_mask, src_dst_mask = masks.split(sizes)
        return View(src_src, dst_dst, dst_dst_mask, src_dst, src_dst_mask)

    def merge(self, dst: Float[Tensor, "b 3 r r"], *, morph: float = 1.0) -> Merged:
        """The swap of `dst` at `morph` (0 dst, 1 src), and both masks."""
        dst_code, swap = self._dst_codes(self.encoder(dst), morph)
        src_dst, src_dst_mask = self.decoder(swap)
        return Merged(src_dst, torch.sigmoid(self.decoder.mask_logits(dst_code)), src_dst_mask)

    def reconstruct(
        self,
        src: Float[Tensor, "b 3 r r"],
        dst: Float[Tensor, "b 3 r r"],
        *,
        channels: Bool[Tensor, "b n"] | None = None,
    ) -> Reconstruction:
        """Both sides through the networks; None as `channels` takes the first ones."""
        src_flat, dst_flat = split(self.encoder(join(src, dst)), len(src))
        codes = self._src_code(src_flat, channels), self.inter_dst(dst_flat)
        faces, masks = self.decoder(join(*codes))
        (src_src, dst_dst), (src_mask, dst_mask) = split(faces, len(src)), split(masks, len(src))
        return Reconstruction(
            Painted(src_src, src_mask, codes[0]), Painted(dst_dst, dst_mask, codes[1])
        )

    def reconstruct_side(
        self,
        faces: Float[Tensor, "b 3 r r"],
        *,
        is_src: bool,
        channels: Bool[Tensor, "b n"] | None = None,
    ) -> Painted:
        """Face, mask and code of one side alone."""
        flat = self.encoder(faces)
        code = self._src_code(flat, channels) if is_src else self.inter_dst(flat)
        return paint(self.decoder, code)

    def _src_code(self, flat: Tensor, channels: Tensor | None) -> Tensor:
        if channels is None:
            count = int(self.config.inter_dims * self.config.morph_factor)
            first = torch.arange(self.config.inter_dims, device=flat.device) < count
            channels = first.expand(len(flat), -1)
        from_src = channels[:, :, None, None]  # b n -> b n 1 1
        return torch.where(from_src, self.inter_src(flat), self.inter_dst(flat))

    def _dst_codes(self, flat: Tensor, morph: float) -> tuple[Tensor, Tensor]:
        """Code of the dst, and of the swap: the first channels from the src inter."""
        code = self.inter_dst(flat)
        count = int(self.config.inter_dims * morph)
        return code, torch.cat([self.inter_src(flat)[:, :count], code[:, count:]], dim=1)


def draw_channels(
    count: int, *, num_in: int, share: float, generator: torch.Generator
) -> Bool[Tensor, "b n"]:
    """Which of `num_in` channels the src inter makes, drawn anew for each of `count` src faces."""
    order = torch.rand(count, num_in, generator=generator).argsort(dim=1)
    return order < int(num_in * share)


@MODELS.register("AMP")
def amp(config: ModelConfig) -> FaceModel:
    """The one wiring there is."""
    return AmpModel(config)
