"""What the loop of training works with: faces, networks, looks and batches.

A model folder, facesets and options in; a step, a watch and sources of batches out, made anew when
the options change. Does not know when any of it is used.
"""

from collections.abc import Sequence

import torch

from understudy.job import Job
from understudy.models.devices import choose_device
from understudy.models.face_model import as_face_model
from understudy.models.model import Model
from understudy.training.loop.beginning import (
    begin,
    phases_ahead,
    set_down,
    take_over,
    take_up,
    to_load_by,
)
from understudy.training.loop.sides import load_sides
from understudy.training.memory.preflight import Preflight
from understudy.training.monitor.shown import ShownFaces
from understudy.training.monitor.watch import Watch
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Plan
from understudy.training.samples.batches import WHOLE, BatchSource
from understudy.training.state.model_folder import ModelFolder
from understudy.training.state.train_state import TrainState
from understudy.training.step.face_step import TrainStep
from understudy.training.step.portions import shortage_named
from understudy.types import FaceSample


class Setup:
    """All that one run of training works with, and the state it changes."""

    _share = WHOLE

    def __init__(
        self,
        folder: ModelFolder,
        src: Sequence[FaceSample],
        *,
        dst: Sequence[FaceSample],
        options: TrainOptions,
        job: Job,
        plan: Plan | None,
        device: torch.device | None,
    ) -> None:
        if options.threads:
            torch.set_num_threads(options.threads)
        self._folder, self._options, self._job = folder, options, job
        self._device = device or choose_device(options.device)
        self._faces = (src, dst)
        folder.sweep()
        self._memory = Preflight(
            folder, self._device, make=self._new_step, say=job.message, processes=self._share.of
        )
        self._room = self._memory.plan(phases_ahead(options, plan))
        self.state = begin(folder, options, job.message)
        take_up(plan, self.state, job.message)
        self._load_sides()
        self._shown = ShownFaces(src, dst, config=folder.config, device=self._device, job=job)
        self._prepare()

    def _prepare(self) -> None:
        """Step, watch and sources for the options in force."""
        self._options = self.state.acting
        with shortage_named("the networks and their optimizer", self._device):
            self._step = self._new_step(self.state.model, self._options, self._device)
            take_over(self._step, self.state, self._job.message)
        self._watch = self._make_watch()
        self._source = self._make_source(self._options)
        still = self._options.model_copy(update={"random_warp": False})
        self._late_source = self._make_source(still)
        self._memory.fit(self._step, self._options)

    def _make_anew(self) -> None:
        """The same for options that have changed."""
        self._current()
        if self.state.acting.eyes_mouth_prio and not self._eyes_mouth:
            self._load_sides()
        self._memory.remember(self._step)
        if self._device.type != "cpu":
            set_down(self.state)
        del self._step, self._watch  # two of them at once may not fit the device
        self._prepare()

    def _current(self) -> TrainState:
        """The state with what the step has learned since."""
        self.state.optimizer = self._step.optimizer.state_tensors()
        self.state.optimizer_iteration = self._step.optimizer.iteration
        self.state.adversaries = self._step.adversaries.added_to(self.state.adversaries)
        return self.state

    # ------------------------------------------------------------------ what other models replace

    def _new_step(self, model: Model, options: TrainOptions, device: torch.device) -> TrainStep:
        return TrainStep(as_face_model(model), options, device=device, say=self._job.message)

    def _make_watch(self) -> Watch:
        return Watch(*self._sides, shown=self._shown(self._options), step=self._step)

    def _make_source(self, options: TrainOptions) -> BatchSource:
        (src, dst), config, attempt = self._sides, self._folder.config, self.state.attempt
        return BatchSource(src, dst, config, options, attempt=attempt, share=self._share)

    def _load_sides(self) -> None:
        options, config = to_load_by(self.state), self._folder.config
        self._eyes_mouth = options.eyes_mouth_prio
        self._sides = load_sides(
            self._faces,
            config=config,
            options=options,
            device=self._device,
            job=self._job,
            cache_dir=self._folder.path,
            share=self._share,
            room=self._room,
        )
