"""SAEHD: the df and liae wirings of encoder, inter and decoder.

A config in, a `FaceModel` out. df has a decoder per side; liae one decoder and two inters.
Weight-compatible with DeepFaceLab 2.0; written anew, licence as this project.
Source: reference "networks, losses, training", sections 2 and 3.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from understudy.models.autoencoder import Decoder, Encoder, Inter
from understudy.models.config import ModelConfig
from understudy.models.face_model import (
    MODELS,
    FaceModel,
    Merged,
    Painted,
    Reconstruction,
    SwapModel,
    View,
    join,
    paint,
    split,
)


class DfModel(SwapModel):
    """One code for both sides, a decoder for each: the swap keeps more of the src's likeness."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        letters, width = config.letters, config.ae_dims
        self.encoder = Encoder(resolution=config.resolution, width=config.e_dims, letters=letters)
        self.inter = Inter(
            num_in=self.encoder.num_out,
            width=width,
            num_out=width,
            resolution=config.resolution,
            letters=letters,
        )
        self.decoder_src = _decoder(config, num_in=width)
        self.decoder_dst = _decoder(config, num_in=width)

    def view(self, src: Float[Tensor, "b 3 r r"], dst: Float[Tensor, "b 3 r r"]) -> View:
        """Both sides reconstructed, and the swap."""
        src_code, dst_code = split(self.inter(self.encoder(join(src, dst))), len(src))
        (src_src, src_dst), (_, src_dst_mask) = (
            split(part, len(src)) for part in self.decoder_src(join(src_code, dst_code))
        )
        dst_dst, dst_dst_mask = self.decoder_dst(dst_code)
        return View(src_src, dst_dst, dst_dst_mask, src_dst, src_dst_mask)

    def merge(self, dst: Float[Tensor, "b 3 r r"]) -> Merged:
        """The swap of `dst`, with the masks both decoders paint."""
        code = self.inter(self.encoder(dst))
        src_dst, src_dst_mask = self.decoder_src(code)
        return Merged(src_dst, torch.sigmoid(self.decoder_dst.mask_logits(code)), src_dst_mask)

    def reconstruct(
        self,
        src: Float[Tensor, "b 3 r r"],
        dst: Float[Tensor, "b 3 r r"],
        *,
        channels: Bool[Tensor, "b n"] | None = None,
    ) -> Reconstruction:
        """Both sides through the networks, for training."""
        src_code, dst_code = split(self.inter(self.encoder(join(src, dst))), len(src))
        return Reconstruction(paint(self.decoder_src, src_code), paint(self.decoder_dst, dst_code))

    def reconstruct_side(
        self,
        faces: Float[Tensor, "b 3 r r"],
        *,
        is_src: bool,
        channels: Bool[Tensor, "b n"] | None = None,
    ) -> Painted:
        """Face, mask and code of one side alone."""
        decoder = self.decoder_src if is_src else self.decoder_dst
        return paint(decoder, self.inter(self.encoder(faces)))

    def paint_swap(
        self, dst_code: Float[Tensor, "b c s s"]
    ) -> tuple[Float[Tensor, "b 3 r r"], Float[Tensor, "b 1 r r"]]:
        """The dst's code through the src's decoder."""
        painted: tuple[Tensor, Tensor] = self.decoder_src(dst_code)
        return painted


class LiaeModel(SwapModel):
    """One decoder, and codes that mix a shared inter with the dst's own: keeps the dst's light."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        letters, width = config.letters, config.ae_dims
        self.encoder = Encoder(resolution=config.resolution, width=config.e_dims, letters=letters)
        self.inter_AB = self._inter(self.encoder.num_out)
        self.inter_B = self._inter(self.encoder.num_out)
        self.decoder = _decoder(config, num_in=4 * width)

    def _inter(self, num_in: int) -> Inter:
        width = self.config.ae_dims
        return Inter(
            num_in=num_in,
            width=width,
            num_out=2 * width,
            resolution=self.config.resolution,
            letters=self.config.letters,
        )

    def frozen(self, *, random_warp: bool, parity: bool = False) -> frozenset[str]:
        """`inter_AB` rests while faces go in unwarped."""
        return frozenset() if random_warp else frozenset({"inter_AB"})

    def _codes(self, src: Tensor, dst: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat = self.encoder(join(src, dst))
        src_ab, dst_ab = split(self.inter_AB(flat), len(src))
        dst_b = self.inter_B(flat[len(src) :])
        return _twice(src_ab), torch.cat([dst_b, dst_ab], dim=1), _twice(dst_ab)

    def view(self, src: Float[Tensor, "b 3 r r"], dst: Float[Tensor, "b 3 r r"]) -> View:
        """Both sides reconstructed, and the swap."""
        faces, masks = self.decoder(torch.cat(self._codes(src, dst)))
        sizes = [len(src), len(dst), len(dst)]
        src_src, dst_dst, src_dst = faces.split(sizes)
        _, dst_dst_mask, src_dst_mask = masks.split(sizes)
        return View(src_src, dst_dst, dst_dst_mask, src_dst, src_dst_mask)

    def merge(self, dst: Float[Tensor, "b 3 r r"]) -> Merged:
        """The swap of `dst`, with the masks of both codes."""
        flat = self.encoder(dst)
        ab, b = self.inter_AB(flat), self.inter_B(flat)
        src_dst, src_dst_mask = self.decoder(_twice(ab))
        dst_logits = self.decoder.mask_logits(torch.cat([b, ab], dim=1))
        return Merged(src_dst, torch.sigmoid(dst_logits), src_dst_mask)

    def reconstruct(
        self,
        src: Float[Tensor, "b 3 r r"],
        dst: Float[Tensor, "b 3 r r"],
        *,
        channels: Bool[Tensor, "b n"] | None = None,
    ) -> Reconstruction:
        """Both sides through the networks, for training."""
        src_code, dst_code, _ = self._codes(src, dst)
        faces, masks = self.decoder(join(src_code, dst_code))
        (src_src, dst_dst), (src_mask, dst_mask) = split(faces, len(src)), split(masks, len(src))
        return Reconstruction(
            Painted(src_src, src_mask, src_code), Painted(dst_dst, dst_mask, dst_code)
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
        ab = self.inter_AB(flat)
        code = _twice(ab) if is_src else torch.cat([self.inter_B(flat), ab], dim=1)
        return paint(self.decoder, code)

    def paint_swap(
        self, dst_code: Float[Tensor, "b c s s"]
    ) -> tuple[Float[Tensor, "b 3 r r"], Float[Tensor, "b 1 r r"]]:
        """The dst's part of the shared inter, twice."""
        painted: tuple[Tensor, Tensor] = self.decoder(_twice(dst_code.chunk(2, dim=1)[1]))
        return painted


def _twice(code: Tensor) -> Tensor:
    return torch.cat([code, code], dim=1)


def _decoder(config: ModelConfig, *, num_in: int) -> Decoder:
    return Decoder(
        num_in=num_in,
        width=config.d_dims,
        mask_width=config.d_mask_dims,
        letters=config.letters,
    )


@MODELS.register("SAEHD")
def saehd(config: ModelConfig) -> FaceModel:
    """The wiring `config.archi` names."""
    return DfModel(config) if config.is_df else LiaeModel(config)
