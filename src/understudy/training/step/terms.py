"""What drives training beside reconstruction: style, discriminators, noise, what lies outside.

Painted sides and targets in, losses per sample out; each term is off unless an option (or AMP,
which always has some) asks for it. Changes nothing. Source: reference "networks, losses, training",
sections 10.1 and 10.2.
"""

import torch
from torch import Tensor

from understudy.models.face_model import FaceModel, Painted, SwapModel
from understudy.models.losses import Target, soft_mask
from understudy.models.style import (
    background_style_loss,
    face_style_loss,
    outside_loss,
    total_variation,
)
from understudy.training.plan.options import TrainOptions
from understudy.training.step.adversaries import Adversaries

_NOISE = 1e-6
_OUTSIDE_SRC, _OUTSIDE_DST = 0.02, 0.1


class Terms:
    """Extra losses of `model`, whose networks may be a narrower copy of the trained ones."""

    def __init__(self, model: FaceModel, options: TrainOptions, adversaries: Adversaries) -> None:
        self._model, self._options, self._adversaries = model, options, adversaries
        self._is_amp = model.config.kind == "AMP"
        self.has_style = isinstance(model, SwapModel) and bool(
            options.face_style_power or options.bg_style_power
        )

    def style(self, dst: Painted, dst_target: Target, src_target: Target) -> Tensor | None:
        """Distance of the swap's style from the dst's, told as part of the src's loss."""
        if not self.has_style or not isinstance(self._model, SwapModel):
            return None
        options, terms = self._options, []
        if options.face_style_power:
            # only the decoder is to learn colours: the code says what is seen, not how
            face, mask = self._model.paint_swap(dst.code.detach())
            wanted = (dst.face * dst.mask).detach()
            made = face * mask.detach()
            terms.append(face_style_loss(made, wanted, power=options.face_style_power))
        if options.bg_style_power:
            face, mask = self._model.paint_swap(dst.code)
            # the predecessor takes the mask of src faces, which are turned another way
            inside = soft_mask(src_target.mask if options.dfl_parity else mask.detach())
            loss = background_style_loss(
                face, dst_target.face, outside=1 - inside, power=options.bg_style_power
            )
            terms.append(loss)
        return torch.stack(terms).sum(dim=0)

    def silent(self, side: Painted, target: Target, *, is_src: bool) -> Tensor | None:
        """What drives a side without being told as its loss."""
        judged = self._adversaries.loss(side, target, is_src=is_src)
        terms = [] if judged is None else [judged]
        if target.weight is not None and (self._is_amp or (is_src and self._options.gan_power)):
            terms += self._calm(side.face, target, target.weight, is_src=is_src)
        return torch.stack(terms).sum(dim=0) if terms else None

    def _calm(self, face: Tensor, target: Target, weight: Tensor, *, is_src: bool) -> list[Tensor]:
        """Against noise, and against what the weighed losses leave free: the outside."""
        if not is_src:
            noise = total_variation(face * (1 - weight), parity=self._options.dfl_parity)
            outside = _OUTSIDE_DST * outside_loss(face, target.face, inside=weight)
            return [_NOISE * noise, outside]
        if not self._options.gan_power:
            return []
        noise = total_variation(face, parity=self._options.dfl_parity)
        return [_NOISE * noise, _OUTSIDE_SRC * outside_loss(face, target.face, inside=weight)]
