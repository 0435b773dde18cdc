"""The training loop, in the order it happens: batch, step, losses, health, previews, save, end.

Facesets, a model folder and options in; a trained model in the folder and a `TrainResult` out.
A run that is stopped, cancelled or killed goes on where it was, drawing what it would have drawn.
Knows no screens: everything is told to the job.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.errors import Cancelled, MemoryShortError, OptionError, StateError
from understudy.job import Job, Values
from understudy.training.loop.beginning import back_to_save, check_measurable, move_on
from understudy.training.loop.pace import SaveClock, learning_rate, share_done, why_ended
from understudy.training.loop.result import TrainResult, mean_of_last
from understudy.training.loop.setup import Setup
from understudy.training.loop.telling import Previews, Teller
from understudy.training.monitor.health import Health, Unhealthy
from understudy.training.plan.options import TrainOptions, without_effect
from understudy.training.plan.phases import Plan
from understudy.training.plan.setting import changed, told_of
from understudy.training.samples.batch import Batch
from understudy.training.samples.mask_batches import MaskBatch
from understudy.training.state.backups import backed_up_seconds
from understudy.training.state.history import is_likeness
from understudy.training.state.model_folder import ModelFolder
from understudy.training.step.face_step import StepLosses
from understudy.training.step.mask_step import MaskLosses
from understudy.training.step.portions import shortage_named
from understudy.types import FaceSample

ROLLBACKS_MAX = 3  # in a row, without a good save between them


def train(
    folder: ModelFolder,
    src: Sequence[FaceSample],
    *,
    dst: Sequence[FaceSample],
    options: TrainOptions,
    job: Job,
    plan: Plan | None = None,
) -> TrainResult:
    """Train the model in `folder`, from its last save or anew, until an end condition is met.

    A `plan` is followed from its first phase, or from where the model is in the same plan; without
    one, the model goes on with the plan it has, if any.

    Raises:
        MaterialError: a faceset is empty or too tight for the model.
        StateError: no save can be read, or training fails again and again.
        StorageError: the disk is full; the last save holds.
        MemoryShortError: there is no memory for one face of each side; the state was saved first.
        Cancelled: the user stopped the job; the state was saved first.
    """
    return Trainer(folder, src, dst=dst, options=options, job=job, plan=plan).run()


class Trainer(Setup):
    """One run of the loop."""

    def __init__(
        self,
        folder: ModelFolder,
        src: Sequence[FaceSample],
        *,
        dst: Sequence[FaceSample],
        options: TrainOptions,
        job: Job,
        plan: Plan | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(folder, src, dst=dst, options=options, job=job, plan=plan, device=device)
        check_measurable(self.state, can_measure=self._watch.can_measure)
        self._health = self._new_health()
        self._stopping, self._is_changed, self._measured_at = False, False, 0
        self._pending: list[Tensor] = []
        self._measures = {name: value for _, name, value in self.state.history.measures}
        self._teller = Teller(job, self.state, self._device)
        self._previews = Previews(folder.previews_dir, job)
        self._mark = time.monotonic()
        self._save_clock = SaveClock(self.state.seconds)
        self._shown_at = self.state.seconds
        self._backed_up_at = min(self.state.seconds, backed_up_seconds(folder.path))
        self._saved_iteration = self.state.iteration
        for name in without_effect(self._options, folder.config):
            job.message(f"{name} does nothing for this model and these settings")
        job.message(f"previews are written to {folder.previews_dir}")

    def run(self) -> TrainResult:
        """Iterates until an end condition is met."""
        try:
            reason = None
            while reason is None:
                try:
                    with shortage_named("an iteration", self._device):
                        reason = self._turn()
                except Unhealthy as illness:
                    self._roll_back(str(illness))
        except (Cancelled, MemoryShortError) as end:
            try:
                self._finish(looks=isinstance(end, Cancelled))  # which takes memory
            except Unhealthy as illness:
                self._job.message(f"{illness}: the last good save is kept")
            if isinstance(end, MemoryShortError):
                raise self._memory.advised(end, self._options) from end
            raise
        return TrainResult(
            reason=reason,
            iteration=self.state.iteration,
            seconds=self.state.seconds,
            losses={n: mean_of_last(c) for n, c in self.state.history.curves.items()},
            measures=dict(self._measures),
        )

    def _turn(self) -> str | None:
        """One iteration, or the finish; why the run is over, if it is."""
        self._move_on()
        reason = why_ended(self.state, self._options)
        if reason is None and not self._stopping:
            self._rest()
            self._iterate()
            self._keep()
            self._obey()
        reason = "stopped" if self._stopping else reason
        if reason is not None:
            self._finish()
        return reason

    def _iterate(self) -> None:
        """One iteration, and its losses told."""
        state = self.state
        split = self._teller.split
        split.begin(state.iteration)
        batch = split.timed("batch", self._batch)
        # each step takes what its own source gives
        losses = split.timed("step", lambda: self._step(batch))  # type: ignore[arg-type]
        state.iteration += 1
        self._pending.append(self._means(losses))
        self._count_time()
        if self._is_due():
            self._tell()

    def _keep(self) -> None:
        """What is due after the iteration: a measure, previews, a save, a backup."""
        state, options = self.state, self._options
        if state.plan is not None and state.plan.wants_measure(state.iteration):
            self._tell()
            measured = self._measure()
            score = float(np.mean([v for k, v in measured.items() if is_likeness(k)]))
            state.plan = state.plan.measured(state.iteration, score)
        first = state.iteration == 1
        if first or state.seconds - self._shown_at >= 60 * options.preview_minutes:
            self._show()
        every = 60 * options.backup_minutes
        backing_up = every > 0 and state.seconds - self._backed_up_at >= every
        if first or backing_up or self._save_clock.is_due(state, options):
            self._save()
        if backing_up:
            self._job.message(f"backup in {self._backup()}")

    def _batch(self) -> Batch | MaskBatch:
        options = self._options
        share = share_done(self.state, options)
        if options.lr_fall or options.lr_warmup:
            rate = learning_rate(options, iteration=self.state.iteration, share=share)
            self._step.set_learning_rate(rate)
        return self._draw(late=options.unwarped_end > 0 and share >= 1 - options.unwarped_end)

    def _draw(self, *, late: bool) -> Batch | MaskBatch:
        return (self._late_source if late else self._source).batch(self.state.iteration)

    def _means(self, losses: StepLosses | MaskLosses) -> Tensor:
        return torch.stack([loss.mean() for loss in losses])

    def _is_due(self) -> bool:
        """Whether to bring the losses over, which waits for the device."""
        return self._device.type == "cpu" or self._teller.is_due

    def _tell(self) -> None:
        """Bring the losses over from the device, check them, keep them, report the last ones."""
        if not self._pending:
            return
        rows = torch.stack(self._pending).cpu().double().tolist()
        self._pending.clear()
        history = self.state.history
        for losses in rows:
            number = history.start + len(history) + 1
            self._health.check_losses(*losses, iteration=number)
            history.add(*losses)
        rate = self._step.optimizer.learning_rate()
        self._teller.tell(self.state, self._options, learning_rate=rate)

    def _show(self) -> None:
        """Measure the faces kept aside and write the previews."""
        self._tell()
        self._measure()
        state = self.state
        self._previews.write(
            self._watch.sheets(self._source, self._step.optimizer.averaged),
            state.history,
            title=self._folder.path.name,
            iteration=state.iteration,
            seconds=state.seconds,
        )
        self._count_time()
        self._shown_at = state.seconds

    def _measure(self) -> dict[str, float]:
        """SSIM and PSNR of the faces kept aside; raises if they collapsed."""
        state = self.state
        measures = self._watch.measure(self._source, self._step.optimizer.averaged)
        self._measures.update(measures)
        for name, value in measures.items():
            state.history.measure(state.iteration, name, value)
            self._job.metric(name, value, step=state.iteration)
        structure = {k: v for k, v in measures.items() if is_likeness(k)}
        self._measured_at = state.iteration
        self._health.check_likeness(structure, iteration=state.iteration)
        return measures

    def _save(self, *, looks: bool = True) -> None:
        self._count_time()
        began = self.state.seconds
        self._tell()
        state = self._current()
        self._health.check_weights(state.tensors())
        if looks and self._measured_at != self.state.iteration:
            self._measure()
        if looks and self._health.is_doubtful:
            self._measure()  # a second bad look raises: what is bad is never saved
        self._folder.save(state)
        self._count_time()
        self._save_clock.saved(state, self._options, began=began)
        self._saved_iteration, self._is_changed = state.iteration, False

    def _backup(self) -> Path:
        self._backed_up_at = self.state.seconds
        return self._folder.backup()

    def _finish(self, *, looks: bool = True) -> None:
        """Last preview, unless it `looks` no more, and save, so that nothing is lost."""
        is_further = self.state.iteration > self._saved_iteration
        if not self._step.is_whole:
            raise Unhealthy("an update broke off in the middle")
        if is_further and looks:
            self._show()
        if is_further or self._is_changed:
            self._save(looks=looks)

    def _roll_back(self, reason: str) -> None:
        """Go back to the last save with other random draws.

        Raises:
            StateError: there is no save, or this happened too often.
        """
        failures = self._save_clock.failed(self.state)
        self._pending.clear()
        if not self._folder.has_save or failures > ROLLBACKS_MAX:
            raise StateError(
                self._folder.path,
                expected="training that goes on",
                found=f"{reason}, {failures} times in a row",
                remedy="Lower --learning-rate or turn on --clipgrad; the last good save is kept.",
            )
        say, again = self._job.message, failures > 1
        self.state = back_to_save(self._folder, self.state, reason, say, passing=int(again))
        self._prepare()
        self._health = self._new_health()
        self._saved_iteration = self.state.iteration

    def _move_on(self) -> None:
        """To the next phase of the plan, if the present one is over."""
        if not move_on(self.state, self._job.message):
            return
        plan = self.state.plan
        if plan is not None and not plan.is_over:
            self._tell()
            try:
                self._reprepare()
            except MemoryShortError:
                self._folder.save(self.state)
                raise
            self._save()

    def _reprepare(self) -> None:
        """Go on with options that have changed."""
        self._health.guards = self.state.acting.guard
        self._health.forget_losses()
        self._make_anew()

    def _new_health(self) -> Health:
        history, guards = self.state.history, self._options.guard
        return Health.after(history.measures, guards=guards, names=history.curves)

    # ------------------------------------------------------------------ what the user asks for

    def _obey(self) -> None:
        """Do what the user asked for since the last iteration."""
        self._job.obey(
            {
                "set": self._set,
                "save": self._save_now,
                "backup": self._backup_now,
                "preview": self._show_now,
                "stop": self._stop,
            }
        )

    def _set(self, values: Values) -> str:
        changes = changed(self.state.options, values)
        self._shown.check(changes)
        self._tell()
        before = self.state.options, self.state.plan
        self.state.change(changes)
        try:
            self._reprepare()
        except MemoryShortError as error:
            self.state.options, self.state.plan = before
            self._prepare()
            raise OptionError(
                f"set {told_of(changes)}",
                expected=error.expected,
                found=error.found,
                remedy=f"It stays as it was. {error.remedy}",
            ) from error
        self._is_changed = True
        return f"{told_of(changes)} from iteration {self.state.iteration + 1} on"

    def _save_now(self, _: Values) -> str:
        self._save()
        return f"saved at iteration {self.state.iteration}"

    def _backup_now(self, _: Values) -> str:
        self._save()
        return f"iteration {self.state.iteration} is kept in {self._backup()}"

    def _show_now(self, faces: Values) -> str:
        if faces:
            self._set({"values": {f"preview_{side}": names for side, names in faces.items()}})
        self._show()
        return f"preview of iteration {self.state.iteration} in {self._folder.previews_dir}"

    def _stop(self, _: Values) -> str:
        self._stopping = True
        return f"stopping after iteration {self.state.iteration}"

    def _rest(self) -> None:
        """Waits while paused, off the clock; commands are obeyed meanwhile."""
        self._count_time()
        while self._job.rest():
            self._mark = time.monotonic()
            self._obey()
        self._mark = time.monotonic()

    def _count_time(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self._mark
        self._mark = now
