"""The training loop of a mask net: what differs from that of a face model, and nothing else.

A model folder, labelled faces and options in; a trained model in the folder out. Batches, steps and
looks are those of masks; saves, health, phases, commands and resume are the trainer's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from understudy.job import Job
from understudy.models.mask_net import MaskModel, as_mask_model
from understudy.models.model import Model
from understudy.training.loop.result import TrainResult
from understudy.training.loop.trainer import Trainer
from understudy.training.monitor.mask_watch import MaskWatch
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Plan
from understudy.training.samples.bank import build_bank
from understudy.training.samples.held_out import names_in_time, split_held_out
from understudy.training.samples.labels import Material, label_planes
from understudy.training.samples.mask_batches import MaskSide, MaskSource
from understudy.training.samples.planes import covers, face_planes
from understudy.training.state.history import History
from understudy.training.state.model_folder import ModelFolder
from understudy.training.state.train_state import TrainState, loss_names
from understudy.training.step.mask_step import MaskStep
from understudy.types import FaceSample, FaceType

_SHOWN = 4  # faces of each side


def train_masks(
    folder: ModelFolder,
    material: Material,
    *,
    shown: Mapping[str, Sequence[FaceSample]],
    options: TrainOptions,
    job: Job,
    plan: Plan | None = None,
    hard: bool = False,
) -> TrainResult:
    """Train the mask model in `folder` on `material`, from its last save or anew, as `train` does.

    `shown` are faces of src and of dst for the previews. `hard` varies faces further, for a model
    that is to work on any clip.

    Raises:
        StateError: no save can be read, or training fails again and again.
        StorageError: the disk is full; the last save holds.
        Cancelled: the user stopped the job; the state was saved first.
    """
    trainer = MaskTrainer(
        folder, material, shown=shown, options=options, job=job, plan=plan, hard=hard
    )
    return trainer.run()


class MaskTrainer(Trainer):
    """The trainer with batches, steps and looks of masks."""

    def __init__(
        self,
        folder: ModelFolder,
        material: Material,
        *,
        shown: Mapping[str, Sequence[FaceSample]],
        options: TrainOptions,
        job: Job,
        plan: Plan | None = None,
        hard: bool = False,
    ) -> None:
        self._material, self._beside, self._hard = material, shown, hard
        super().__init__(folder, material.faces, dst=(), options=options, job=job, plan=plan)

    def _load_sides(self) -> None:
        options, config, faces = self.state.acting, self._folder.config, self._material.faces
        self._eyes_mouth = options.eyes_mouth_prio
        trained, held_out = split_held_out(
            names_in_time(faces), share=options.held_out, seed=options.seed
        )
        bank = build_bank(
            faces,
            resolution=config.resolution,
            face_type=config.face_type,
            device=self._device,
            job=self._job,
            parity=options.dfl_parity,
            side="labelled faces",
            workers=self._job.workers,
            cache_dir=self._folder.path,
            device_bytes=self._room.device_bytes,
            host_bytes=self._room.host_bytes,
            planes_of=label_planes,
        )
        self._mask_side = MaskSide(bank, trained, held_out)
        self._pictures = {
            name: pictures
            for name, beside in self._beside.items()
            if (pictures := _pictures(beside, config.resolution, config.face_type)) is not None
        }

    # What follows is of masks where the trainer's is of two sides; the loop only hands it on.

    def _new_step(  # type: ignore[override]
        self, model: Model, options: TrainOptions, device: torch.device
    ) -> MaskStep:
        return MaskStep(as_mask_model(model), options, device=device, say=self._job.message)

    def _make_watch(self) -> MaskWatch:  # type: ignore[override]
        pictures = {name: faces.to(self._device) for name, faces in self._pictures.items()}
        return MaskWatch(self._mask_side, pictures, step=self._step)  # type: ignore[arg-type]

    def _make_source(self, options: TrainOptions) -> MaskSource:  # type: ignore[override]
        return MaskSource(
            self._mask_side,
            self._folder.config,
            options,
            attempt=self.state.attempt,
            hard=self._hard,
        )


def _pictures(faces: Sequence[FaceSample], resolution: int, face_type: FaceType) -> Tensor | None:
    """A few faces spread over the clip, (b, 3, r, r); None without any that is wide enough."""
    places = np.linspace(0, len(faces) - 1, min(_SHOWN, len(faces))).astype(int)
    chosen = [faces[int(k)] for k in places]
    planes = [
        face_planes(face, size=resolution, face_type=face_type, eyes_mouth=False)[:3]
        for face in chosen
        if covers(face.face_type, face_type)
    ]
    return torch.from_numpy(np.stack(planes)).float() / 255 if planes else None


def begin_from(folder: ModelFolder, model: MaskModel, options: TrainOptions) -> None:
    """Let a new model begin with the weights of another of its shape, as if saved untrained."""
    state = TrainState(folder.config, model, options, history=History.of(loss_names(folder.config)))
    folder.save(state)
