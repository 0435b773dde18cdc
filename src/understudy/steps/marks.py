"""The mark a deliverable gets: what its workspace says, and what its frames were made from.

A finished file in, the same file signed out, or as it was where marking is off. Knows nothing of
how the file was made.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy import __version__
from understudy.files import remove_files, replacing
from understudy.job import Job
from understudy.steps.frames import clip_paths
from understudy.steps.video import merge_session
from understudy.workspace import SideName, Workspace

if TYPE_CHECKING:
    from understudy.media.label import Label
    from understudy.provenance.consent import Marking
    from understudy.provenance.ingredients import Source
    from understudy.provenance.mark import Mark, MarkDetails

OFF = "provenance: off by the workspace's setting"


def sign_film(partial: Path, out: Path, workspace: Workspace, job: Job) -> str:
    """Moves the film or picture to `out`, marked as the workspace says; one line for the report."""
    from understudy.provenance.consent import Preset, read_marking
    from understudy.provenance.container import sidecar_path
    from understudy.provenance.xmp import add_xmp

    marking = read_marking(workspace.root)
    if not marking.enabled:
        with replacing(out) as last:
            partial.replace(last)
        remove_files([sidecar_path(out)])  # it spoke of the film that lay here before
        return OFF
    job.message("signing")
    if marking.preset is not Preset.STUDIO:
        add_xmp(partial, _packet(workspace, marking, out))
    return _signed(partial, out, workspace, marking).sentence()


def sign_in_place(path: Path, workspace: Workspace, job: Job) -> str:
    """Signs a list of frames where it lies, unless the workspace says otherwise."""
    from understudy.provenance.consent import read_marking

    marking = read_marking(workspace.root)
    if not marking.enabled:
        return OFF
    job.message("signing")
    return _signed(path, path, workspace, marking).sentence()


def sign_cut(partial: Path, out: Path, clip: Path, workspace: Path | None, *, part: str) -> str:
    """Moves a part of a clip to `out`, with what the clip came with as its ingredient.

    It is marked as cut, no more: nobody's face was replaced. `workspace` may say otherwise.
    """
    from understudy.provenance.consent import Preset, read_consent, read_marking, status_sentence
    from understudy.provenance.container import sidecar_path
    from understudy.provenance.keys import studio_identity
    from understudy.provenance.mark import Action, MarkDetails, sign

    marking = None if workspace is None else read_marking(workspace)
    if marking is not None and not marking.enabled:
        with replacing(out) as last:
            partial.replace(last)
        remove_files([sidecar_path(out)])
        return OFF
    is_studio = marking is not None and marking.preset is Preset.STUDIO
    consent = None if workspace is None else read_consent(workspace)
    actions = (Action("c2pa.trimmed", part), Action("c2pa.transcoded", "encoded anew"))
    mark = sign(
        partial,
        out,
        details=MarkDetails(consent=status_sentence(consent), actions=actions),
        plate=clip,
        identity=studio_identity() if is_studio else None,
        sidecar_only=is_studio,
    )
    return mark.sentence()


@dataclass(frozen=True, slots=True)
class LabelWay:
    """The workspace's visible label, if there is one, and how a film carries it."""

    any: "Label | None"
    is_burned: bool

    @property
    def burned(self) -> "Label | None":
        """The label, if it is drawn into the pictures."""
        return self.any if self.is_burned else None

    @property
    def subtitle(self) -> "Label | None":
        """The label, if it is a track of its own."""
        return None if self.is_burned else self.any

    def sentence(self) -> str:
        """What the report says of it."""
        if self.any is None:
            return "none"
        how = "burned in" if self.is_burned else "a subtitle"
        return f"{self.any.text!r}, {self.any.corner}, {self.any.seconds:.1f} s, {how}"


def label_of(workspace: Workspace, *, seconds: float) -> LabelWay:
    """The label for a film that lasts so long."""
    from understudy.media.label import Label
    from understudy.provenance.consent import read_marking

    marking = read_marking(workspace.root)
    if not marking.label:
        return LabelWay(None, is_burned=True)
    length = min(marking.label_seconds or seconds, seconds)
    label = Label(marking.label, str(marking.label_corner), length)
    return LabelWay(label, is_burned=marking.label_as == "burned")


def check_can_sign(workspace: Workspace) -> None:
    """Nothing, if the key this workspace signs with is there.

    Raises:
        ProvenanceError: the studio's certificate is asked for and missing, or may not sign.
    """
    from understudy.provenance.consent import Preset, read_marking
    from understudy.provenance.keys import install_identity, studio_identity

    marking = read_marking(workspace.root)
    if marking.enabled:
        _ = studio_identity() if marking.preset is Preset.STUDIO else install_identity()


def _signed(path: Path, out: Path, workspace: Workspace, marking: "Marking") -> "Mark":
    from understudy.provenance.consent import Preset
    from understudy.provenance.keys import studio_identity
    from understudy.provenance.mark import sign

    is_studio = marking.preset is Preset.STUDIO
    plates = _sources(workspace, "dst")
    return sign(
        path,
        out,
        details=_details(workspace),
        plate=plates[0] if len(plates) == 1 else None,
        sources=_sources(workspace, "src"),
        identity=studio_identity() if is_studio else None,
        sidecar_only=is_studio,
    )


def _sources(workspace: Workspace, side: SideName) -> "list[Source]":
    """The clips of a side as they were when their frames were taken out."""
    from understudy.provenance.kept import kept_source

    found = [
        kept_source(
            clip,
            workspace.ingredients_dir,
            side=side,
            index=index,
            role="plate" if side == "dst" else f"src {index + 1}",
        )
        for index, clip in enumerate(clip_paths(workspace, side))
    ]
    return [each for each in found if each is not None]


def _details(workspace: Workspace) -> "MarkDetails":
    """What a deliverable's manifest says of how it was made."""
    from understudy.provenance.consent import read_consent, status_sentence
    from understudy.provenance.mark import MarkDetails
    from understudy.provenance.run_log import RunLog

    session = merge_session(workspace)
    return MarkDetails(
        consent=status_sentence(read_consent(workspace.root)),
        model_sha256=session.get("model", {}).get("sha256", ""),
        settings_sha256=session.get("made_by", ""),
        run_log_sha256=RunLog(workspace.reports_dir).head(),
    )


def _packet(workspace: Workspace, marking: "Marking", out: Path) -> bytes:
    from understudy.provenance.mark import COMPOSITE, TOOL
    from understudy.provenance.xmp import xmp_packet

    return xmp_packet(
        source_type=COMPOSITE, tool=f"{TOOL} {__version__}", aigc=_aigc(workspace, marking, out)
    )


def _aigc(workspace: Workspace, marking: "Marking", out: Path) -> dict[str, str] | None:
    """China's object, where the preset asks for it; the same for the same work."""
    from understudy.provenance.consent import Preset
    from understudy.provenance.mark import TOOL
    from understudy.provenance.xmp import aigc_object

    if marking.preset is not Preset.CN_GB45438:
        return None
    work = f"{merge_session(workspace).get('made_by', '')} {out.name}"
    content_id = hashlib.sha256(work.encode(errors="surrogateescape")).hexdigest()[:32]
    return aigc_object(producer=marking.producer or TOOL, content_id=content_id)


def aigc_metadata(workspace: Workspace, out: Path) -> dict[str, str]:
    """Tags for a film's container: China's object under its own key, where that is asked for."""
    from understudy.provenance.consent import read_marking
    from understudy.provenance.xmp import aigc_text

    marking = read_marking(workspace.root)
    aigc = _aigc(workspace, marking, out) if marking.enabled else None
    return {} if aigc is None else {"AIGC": aigc_text(aigc)}
