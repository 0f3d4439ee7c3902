"""Tests of nbs/21_lesions.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile

import numpy as np
import pandas as pd
import pytest

from brain_mri.data import DataError
from brain_mri.lesions import (
    LesionStore, best_box, fill_store, find_lesions, largest, lesion_quality, mask_shares, scale_box,
)


def test_nothing_over_the_threshold_is_no_box():
    box, score, passing = best_box([[5, 5, 20, 20]], [0.3], threshold=0.5)
    assert box.tolist() == [0, 0, 0, 0] and score == 0 and passing == 0
    assert best_box([], [], 0.5)[2] == 0


def test_box_is_cut_at_the_borders():
    assert scale_box([-5, 0, 210, 90], (100, 200), 100).tolist() == [0, 0, 100, 90]


def test_store_keeps_what_was_found_and_what_was_not():
    class Bright:  # finds the bright pixels, and outlines the brightest
        threshold = 0.5

        def predict(self, images):
            return [
                (np.float32([[*np.argwhere(im.T > 99).min(0), *np.argwhere(im.T > 99).max(0) + 1]]), [0.9]) if im.max() > 99 else ([], [])
                for im in images
            ]

        def embed(self, images):
            return images

        def ask(self, images, boxes):
            return np.stack(images) > 199, np.ones(len(images))


    lit = np.zeros((40, 80), np.uint8)
    lit[10:30, 20:60] = 200
    dim, black = lit // 200 * 150, np.zeros((50, 50), np.uint8)
    pictures = {"lit": lit, "dim": dim, "black": black}
    table = pd.DataFrame({"path": list(pictures), "label": "glioma", "split": "test", "group": range(3), "mask": None})
    with tempfile.TemporaryDirectory() as place:
        tiny = fill_store(place, table, pictures.get, Bright(), Bright(), size=40, median=1, batch=2)
        assert tiny.found.tolist() == [True, True, False] and tiny.frame.outlined.tolist() == [True, False, False]
        np.testing.assert_allclose(tiny.boxes, [[10, 10, 30, 30], [10, 10, 30, 30], [0, 0, 0, 0]])
        assert tiny.masks.sum((1, 2)).tolist() == [tiny.masks[0].sum(), 400, 0] and tiny.masks[0].sum() > 300  # dim: the box became the mask
        assert tiny.scores.tolist() == [np.float32(0.9), np.float32(0.9), 0] and tiny.frame.passing.tolist() == [1, 1, 0]
        assert tiny.crops([1], "mask", 20, margin=0.0).min() > 100 and tiny.crops([0, 2], "whole", 20).shape == (2, 20, 20)
        assert not tiny.crops([2], "mask", 20).any()  # an all-black scan goes in whole, and stays black


def test_boxes_without_area_hold_no_lesion():
    class Astray:
        threshold = 0.5

        def predict(self, images):
            return [([[70, 5, 90, 9], [4, 4, 4, 9]], [0.9, 0.8]) for _ in images]  # outside the scan; no width


    lost = find_lesions([np.zeros((50, 60), np.uint8)], Astray(), None, 32)
    assert lost["passing"].tolist() == [0] and not lost["masks"].any()


def test_scan_without_a_find_goes_in_whole():
    class Nothing:
        threshold = 0.5

        def predict(self, images):
            return [([[1, 1, 5, 5]], [0.4]) for _ in images]


    picture = np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8)
    table = pd.DataFrame({"path": ["a"], "label": "no_tumor", "split": "test", "group": 0, "mask": None})
    with tempfile.TemporaryDirectory() as place:
        tiny = fill_store(place, table, {"a": picture}.get, Nothing(), None, size=30, median=1)
        assert np.array_equal(tiny.crops([0], "mask", 30)[0], picture)


def test_folder_without_a_store_names_the_command():
    with tempfile.TemporaryDirectory() as place, pytest.raises(DataError, match="expected a lesion store in .* make it with `make 21_lesions`"):
        LesionStore(place)


def test_nothing_to_search():
    with pytest.raises(DataError, match="expected scans to search, got a table without rows"):
        fill_store("unused", pd.DataFrame(), None, None, None, 32)


def test_largest_masks_come_first():
    areas = np.zeros((4, 3, 3), bool)
    areas[1], areas[2, 0], areas[3, 1] = True, True, True
    assert largest(areas, 3).tolist() == [1, 2, 3] and mask_shares(areas[:2]).tolist() == [0, 1]


def test_quality_counts_hits_and_dice():
    class Made:
        frame = pd.DataFrame({"label": ["glioma", "glioma"]})
        boxes = np.float32([[4, 4, 12, 12], [0, 0, 0, 0]])
        masks = np.zeros((2, 16, 16), bool)


    Made.masks[0, 4:12, 4:8] = True
    whole = np.zeros((16, 16), bool)
    whole[4:12, 4:12] = True
    made = lesion_quality(Made, {0: whole, 1: whole})
    assert made.hit.tolist() == [True, False]
    np.testing.assert_allclose(made.dice, [2 * 32 / 96, 0])
