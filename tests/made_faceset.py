"""A workspace with a small made faceset, whose truth is known."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from understudy.faces.align import align_image, face_matrix
from understudy.faces.pose import POSE_INDICES, POSE_POINTS
from understudy.facesets.dfl import write_face
from understudy.imaging.geometry import transform_points
from understudy.types import FaceSample, FaceType, Image
from understudy.workspace import Workspace

FRAME_PX = 320


def head_landmarks(yaw: float, pitch: float = 0.0, *, side: float = 160.0) -> np.ndarray:
    """68 points of the mean head turned so (radians), in the middle of a frame."""
    about_y = cv2.Rodrigues(np.array([0.0, yaw, 0.0]))[0]
    about_x = cv2.Rodrigues(np.array([-pitch, 0.0, 0.0]))[0]
    head = np.zeros((68, 3))
    head[list(POSE_INDICES)] = POSE_POINTS
    head[27:30] = np.linspace(head[30] - (0, 38, -20), head[30] - (0, 10, -6), 3)
    for middle_x, eye in ((-30, range(36, 42)), (30, range(42, 48))):
        angles = np.linspace(np.pi, -np.pi, 6, endpoint=False)
        ring = np.stack([12 * np.cos(angles), -5 * np.sin(angles), 0 * angles], 1)
        head[list(eye)] = ring + np.array([middle_x, -43, 0])
    angles = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    head[48:60] = np.stack([26 * np.cos(angles), 35 - 9 * np.sin(angles), 0 * angles - 15], 1)
    head[60:68] = np.stack(
        [20 * np.cos(angles[:8]), 35 - 3 * np.sin(angles[:8]), 0 * angles[:8] - 15], 1
    )
    turned = head @ (about_y @ about_x).T
    depth = 600.0 + turned[:, 2]
    scale = side / 150.0
    middle = FRAME_PX / 2
    return np.asarray(turned[:, :2] * scale * 600.0 / depth[:, None] + middle, np.float64)


def head_frame(seed: int, *, brightness: float = 0.5, detail: float = 0.25) -> Image:
    """A textured frame; the seed is its content."""
    rng = np.random.default_rng(seed)
    noise = np.asarray(rng.normal(0, 1, (FRAME_PX, FRAME_PX, 3)), np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    picture = brightness + detail * soft / soft.std()
    return np.asarray(np.clip(picture, 0, 1), np.float32)


def head_face(
    seed: int,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    brightness: float = 0.5,
    size: int = 128,
    kind: FaceType = FaceType.WHOLE,
) -> FaceSample:
    """The face a frame of that seed holds."""
    points = head_landmarks(yaw, pitch)
    frame, matrix = head_frame(seed, brightness=brightness), face_matrix(points, size, kind)
    return FaceSample(
        load=lambda: align_image(frame, matrix, size),
        landmarks=transform_points(points, matrix),
        face_type=kind,
        source_name=f"{seed:05d}.png",
        source_box=(80, 80, 240, 240),
        source_landmarks=points,
        frame_to_face=matrix,
    )


def make_workspace(root: Path, *, src: int = 6, dst: int = 4, size: int = 128) -> Workspace:
    """A workspace whose faces look left to right; src has a mask on its second face."""
    workspace = Workspace.create(root)
    for side, count in ((workspace.src, src), (workspace.dst, dst)):
        for index, yaw in enumerate(np.linspace(-0.6, 0.6, count) if count else ()):
            face = head_face(index + 1, yaw=float(yaw), size=size)
            if side.name == "src" and index == 1:
                mask = cv2.circle(np.zeros((256, 256), np.float32), (128, 140), 70, 1.0, -1)
                face = replace(face, mask=mask)
            write_face(side.aligned_dir / f"{index + 1:05d}_0.jpg", face, durable=False)
    return workspace
