"""Tests of nbs/solutions/20_sam.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import cv2
import numpy as np
import torch

from brain_mri.exercises import verdict
from brain_mri.metrics import fill_ellipse
from brain_mri.sam import dice_loss, low_resolution


def test_exercise_1_solution():
    def my_dice_loss(logits, target):
        p = 1 / (1 + np.exp(-logits))
        return 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)


    reference = lambda logits, target: float(dice_loss(torch.tensor(logits)[None], torch.tensor(target)[None])[0])
    outline = fill_ellipse([2, 3, 12, 14], (16, 16)).astype(float)
    assert verdict(
        my_dice_loss, reference, [(8 * outline - 4, outline), (np.zeros((16, 16)), outline), (np.full((16, 16), -9.0), 0 * outline)]
    ).solved


def test_exercise_2_solution():
    def my_low_resolution(mask, cells):
        block = len(mask) // cells
        coarse = mask.reshape(cells, block, cells, block).mean((1, 3)).astype(np.float32)
        return cv2.resize(coarse, mask.shape, interpolation=cv2.INTER_LINEAR) > 0.5


    assert verdict(my_low_resolution, low_resolution, [(fill_ellipse([11, 20, 27, 33], (64, 64)), n) for n in (8, 16, 32)]).solved
