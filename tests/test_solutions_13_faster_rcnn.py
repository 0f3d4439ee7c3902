"""Tests of nbs/solutions/13_faster_rcnn.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torchvision.ops.poolers import LevelMapper

from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_level(boxes, finest, coarsest):
        sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
        return np.floor(4 + np.log2(sides / 224) + 1e-6).clip(finest, coarsest)


    level_of = lambda boxes, finest, coarsest: LevelMapper(finest, coarsest)([torch.tensor(boxes)]).numpy() + finest
    proposed = np.float32([[0, 0, 10, 10], [5, 5, 120, 117], [0, 0, 224, 224], [0, 0, 223, 223], [0, 0, 900, 900]])
    assert verdict(my_level, level_of, [(proposed, 2, 5), (proposed, 3, 4)]).solved


def test_exercise_2_solution():
    def my_bilinear(image, x, y):
        column, row = int(x), int(y)
        right, down = x - column, y - row
        upper = (1 - right) * image[row, column] + right * image[row, column + 1]
        lower = (1 - right) * image[row + 1, column] + right * image[row + 1, column + 1]
        return (1 - down) * upper + down * lower


    read_at = lambda image, x, y: map_coordinates(image, [[y], [x]], order=1)[0]
    assert verdict(my_bilinear, read_at, [(np.arange(12.0).reshape(3, 4) ** 2, 1.25, 0.5), (np.eye(5), 2.9, 3.2), (np.eye(5), 2.0, 2.0)]).solved
