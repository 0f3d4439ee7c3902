"""Tests of nbs/solutions/35_coca.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import open_clip
import torch

from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_contrastive_loss(images, sentences, scale):
        scores = scale * images @ sentences.T
        right = np.diag(scores)
        rows = np.log(np.exp(scores).sum(1)) - right
        columns = np.log(np.exp(scores).sum(0)) - right
        return (rows.mean() + columns.mean()) / 2


    contrastive_loss = lambda images, sentences, scale: open_clip.ClipLoss()(torch.tensor(images), torch.tensor(sentences), scale).numpy()
    unit = lambda seed: (lambda x: x / np.linalg.norm(x, axis=1, keepdims=True))(np.random.default_rng(seed).normal(size=(5, 3)))
    assert verdict(
        my_contrastive_loss, contrastive_loss, [(unit(0), unit(1), 10.0), (unit(2), unit(2), 30.0), (unit(3)[:1], unit(4)[:1], 5.0)]
    ).solved


def test_exercise_2_solution():
    def my_pooling(queries, keys):
        weights = np.exp(queries @ keys.T / np.sqrt(queries.shape[1]))
        return weights / weights.sum(1, keepdims=True) @ keys


    pooling = lambda queries, keys: torch.nn.functional.scaled_dot_product_attention(*(torch.tensor(x)[None] for x in (queries, keys, keys)))[
        0
    ].numpy()
    draw = lambda n: np.random.default_rng(n).normal(size=(n, 8))
    assert verdict(my_pooling, pooling, [(draw(2), draw(9)), (draw(3), draw(1)), (draw(1), np.zeros((4, 8)))]).solved
