"""Training as a straight port does it, to compare with: float32, planes, one operation at a time.

The same networks, losses and batches; torch's own optimizer; nothing of what makes ours fast.
"""

import torch

from understudy.models.face_model import FaceModel, join
from understudy.models.losses import Target, dssim_windows, reconstruction_loss, soft_mask
from understudy.training.samples.batch import Batch
from understudy.training.step.face_step import StepLosses


class PlainStep:
    """One iteration in float32 with autograd and Adam, both sides as one batch."""

    dtype = torch.float32

    def __init__(self, model: FaceModel, *, device: torch.device, rate: float) -> None:
        self._model = model.to(device)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=rate)

    def __call__(self, batch: Batch) -> StepLosses:
        """Losses before the update."""
        src, dst = batch.src, batch.dst
        painted = self._model.reconstruct(src.warped, dst.warped)
        mask = join(src.mask, dst.mask)
        target = Target(join(src.target, dst.target), mask, soft_mask(mask), None)
        face = join(painted.src.face, painted.dst.face)
        losses = reconstruction_loss(
            face,
            join(painted.src.mask, painted.dst.mask),
            target,
            windows=dssim_windows(face.shape[-1]),
        )
        self._optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        told = losses.detach()
        return StepLosses(told[: len(src.warped)], told[len(src.warped) :])
