"""A trained model as a function of one aligned face, for merging.

A picture in, a `Prediction` out. Callers may come from several threads: whoever comes while the
network is at work waits, and all who wait are answered by its next run, as one batch. Knows nothing
of frames or files.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from understudy.models.amp import AmpModel
from understudy.models.face_model import FaceModel
from understudy.types import FaceType, Image, Prediction


class FacePredictor:
    """Calls `model.merge` for pictures of `resolution` pixels, RGB 0..1.

    `morph` says how far AMP's swap goes, from the dst (0) to the src (1); other models have none.
    """

    def __init__(
        self,
        model: FaceModel,
        *,
        device: torch.device | str = "cpu",
        largest_batch: int = 16,
        morph: float = 1.0,
    ) -> None:
        self._morph = morph
        self.resolution: int = model.config.resolution
        self.face_type: FaceType = model.config.face_type
        self._model = model.to(device).eval()
        self._device = torch.device(device)
        self._largest = largest_batch
        self._waiting: list[tuple[Image, Future[Prediction]]] = []
        self._lock = threading.Lock()
        self._running = False
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")

    def __call__(self, face: Image) -> Prediction:
        """What the model makes of one dst face.

        Raises:
            ValueError: it is not of the model's resolution.
        """
        if face.shape != (self.resolution, self.resolution, 3):
            raise ValueError(f"a face of {self.resolution} pixels is needed, not {face.shape}")
        answer: Future[Prediction] = Future()
        with self._lock:
            self._waiting.append((face, answer))
            leads = not self._running
            self._running = True
        if leads:
            self._answer_all()
        return answer.result()

    def _answer_all(self) -> None:
        while True:
            with self._lock:
                batch = self._waiting[: self._largest]
                del self._waiting[: self._largest]
                if not batch:
                    self._running = False
                    return
            run = self._network.submit(self.predict, [face for face, _ in batch])
            error = run.exception()
            for place, (_, answer) in enumerate(batch):
                if error is None:
                    answer.set_result(run.result()[place])
                else:  # raised where the answer is waited for
                    answer.set_exception(error)

    @torch.inference_mode()
    def predict(self, faces: Sequence[Image]) -> list[Prediction]:
        """What the model makes of each face, in one run."""
        stacked = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).to(self._device)
        model = self._model
        merged = (
            model.merge(stacked, morph=self._morph)
            if isinstance(model, AmpModel)
            else model.merge(stacked)
        )
        face = merged.src_dst.float().permute(0, 2, 3, 1).cpu().numpy()
        mask = merged.src_dst_mask.float()[:, 0].cpu().numpy()
        dst_mask = merged.dst_mask.float()[:, 0].cpu().numpy()
        return [Prediction(*parts) for parts in zip(face, mask, dst_mask, strict=True)]
