"""A trained model as a function of one aligned face, for merging.

A picture in, a `Prediction` out. Callers may come from several threads: whoever comes while the
network is at work waits, and all who wait are answered by its next run, as one batch. Knows nothing
of frames or files.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch

from understudy.models.amp import AmpModel
from understudy.models.face_model import FaceModel
from understudy.types import FaceType, Image, Prediction


class FacePredictor:
    """Calls `model.merge` for pictures of `resolution` pixels, RGB 0..1.

    `morph` says how far AMP's swap goes, from the dst (0) to the src (1), where a call does not
    say; other models have none.
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
        self._waiting: list[tuple[Image, float, Future[Prediction]]] = []
        self._lock = threading.Lock()
        self._running = False
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")

    def morphed(self, morph: float) -> Callable[[Image], Prediction]:
        """The same at another morph."""
        return partial(self, morph=morph)

    def __call__(self, face: Image, *, morph: float | None = None) -> Prediction:
        """What the model makes of one dst face.

        Raises:
            ValueError: it is not of the model's resolution.
        """
        if face.shape != (self.resolution, self.resolution, 3):
            raise ValueError(f"a face of {self.resolution} pixels is needed, not {face.shape}")
        answer: Future[Prediction] = Future()
        with self._lock:
            self._waiting.append((face, self._morph if morph is None else morph, answer))
            leads = not self._running
            self._running = True
        if leads:
            self._answer_all()
        return answer.result()

    def _answer_all(self) -> None:
        while True:
            with self._lock:
                morph = self._waiting[0][1] if self._waiting else 0.0
                alike = [one for one in self._waiting if one[1] == morph]
                batch = alike[: self._largest]
                answered = {id(one) for one in batch}
                self._waiting = [one for one in self._waiting if id(one) not in answered]
                if not batch:
                    self._running = False
                    return
            run = self._network.submit(self.predict, [one[0] for one in batch], morph=morph)
            error = run.exception()
            for place, (_, _, answer) in enumerate(batch):
                if error is None:
                    answer.set_result(run.result()[place])
                else:  # raised where the answer is waited for
                    answer.set_exception(error)

    @torch.inference_mode()
    def predict(self, faces: Sequence[Image], *, morph: float | None = None) -> list[Prediction]:
        """What the model makes of each face, in one run."""
        amount = self._morph if morph is None else morph
        stacked = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).to(self._device)
        model = self._model
        merged = (
            model.merge(stacked, morph=amount)
            if isinstance(model, AmpModel)
            else model.merge(stacked)
        )
        face = merged.src_dst.float().permute(0, 2, 3, 1).cpu().numpy()
        mask = merged.src_dst_mask.float()[:, 0].cpu().numpy()
        dst_mask = merged.dst_mask.float()[:, 0].cpu().numpy()
        return [Prediction(*parts) for parts in zip(face, mask, dst_mask, strict=True)]
