"""The networks merging may need, loaded only if the settings ask for them.

A workspace and settings in, functions out.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from understudy.errors import MaterialError
from understudy.job import Job
from understudy.merging.settings import MergeSettings
from understudy.types import FaceSample, FaceType, Image, Landmarks, Mask
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.masks.painter import MaskPainter
    from understudy.merging.predict import Enhancer, MaskNet, Networks
    from understudy.models.predictor import FacePredictor

GENERIC = "generic"
"""Name of the mask model that ships."""


def load_predictor(
    workspace: Workspace, name: str, *, averaged: bool, device: str, job: Job
) -> tuple["FacePredictor", dict[str, Any]]:
    """The trained model as a function, and what identifies it.

    Raises:
        MaterialError: there is no such model.
        StateError: it can't be loaded.
    """
    from understudy.models.devices import all_threads, choose_device
    from understudy.models.face_model import as_face_model
    from understudy.models.predictor import FacePredictor
    from understudy.training.state.model_folder import load_model

    path = workspace.model_dir / name
    if not path.is_dir():
        raise MaterialError(
            path,
            expected="a trained model",
            found="none",
            remedy=f"First: understudy train --workspace {workspace.root}",
        )
    all_threads()
    loaded = load_model(path, job.message, averaged=averaged)
    facts = {
        "name": name,
        "iteration": loaded.iteration,
        "averaged": averaged,
        "sha256": loaded.sha256,
    }
    return FacePredictor(as_face_model(loaded.model), device=choose_device(device)), facts


def load_networks(
    workspace: Workspace,
    mask_model: str,
    settings: Sequence[MergeSettings],
    *,
    device: str,
    job: Job,
) -> tuple["Networks", dict[str, Any]]:
    """What any of the `settings` needs beside the model, and what identifies it.

    Raises:
        MaterialError: there is no such mask model.
        WeightsError: the super-resolution network's weights are not there.
    """
    from understudy.merging.predict import Networks

    mask, enhance = None, None
    facts: dict[str, Any] = {}
    if any("XSeg" in one.mask_mode for one in settings):
        mask, facts["mask_model"] = _mask_net(workspace, mask_model, device=device, job=job)
    if any(one.super_resolution for one in settings):
        parity = any(one.dfl_parity for one in settings)
        enhance, facts["super_resolution"] = _enhancer(device, dfl_parity=parity), "dfl"
    return Networks(mask, enhance), facts


def _mask_net(
    workspace: Workspace, name: str, *, device: str, job: Job
) -> tuple["MaskNet", dict[str, Any]]:
    from understudy.masks.generic import generic_sha256, load_generic
    from understudy.masks.painter import MaskPainter
    from understudy.models.devices import choose_device
    from understudy.models.mask_net import as_mask_model
    from understudy.training.state.model_folder import load_model

    place = choose_device(device)
    if name == GENERIC:
        painter = MaskPainter(load_generic(), device=place)
        return _painted_by(painter), {"name": name, "sha256": generic_sha256()}
    path = workspace.model_dir / name
    if not (path / "config.json").exists():
        raise MaterialError(
            path,
            expected="a mask model",
            found="none",
            remedy="First: understudy mask train; or use the mask that ships: "
            f"--mask-model {GENERIC}",
        )
    loaded = load_model(path, job.message, averaged=True)
    facts = {"name": name, "iteration": loaded.iteration, "sha256": loaded.sha256}
    return _painted_by(MaskPainter(as_mask_model(loaded.model), device=place)), facts


def _painted_by(painter: "MaskPainter") -> "MaskNet":
    def paint(picture: Image, landmarks: Landmarks, face_type: FaceType) -> Mask:
        face = FaceSample(lambda: picture, landmarks, face_type)
        (mask,) = painter.paint([painter.prepare(face)])
        return mask

    return paint


def _enhancer(device: str, *, dfl_parity: bool) -> "Enhancer":
    from understudy.models.face_enhancer import enlarge_picture
    from understudy.steps.faceset.enhancers import dfl_network

    network = dfl_network(device)
    return lambda face: enlarge_picture(network, face, dfl_parity=dfl_parity)
