"""Tests of nbs/solutions/11_efficientdet.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import torch
from effdet.anchors import decode_box_outputs
from effdet.efficientdet import FpnCombine

from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_fusion(inputs, weights):
        weights = np.maximum(weights, 0)
        return sum(w * i for w, i in zip(weights, inputs)) / (1e-4 + weights.sum())


    def fusion_node(inputs, weights):
        inputs = [torch.as_tensor(i)[None, None] for i in inputs]
        node = FpnCombine(
            [dict(num_chs=1, size=i.shape[2:]) for i in inputs], 1, range(len(inputs)), inputs[0].shape[2:], weight_method="fastattn"
        )
        node.edge_weights.data = torch.tensor(weights)
        return node(inputs)[0, 0].detach().numpy()


    ramp = np.arange(4.0, dtype=np.float32).reshape(2, 2)
    assert verdict(my_fusion, fusion_node, [([ramp, ramp[::-1].copy()], [1.0, 3.0]), ([ramp, ramp + 9, ramp * 5], [0.5, -1.0, 2.0])]).solved


def test_exercise_2_solution():
    def my_box(code, anchor):
        move_y, move_x, log_height, log_width = code
        x0, y0, x1, y1 = anchor
        x, y = (x0 + x1) / 2 + move_x * (x1 - x0), (y0 + y1) / 2 + move_y * (y1 - y0)
        width, height = (x1 - x0) * np.exp(log_width), (y1 - y0) * np.exp(log_height)
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


    yxyx = lambda anchor: torch.tensor([[anchor[1], anchor[0], anchor[3], anchor[2]]])
    decoded = lambda code, anchor: decode_box_outputs(torch.tensor([code]), yxyx(anchor), output_xyxy=True)[0].numpy()
    assert verdict(my_box, decoded, [([0.0, 0.0, 0.0, 0.0], [8.0, 8.0, 40.0, 24.0]), ([0.1, -0.2, 0.3, -0.5], [8.0, 8.0, 40.0, 24.0])]).solved
