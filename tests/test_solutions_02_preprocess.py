"""Tests of nbs/solutions/02_preprocess.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.exercises import verdict
from brain_mri.phantom import make_phantom
from brain_mri.preprocess import Transform, affine, median_filter


def test_exercise_1_solution():
    def my_median(image):
        around = np.lib.stride_tricks.sliding_window_view(np.pad(image, 1, mode="edge"), (3, 3))
        return np.median(around, axis=(2, 3)).astype(np.uint8)


    assert verdict(my_median, median_filter, [(np.eye(9, dtype=np.uint8) * 200,), (make_phantom(0).image,)]).solved


def test_exercise_2_solution():
    def my_turned_size(width, height, angle):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        return width * c + height * s, width * s + height * c


    def turned_size(width, height, angle):
        t = Transform((400, 400), affine((400, 400), angle=angle))
        ((x0, y0, x1, y1),) = t.boxes([200 - width / 2, 200 - height / 2, 200 + width / 2, 200 + height / 2])[0]
        return x1 - x0, y1 - y0


    assert verdict(my_turned_size, turned_size, [(40, 40, 45), (60, 20, 30), (60, 20, 0)]).solved
