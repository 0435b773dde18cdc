"""What holds for every merge: the plate kept where the mask is 0, depth, place, repeatability."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_plate import (
    NETWORKS,
    RESOLUTION,
    Model,
    disc,
    landmarks_at,
    ones,
    plate_of,
    tinted,
    zeros,
)
from understudy.errors import OptionError, StateError
from understudy.imaging.color import COLOR_TRANSFERS
from understudy.merging.masking import MASK_MODES
from understudy.merging.merge import merge_face, merge_into
from understudy.merging.motion import Motion
from understudy.merging.overlay import OVERLAYS
from understudy.merging.predict import Networks, align_face
from understudy.merging.settings import MergeSettings
from understudy.types import FaceType, Prediction

PLATES = [np.uint8, np.uint16, np.float32]
LEARNED = [name for name in MASK_MODES if "learned" in name and "XSeg" not in name]


@pytest.mark.parametrize("dtype", PLATES)
@pytest.mark.parametrize("mask_mode", LEARNED)
@pytest.mark.parametrize("dfl_parity", [False, True])
def test_an_empty_mask_leaves_the_plate_bit_identical(dtype, mask_mode, dfl_parity):
    plate = plate_of((121, 163), dtype)
    if dfl_parity and dtype is np.float32:
        # Parity cuts to 8-bit levels, so only a plate that holds such can stay as it is.
        plate = plate_of((121, 163)).astype(np.float32) / np.float32(255)
    options = MergeSettings(mask_mode=mask_mode, dfl_parity=dfl_parity)
    result, mask = merge_into(plate, [landmarks_at(80, 60, 50)], Model(tinted, zeros), options)
    assert np.array_equal(result, plate)
    assert not mask.any()


@pytest.mark.parametrize("dtype", PLATES)
@settings(max_examples=15, deadline=None)
@given(
    x=st.floats(-30, 200),
    y=st.floats(-30, 150),
    side=st.floats(6, 120),
    degrees=st.floats(-180, 180),
    blur=st.floats(0, 200),
    erode=st.floats(-120, 120),
    scale=st.floats(-50, 100),
)
def test_the_plate_is_kept_wherever_the_mask_is_0(dtype, x, y, side, degrees, blur, erode, scale):
    plate = plate_of((121, 163), dtype)
    kept = plate.copy()
    options = MergeSettings(blur_mask=blur, erode_mask=erode, face_scale=scale)
    landmarks = landmarks_at(x, y, side, degrees)
    result, mask = merge_into(plate, [landmarks], Model(tinted, disc), options)
    assert np.array_equal(plate, kept)
    assert result.dtype == plate.dtype
    assert result.shape == plate.shape
    assert mask.shape == plate.shape[:2]
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1
    assert np.array_equal(result[mask == 0], plate[mask == 0])


CHOICES = [
    *({"mode": mode} for mode in OVERLAYS),
    *({"mask_mode": mode} for mode in MASK_MODES),
    *({"color_transfer": name} for name in COLOR_TRANSFERS),
    *({"mode": "seamless", "color_transfer": name} for name in COLOR_TRANSFERS),
    {"mode": "hist-match", "masked_hist_match": False, "hist_match_threshold": 200},
    {"sharpen_mode": "box", "sharpen_amount": 3.0},
    {"sharpen_mode": "gaussian", "sharpen_amount": 8.0, "motion_blur": 60.0},
    {"sharpen_amount": -15.0, "super_resolution": 50.0},
    {"denoise": 120.0, "bicubic_degrade": 40.0, "color_degrade": 50.0},
    {"two_pass": "face", "pre_sharpen": 20.0},
    {"two_pass": "face+mask", "mode": "seamless-hist-match"},
]


@pytest.mark.parametrize("dfl_parity", [False, True])
@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: " ".join(map(str, c.values())))
def test_every_choice_repeats_itself(choice, dfl_parity):
    options = MergeSettings(**choice, dfl_parity=dfl_parity)
    plate, landmarks = plate_of((120, 160)), landmarks_at(80, 60, 50, 12)
    first, second = (
        merge_into(
            plate,
            [landmarks],
            Model(tinted, disc),
            options,
            motions=[Motion(9.0, 40.0)],
            networks=NETWORKS,
            seed=3,
        )
        for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert first[1].max() > 0.9
    if not dfl_parity and first[0].shape == plate.shape:
        assert (
            np.array_equal(first[0][first[1] == 0], plate[first[1] == 0])
            or choice.get("mode") == "raw-rgb"
        )


@pytest.mark.parametrize("dtype", PLATES)
@pytest.mark.parametrize("mode", [m for m in OVERLAYS if not m.startswith("raw")])
@pytest.mark.parametrize("linear_edges", [False, True])
def test_every_mode_keeps_the_plate_bit_for_bit_outside_the_matte(dtype, mode, linear_edges):
    plate = plate_of((120, 160), dtype)
    if dtype is not np.uint8:
        plate[5:20, 5:20] = (
            np.float32(2.5) if dtype is np.float32 else 65535
        )  # past white, or at it
    options = MergeSettings(
        mode=mode,
        linear_edges=linear_edges,
        match_grain=100.0,
        sharpen_mode="gaussian",
        sharpen_amount=5.0,
        motion_blur=50.0,
        color_degrade=30.0,
    )
    result, mask = merge_into(
        plate,
        [landmarks_at(80, 60, 50)],
        Model(tinted, disc),
        options,
        motions=[Motion(9.0, 40.0)],
    )
    assert result.dtype == plate.dtype
    assert result[mask == 0].tobytes() == plate[mask == 0].tobytes()
    assert (mask == 0).sum() > 5000
    assert mode == "original" or (result != plate).sum() > 3000


def test_edges_in_linear_light_are_brighter_between_dark_and_bright():
    plate = np.full((160, 200, 3), 30, np.uint8)
    model = Model(lambda face: np.full_like(face, 0.9), disc)
    landmarks = [landmarks_at(100, 70, 60)]
    results = [
        merge_into(
            plate, landmarks, model, MergeSettings(color_transfer="none", linear_edges=linear)
        )
        for linear in (False, True)
    ]
    (plain, mask), (linear, _) = results
    edge = (mask > 0.2) & (mask < 0.8)
    assert (linear[edge].astype(int) - plain[edge] > 10).all()
    inside = mask >= 1
    assert np.array_equal(linear[inside], plain[inside])


@pytest.mark.parametrize("color_transfer", ["idt", "idt-m", "sot-m", "mix-m"])
def test_the_seed_draws_for_random_transfers(color_transfer):
    options = MergeSettings(color_transfer=color_transfer)
    plate, landmarks = plate_of((120, 160)), landmarks_at(80, 60, 50, 12)
    results = [
        merge_into(plate, [landmarks], Model(tinted, disc), options, seed=seed)[0]
        for seed in (1, 2)
    ]
    difference = np.abs(results[0].astype(int) - results[1].astype(int))
    assert 0 < difference.max() < 24


@pytest.mark.parametrize(
    ("values", "told"),
    [({"mask_mode": "XSeg-dst"}, "mask model"), ({"super_resolution": 5.0}, "super-resolution")],
)
def test_a_network_that_is_not_there_is_told(values, told):
    with pytest.raises(OptionError, match=told):
        merge_into(
            plate_of((120, 160)),
            [landmarks_at(80, 60, 50)],
            Model(tinted, disc),
            MergeSettings(**values),
        )


def test_a_mask_model_is_asked_only_by_modes_that_name_it():
    asked = []

    def count(face: np.ndarray, landmarks: np.ndarray, face_type: FaceType) -> np.ndarray:
        asked.append(face)
        return ones(256)

    for mode, calls in (("learned-prd", 0), ("XSeg-dst", 1), ("XSeg-prd*XSeg-dst", 2)):
        asked.clear()
        merge_into(
            plate_of((120, 160)),
            [landmarks_at(80, 60, 50)],
            Model(tinted, disc),
            MergeSettings(mask_mode=mode),
            networks=Networks(count),
        )
        assert len(asked) == calls


def test_the_nearer_face_covers():
    plate = np.full((200, 260, 3), 90, np.uint8)
    near, far = landmarks_at(150, 100, 80), landmarks_at(100, 100, 50)

    def flat(face: np.ndarray) -> np.ndarray:
        flat.count += 1
        return np.full_like(face, 0.2 if flat.count == flat.near else 0.8)

    options = MergeSettings(color_transfer="none", mask_mode="learned-prd", blur_mask=0)
    pictures = []
    for order in ([near, far], [far, near]):
        flat.count, flat.near = 0, 1 if order[0] is near else 2
        pictures.append(merge_into(plate, order, Model(flat, disc), options)[0])
    assert np.array_equal(pictures[0], pictures[1])
    assert (pictures[0][100, 130] == 51).all()


@pytest.mark.parametrize("dtype", PLATES)
@pytest.mark.parametrize("color_transfer", list(COLOR_TRANSFERS))
def test_a_model_that_changes_nothing_gives_nearly_the_plate(dtype, color_transfer):
    plate = plate_of((360, 480), dtype)
    options = MergeSettings(mask_mode="full", color_transfer=color_transfer)
    model = Model(lambda face: face, ones)
    result, mask = merge_into(plate, [landmarks_at(240, 180, 38, 20)], model, options)
    peak = np.iinfo(dtype).max if dtype is not np.float32 else 1.0
    error = np.abs(result.astype(np.float64) - plate)[mask > 0] / peak
    assert (mask > 0).sum() > 3000
    assert error.mean() < 0.008  # the grain the model's resolution cannot hold
    shift = (result.astype(np.float64) - plate)[mask > 0].mean() / peak
    assert abs(shift) < 0.001


def test_the_original_is_the_plate_with_the_faces_mask():
    plate, landmarks = plate_of((120, 160)), landmarks_at(80, 60, 50)
    overlaid = merge_into(plate, [landmarks], Model(tinted, disc), MergeSettings())
    original = merge_into(plate, [landmarks], Model(tinted, disc), MergeSettings(mode="original"))
    assert np.array_equal(original[0], plate)
    assert np.array_equal(original[1], overlaid[1])
    assert not np.array_equal(overlaid[0], plate)


def test_the_bare_face_is_the_models_answer():
    options = MergeSettings(mode="raw-predict", mask_mode="learned-prd")
    plate = plate_of((120, 160))
    model = Model(lambda face: np.full_like(face, 0.25), disc)
    face, mask = merge_into(plate, [landmarks_at(80, 60, 50)], model, options)
    assert face.shape == (RESOLUTION, RESOLUTION, 3)
    assert (face == 64).all()
    assert np.abs(mask - disc(RESOLUTION)).max() < 0.01
    black, empty = merge_into(plate, [], model, options)
    assert black.shape == face.shape
    assert not black.any()
    assert not empty.any()


def test_what_lies_before_the_face_does_not_colour_it():
    plate = plate_of((160, 160))
    plate[..., 1:] = plate[..., 1:] // 2 + 40  # reddish, as skin
    landmarks = landmarks_at(80, 70, 60)
    covered = plate.copy()
    covered[88:] = (20, 250, 30)  # a desk before the chin
    model = Model(lambda face: np.clip(face * 0 + plate_face, 0, 1), disc)
    clean = align_face(plate, landmarks, size=RESOLUTION, face_type=FaceType.FULL,
                       settings=MergeSettings())  # fmt: skip
    plate_face = clean.image[:, ::-1]
    results = [merge_into(p, [landmarks], model, MergeSettings())[0] for p in (plate, covered)]
    seen = np.abs(results[0][:80].astype(int) - results[1][:80].astype(int))
    assert seen.max() <= 12, "the face is coloured as without the desk"
    assert seen.mean() < 1


def test_without_faces_the_plate_is_copied():
    plate = plate_of((33, 57), np.uint16)
    result, mask = merge_into(plate, [], Model(tinted, ones), MergeSettings())
    assert np.array_equal(result, plate)
    assert result is not plate
    assert not mask.any()


def test_every_face_is_predicted_from_the_untouched_plate():
    plate = plate_of((200, 300))
    faces = [landmarks_at(90, 100, 60), landmarks_at(130, 100, 60), landmarks_at(240, 90, 40)]
    alone = Model(tinted, disc)
    for face in faces:
        merge_into(plate, [face], alone, MergeSettings())
    together = Model(tinted, disc)
    _, mask = merge_into(plate, faces, together, MergeSettings())
    assert all(np.array_equal(a, b) for a, b in zip(alone.faces, together.faces, strict=True))
    assert mask[90, 240] > 0.99
    assert mask[100, 110] > 0.99


def test_depths_agree():
    frame = plate_of((120, 160), np.float32)
    landmarks = landmarks_at(80, 60, 50, 5)
    # Without a transfer: OpenCV's Lab is itself only good to half an 8-bit level.
    options = MergeSettings(color_transfer="none")
    smooth, mask = merge_face(frame, landmarks, Model(tinted, disc), options)
    # Half a level in, times the tint; the softening's and the result's rounding.
    for dtype in (np.uint8, np.uint16):
        peak = np.iinfo(dtype).max
        plate = np.rint(frame * peak).astype(dtype)
        result, _ = merge_into(plate, [landmarks], Model(tinted, disc), options)
        assert np.abs(result.astype(np.float64) - smooth * peak).max() <= 2.0
    assert mask.max() > 0.99


def test_what_lies_outside_the_frame_darkens_nothing():
    """A face cut by the frame's border is seen and coloured as if the border went on."""
    plate = np.full((120, 160, 3), 180, np.uint8)
    model = Model(lambda face: np.clip(face * 0.8, 0, 1), ones)
    options = MergeSettings(mask_mode="full")
    result, mask = merge_into(plate, [landmarks_at(5, 60, 60)], model, options)
    assert (model.faces[0] > 0.69).all()
    assert (mask > 0.9).sum() > 2000
    assert np.abs(result.astype(int) - 180).max() <= 1


def test_a_face_is_moved_with_its_mask():
    plate = np.full((160, 200, 3), 128, np.uint8)
    landmarks = landmarks_at(100, 70, 50)

    def small(size: int) -> np.ndarray:  # far from the square's rim, where masks fade
        return np.pad(disc(size // 2), size // 4)

    model = Model(lambda face: small(len(face))[..., None] * np.float32([1, 1, 1]), small)
    centres = []
    for values in ({}, {"face_right": 5.0, "face_down": -4.0}):
        options = MergeSettings(color_transfer="none", mask_mode="learned-prd", **values)
        result, mask = merge_into(plate, [landmarks], model, options)
        changed = np.abs(result[..., 0].astype(np.float32) - 128)
        weights = [changed, mask]
        rows, columns = np.mgrid[0:160, 0:200]
        centres.append(
            [((columns * w).sum() / w.sum(), (rows * w).sum() / w.sum()) for w in weights]
        )
    side = 50 * (1 + 2 * np.sqrt(2) * 0.2109375)
    moved = np.subtract(centres[1], centres[0])
    assert moved[:, 0] == pytest.approx(0.05 * side, abs=0.15)
    assert moved[:, 1] == pytest.approx(-0.04 * side, abs=0.15)


def test_scale_moves_the_border_not_the_centre():
    plate, landmarks = plate_of((300, 300)), landmarks_at(150, 150, 60)
    areas = []
    for scale in (-20.0, 0.0, 20.0):
        options = MergeSettings(face_scale=scale, mask_mode="learned-prd")
        _, mask = merge_into(plate, [landmarks], Model(tinted, disc), options)
        rows, columns = np.nonzero(mask > 0.5)
        areas.append(len(rows))
        assert abs(rows.mean() - 150) < 8
        assert abs(columns.mean() - 150) < 8
    assert areas[0] / areas[1] == pytest.approx(0.64, abs=0.02)
    assert areas[2] / areas[1] == pytest.approx(1.44, abs=0.02)


@pytest.mark.parametrize(
    ("prediction", "found"),
    [
        (lambda face: Prediction(np.full_like(face, np.nan), ones(64), ones(64)), "NaN"),
        (lambda face: Prediction(face, ones(32), ones(64)), "shapes"),
        (lambda face: Prediction(face[:32], ones(64), ones(64)), "shapes"),
    ],
)
def test_a_bad_prediction_is_told(prediction, found):
    plate, options = plate_of((120, 160)), MergeSettings(resolution=64)
    with pytest.raises(StateError, match=found):
        merge_into(plate, [landmarks_at(80, 60, 50)], prediction, options)


def test_a_face_type_without_a_picture_is_told():
    options = MergeSettings(face_type=FaceType.MARK_ONLY)
    with pytest.raises(OptionError, match="face type"):
        merge_into(
            plate_of((60, 80)),
            [landmarks_at(40, 30, 20)],
            lambda face: Prediction(face, ones(256), ones(256)),
            options,
        )
