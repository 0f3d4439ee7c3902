"""Tests of nbs/solutions/00_data.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.data import connected_groups, to_yolo
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def corners_to_yolo(box, width, height):
        x1, y1, x2, y2 = np.array(box) / [width, height, width, height]
        return np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])


    assert verdict(
        corners_to_yolo, to_yolo, [((50, 50, 110, 70), 200, 100), ((0, 0, 64, 64), 64, 64), (np.array([3.5, 2, 9, 8]), 10, 20)]
    ).solved


def test_exercise_2_solution():
    def groups_by_hand(pairs, n):
        group = list(range(n))
        for i, j in pairs:
            low, high = sorted((group[i], group[j]))
            group = [low if g == high else g for g in group]
        order = list(dict.fromkeys(group))
        return [order.index(g) for g in group]


    assert verdict(groups_by_hand, connected_groups, [([(0, 2), (1, 3)], 4), ([(3, 4), (0, 3), (4, 1)], 6), ([], 3)]).solved
