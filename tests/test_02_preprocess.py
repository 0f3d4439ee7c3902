"""Tests of nbs/02_preprocess.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import pytest

from brain_mri.data import mask_box
from brain_mri.preprocess import (
    Augmentation, Transform, affine, crop_lesion, median_filter, need_scan, preprocess, resize, scale, warp,
)


def test_colour_images_are_refused_with_advice():
    with pytest.raises(ValueError, match=r"uint8 array of shape \(4, 4, 3\); read files with"):
        need_scan(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="float64 array"):
        need_scan(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="got list"):
        need_scan([[0, 1]])


def test_median_removes_a_lone_pixel_and_keeps_an_edge():
    image = np.zeros((9, 9), np.uint8)
    image[:, 5:] = 200
    spoiled = image.copy()
    spoiled[4, 2], spoiled[4, 7] = 255, 0
    assert np.array_equal(median_filter(spoiled), image)


def test_median_filter_sizes():
    image = np.random.default_rng(0).integers(0, 256, (7, 5), np.uint8)
    assert np.array_equal(median_filter(image, 1), image)
    assert median_filter(image, 5).shape == (7, 5)
    assert median_filter(np.full((1, 1), 9, np.uint8)).tolist() == [[9]]
    with pytest.raises(ValueError, match="odd size of at least 1, got 4"):
        median_filter(image, 4)


def test_shrinking_averages_and_keeps_brightness():
    board = np.indices((64, 64)).sum(0) % 2 * np.uint8(200)  # a chess board of single pixels
    assert np.all(resize(board.astype(np.uint8), 32) == 100)


def test_resize_sizes_and_types():
    image = np.random.default_rng(0).integers(0, 256, (30, 50), np.uint8)
    assert resize(image, 20).shape == (20, 20) and resize(image, 224).shape == (224, 224)
    assert resize(image, 20).dtype == np.uint8 and np.array_equal(resize(image[:, :30], 30), image[:, :30])
    mask = np.zeros((20, 20), bool)
    mask[:10, :5] = True
    assert resize(mask, 40).dtype == bool and resize(mask, 40).sum() == 20 * 10
    with pytest.raises(ValueError, match="at least 1 pixel"):
        resize(image, 0)


def test_scale_maps_0_and_255_to_0_and_1():
    assert scale(np.uint8([0, 51, 255])).tolist() == np.float32([0, 0.2, 1]).tolist()


def test_nothing_is_scaled_twice():
    with pytest.raises(ValueError, match="scaled before"):
        scale(scale(np.uint8([0, 255])))


def test_preprocess_filters_before_it_resizes():
    image = np.zeros((40, 40), np.uint8)
    image[20, 20] = 255
    assert preprocess(image, 20).max() == 0
    assert preprocess(image, 20, median=1).max() > 0
    assert preprocess(image, 56).shape == (56, 56)


def test_affine_moves_points_as_announced():
    move = lambda m, *p: (m @ [*p, 1]).round(6).tolist()
    assert move(affine((100, 100), zoom=2), 60, 50) == [70, 50]  # away from the centre: magnified
    assert move(affine((100, 100), zoom=0.5), 60, 50) == [55, 50]
    assert move(affine((100, 80), flip=True), 10, 30) == [70, 30]
    assert move(affine((100, 100), angle=90), 60, 50) == [50, 40]  # from the right of the centre to above it
    assert move(affine((100, 100), crop=(0.5, 0, 0.5)), 75, 25) == [50, 50]


def test_a_flip_is_exact_to_the_pixel():
    image = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    assert np.array_equal(warp(image, affine((20, 30), flip=True)), image[:, ::-1])


def test_a_quarter_turn_is_exact_to_the_pixel():
    image = np.random.default_rng(0).integers(0, 256, (31, 31), np.uint8)
    assert np.array_equal(warp(image, affine((31, 31), angle=90)), np.rot90(image))


def test_doing_nothing_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    assert np.array_equal(warp(image, affine((20, 30))), image)


def test_boxes_move_exactly_with_their_pixels():
    mask = np.zeros((40, 60), bool)
    mask[5:15, 8:30] = True
    box = [8, 5, 30, 15]
    for settings in (dict(flip=True), dict(angle=180), dict(crop=(0, 0, 0.5)), dict(flip=True, zoom=0.5, angle=180)):
        t = Transform((40, 60), affine((40, 60), **settings))
        assert np.allclose(t.boxes([box])[0], mask_box(t.mask(mask)), atol=0.51)
        assert np.allclose(t.boxes([box], mask)[0], mask_box(t.mask(mask)))


def test_a_mask_makes_a_tighter_box():
    y, x = np.mgrid[:100, :100] + 0.5
    disc = np.hypot(x - 50, y - 50) < 20
    t = Transform((100, 100), affine((100, 100), angle=45))
    (loose,), (tight,) = t.boxes(mask_box(disc))[0], t.boxes(mask_box(disc), disc)[0]
    assert np.allclose(tight, [30, 30, 70, 70], atol=1)  # a turned disc is the same disc
    assert np.allclose(loose, 50 + np.sqrt(2) * 20 * np.array([-1, -1, 1, 1]), atol=0.1)


def test_each_box_follows_its_own_part_of_the_mask():
    mask = np.zeros((50, 50), bool)
    mask[10:20, 10:20] = mask[30:36, 30:40] = True
    t = Transform((50, 50), affine((50, 50), flip=True))
    boxes, kept = t.boxes([[10, 10, 20, 20], [30, 30, 40, 36], [22, 22, 28, 28]], mask)
    assert boxes.tolist() == [[30, 10, 40, 20], [10, 30, 20, 36], [22, 22, 28, 28]]  # the last has no mask: its corners move
    assert kept.tolist() == [0, 1, 2] and boxes.dtype == np.float32


def test_no_boxes_stay_no_boxes():
    t = Transform((50, 50), affine((50, 50), angle=10))
    boxes, kept = t.boxes(np.zeros((0, 4)))
    assert boxes.shape == (0, 4) and kept.shape == (0,)
    assert len(t.boxes([[5, 5, 5, 9]])[1]) == 0  # a box without area is dropped


def test_a_transform_refuses_another_shape():
    t = Transform((50, 50), affine((50, 50)))
    with pytest.raises(ValueError, match=r"shape \(50, 50\), got \(40, 50\)"):
        t.image(np.zeros((40, 50), np.uint8))
    with pytest.raises(ValueError, match=r"got \(40, 50\)"):
        t.mask(np.zeros((40, 50), bool))
    with pytest.raises(ValueError, match=r"got \(40, 50\)"):
        t.boxes([[1, 1, 9, 9]], np.zeros((40, 50), bool))


def test_boxes_mostly_out_of_view_are_dropped():
    box = [10, 40, 30, 60]  # cut at x = 18: 60 % left; at x = 22: 40 % left
    stays = Transform((100, 100), affine((100, 100), crop=(0.18, 0.1, 0.8)))
    leaves = Transform((100, 100), affine((100, 100), crop=(0.22, 0.1, 0.78)))
    assert stays.boxes([box])[1].tolist() == [0] and leaves.boxes([box])[1].tolist() == []
    assert stays.boxes([box])[0][0, 0] == 0  # cut to the frame


def test_the_share_in_view_counts_lesion_pixels_where_there_is_a_mask():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 10:16] = True  # all of the lesion lies in the part of the box that leaves
    t = Transform((100, 100), affine((100, 100), crop=(0.18, 0.1, 0.8)))
    assert t.boxes([[10, 40, 30, 60]])[1].tolist() == [0]
    assert t.boxes([[10, 40, 30, 60]], mask)[1].tolist() == []


def test_visible_sets_the_share():
    mostly = dict(shape=(100, 100), matrix=affine((100, 100), crop=(0.22, 0.1, 0.78)))
    assert len(Transform(**mostly, visible=0.3).boxes([[10, 40, 30, 60]])[1]) == 1
    assert len(Transform(**mostly, visible=0.5).boxes([[10, 40, 30, 60]])[1]) == 0
    gone = Transform((100, 100), affine((100, 100), crop=(0.5, 0.5, 0.5)), visible=0)
    assert len(gone.boxes([[10, 10, 30, 30]])[1]) == 0  # wholly out of view is out, whatever the share


def test_brightness_and_contrast_change_values_and_nothing_else():
    image = np.random.default_rng(0).integers(50, 150, (20, 20), np.uint8)
    bright = Transform((20, 20), affine((20, 20)), brightness=1.2)
    flat = Transform((20, 20), affine((20, 20)), contrast=0.5)
    assert np.allclose(bright.image(image), image * 1.2, atol=1)
    assert np.isclose(flat.image(image).mean(), image.mean(), atol=0.5) and flat.image(image).std() < 0.6 * image.std()
    assert bright.boxes([[2, 3, 8, 9]])[0].tolist() == [[2, 3, 8, 9]]


def test_bright_pixels_saturate_instead_of_wrapping_around():
    white = np.full((5, 5), 250, np.uint8)
    assert Transform((5, 5), affine((5, 5)), brightness=1.2).image(white).tolist() == [[255] * 5] * 5


def test_the_same_seed_draws_the_same_transform():
    a, b = (Augmentation().sample(np.random.default_rng(7), (64, 64)) for _ in range(2))
    c = Augmentation().sample(np.random.default_rng(8), (64, 64))
    assert np.array_equal(a.matrix, b.matrix) and a.brightness == b.brightness
    assert not np.array_equal(a.matrix, c.matrix)


def test_drawn_values_stay_in_the_papers_ranges():
    rng = np.random.default_rng(0)
    only = Augmentation(crop=(1, 1), flip=0)
    matrices = np.array([only.sample(rng, (64, 64)).matrix[:, :2] for _ in range(500)])
    zooms = np.sqrt(np.linalg.det(matrices))
    angles = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    assert 0.5 <= zooms.min() < 0.55 and 1.9 < zooms.max() <= 2
    assert 0 <= angles.min() < 2 and 43 < angles.max() <= 45
    assert abs((zooms > 1).mean() - 0.5) < 0.07


def test_augmentation_can_be_switched_off():
    off = Augmentation(rotation=(0, 0), zoom=(1, 1), brightness=(1, 1), contrast=(1, 1), flip=0, crop=(1, 1))
    image = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    assert np.array_equal(off.sample(np.random.default_rng(0), (32, 32)).image(image), image)


def test_image_mask_and_box_stay_together_under_random_augmentation():
    rng = np.random.default_rng(1)
    scan, lesion = np.zeros((96, 96), np.uint8), np.zeros((96, 96), bool)
    lesion[40:56, 36:60] = True
    scan[lesion] = 200
    for _ in range(30):
        t = Augmentation(brightness=(1, 1), contrast=(1, 1)).sample(rng, (96, 96))
        seen = t.image(scan) > 100
        assert (seen ^ t.mask(lesion)).sum() <= 0.12 * max(seen.sum(), 50)
        boxes, kept = t.boxes([36, 40, 60, 56], lesion)
        if len(kept):
            assert np.allclose(boxes[0], mask_box(seen), atol=1.01)


def test_augmentation_refuses_nonsense_ranges():
    with pytest.raises(ValueError, match=r"expected zoom as \(low, high\)"):
        Augmentation(zoom=(2, 0.5))
    with pytest.raises(ValueError, match="expected zoom"):
        Augmentation(zoom=(0, 2))
    with pytest.raises(ValueError, match="expected crop"):
        Augmentation(crop=(0.5, 1.5))
    with pytest.raises(ValueError, match="expected flip between 0 and 1, got 2"):
        Augmentation(flip=2)


def test_crop_keeps_proportions_and_fills_with_black():
    image = np.full((100, 100), 200, np.uint8)
    crop = crop_lesion(image, [20, 40, 60, 60], input="box", margin=0, size=40)  # 40 wide, 20 high
    assert (crop[10:30] == 200).all() and (crop[:10] == 0).all() and (crop[30:] == 0).all()


def test_the_mask_removes_the_background():
    image = np.full((100, 100), 200, np.uint8)
    mask = np.zeros((100, 100), bool)
    mask[45:55, 45:55] = True
    crop = crop_lesion(image, [40, 40, 60, 60], mask, "mask", margin=0, size=20)
    assert crop[5:15, 5:15].min() == 200 and crop.sum() == 200 * 100


def test_the_margin_is_a_share_of_the_longer_side():
    image = np.zeros((100, 100), np.uint8)
    image[40:60, 30:70] = 100  # the box itself: 40 wide, 20 high
    crop = crop_lesion(image, [30, 40, 70, 60], input="box", margin=0.25, size=60)  # 10 pixels more on each side
    assert (crop[20:40, 10:50] == 100).all() and crop.astype(int).sum() == 100 * 20 * 40


def test_a_window_over_the_edge_is_black_outside():
    image = np.full((50, 50), 100, np.uint8)
    crop = crop_lesion(image, [-10, 0, 10, 20], input="box", margin=0, size=20)
    assert (crop[:, :10] == 0).all() and (crop[:, 10:] == 100).all()


def test_the_whole_scan_needs_no_box_and_is_padded_to_a_square():
    image = np.full((40, 80), 100, np.uint8)
    crop = crop_lesion(image, None, input="whole", size=80)
    assert (crop[20:60] == 100).all() and (crop[:20] == 0).all() and (crop[60:] == 0).all()


def test_an_empty_mask_gives_a_black_crop():
    assert crop_lesion(np.full((40, 40), 9, np.uint8), [5, 5, 9, 9], np.zeros((40, 40), bool), size=16).max() == 0


def test_crop_lesion_says_what_is_wrong():
    image = np.zeros((40, 50), np.uint8)
    with pytest.raises(ValueError, match="box with an area"):
        crop_lesion(image, [5, 5, 5, 9], input="box")
    with pytest.raises(ValueError, match=r"shape \(40, 50\), got \(50, 40\)"):
        crop_lesion(image, [5, 5, 9, 9], np.zeros((50, 40), bool))
    with pytest.raises(ValueError, match="got None"):
        crop_lesion(image, [5, 5, 9, 9])


def test_crop_lesion_refuses_other_nonsense():
    image = np.zeros((40, 50), np.uint8)
    with pytest.raises(ValueError, match="use input='whole'"):
        crop_lesion(image, None, input="box")
    with pytest.raises(ValueError, match="box with an area"):
        crop_lesion(image, [np.nan, 5, 8, 9], input="box")
    with pytest.raises(ValueError, match="inside the image of 50 x 40"):
        crop_lesion(image, [60, 5, 70, 9], input="box")
    with pytest.raises(ValueError, match="mask, box or whole, got 'lesion'"):
        crop_lesion(image, [5, 5, 9, 9], input="lesion")
    with pytest.raises(ValueError, match="margin of at least 0"):
        crop_lesion(image, [5, 5, 9, 9], input="box", margin=-1)
    with pytest.raises(ValueError, match="greyscale scan"):
        crop_lesion(np.zeros((4, 4, 3), np.uint8), [0, 0, 2, 2], input="box")
