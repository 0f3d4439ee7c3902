"""Tests of nbs/solutions/12_retinanet.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import sigmoid_focal_loss

from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_focal_loss(logit, wanted, gamma):
        lesion = 1 / (1 + np.exp(-logit))
        right = lesion if wanted else 1 - lesion
        return -((1 - right) ** gamma) * np.log(right)


    focal_loss = lambda logit, wanted, gamma: sigmoid_focal_loss(torch.tensor(logit), torch.tensor(wanted), alpha=-1, gamma=gamma).numpy()
    assert verdict(my_focal_loss, focal_loss, [(-2.0, 1.0, 2), (-2.0, 0.0, 2), (0.5, 0.0, 0), (3.0, 1.0, 1)]).solved


def test_exercise_2_solution():
    def my_anchors(sides, shapes):
        rows = []
        for shape in shapes:
            for side in sides:
                height, width = side * np.sqrt(shape), side / np.sqrt(shape)
                rows.append([-width / 2, -height / 2, width / 2, height / 2])
        return np.round(rows)


    cell_anchors = lambda sides, shapes: AnchorGenerator().generate_anchors(sides, shapes).numpy()
    assert verdict(my_anchors, cell_anchors, [([16], [1.0]), ([12, 17], [0.5, 1.0, 2.0])]).solved
