"""Tests of nbs/solutions/10_yolov8.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import torch
from torchvision.ops import nms

from brain_mri.exercises import verdict
from brain_mri.metrics import box_iou
from brain_mri.yolov8 import decode_edges


def test_exercise_1_solution():
    def my_nms(boxes, scores, overlap):
        keep = []
        for i in np.argsort(-np.asarray(scores)):
            if not keep or box_iou(boxes[keep], boxes[i]).max() <= overlap:
                keep.append(int(i))
        return np.array(keep)


    crowd = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [4, 0, 14, 10], [21, 19, 31, 30.0]])
    assert verdict(
        my_nms, nms, [(crowd, torch.tensor([0.9, 0.8, 0.3, 0.7, 0.6]), 0.5), (crowd, torch.tensor([0.5, 0.9, 0.2, 0.4, 0.1]), 0.2)]
    ).solved


def test_exercise_2_solution():
    def my_edges(logits, point, step):
        chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        distance = step * (chance * np.arange(16)).sum(1)
        return np.array([*point, *point]) + distance * [-1, -1, 1, 1]


    assert verdict(
        my_edges, decode_edges, [(np.eye(4, 16) * 9, (32, 32), 8), (np.random.default_rng(0).normal(0, 2, (4, 16)), (8, 40), 16)]
    ).solved
