"""Tests of nbs/34_efficientnetv2_b3.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import keras
import numpy as np
import pytest

from brain_mri.efficientnetv2_b3 import efficientnetv2_b3, mbconv_cost, scaled_blocks, scaled_channels
from brain_mri.keras_training import predict_probabilities


def test_both_scales_build_and_odd_crops_have_probabilities():
    with pytest.raises(ValueError, match="weights out of scratch, pretrained.*got 'imagenet'"):
        efficientnetv2_b3(32, weights="imagenet")
    black_ = np.zeros((1, 32, 32), np.uint8)  # a batch of one, and nothing in it
    for scale_ in ("paper", "native"):
        assert np.allclose(predict_probabilities(efficientnetv2_b3(32, scale_), black_).sum(1), 1)


def test_mbconv_cost_agrees_with_keras():
    for fused in (False, True):
        image = keras.Input((5, 5, 6))
        x = (
            keras.layers.Conv2D(24, 3, padding="same")(image)
            if fused
            else keras.layers.DepthwiseConv2D(3, padding="same")(keras.layers.Conv2D(24, 1)(image))
        )
        block = keras.Model(image, keras.layers.Conv2D(6, 1)(x))
        kernels = sum(int(np.prod(w.shape)) for w in block.weights if len(w.shape) == 4)
        assert mbconv_cost(6, 4, 5, fused) == kernels * 25


def test_scaling_rules_by_hand():
    assert [scaled_channels(c, 1.2) for c in (16, 32, 48, 96, 112, 192)] == [16, 40, 56, 112, 136, 232]
    assert [scaled_blocks(b, 1.4) for b in (1, 2, 3, 5, 8)] == [2, 3, 5, 7, 12]
    assert scaled_channels(10, 1.2) == 16 and scaled_channels(1, 1.0) == 8 and scaled_channels(12, 1.0) == 16 and scaled_channels(20, 1.0) == 24
