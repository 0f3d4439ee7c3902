"""Tests of nbs/31_densenet.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import keras
import numpy as np
import pytest

from brain_mri.densenet import BLOCKS, densenet, layer_weights, maps_read, reading_layers, source_shares, source_weights
from brain_mri.keras_training import base_of, predict_probabilities


def test_both_scales_build_and_odd_crops_have_probabilities():
    with pytest.raises(ValueError, match="weights out of scratch, pretrained.*got 'imagenet'"):
        densenet(32, weights="imagenet")
    with pytest.raises(ValueError, match="depth out of 121, 169, 201, got 161"):
        densenet(32, 161)
    black_ = np.zeros((1, 32, 32), np.uint8)  # a batch of one, and nothing in it
    for scale_ in ("paper", "native"):
        assert np.allclose(predict_probabilities(densenet(32, input_scale=scale_), black_).sum(1), 1)


def test_maps_read_are_those_of_keras():
    base_ = base_of(densenet(32))
    assert maps_read(BLOCKS[121]) == [*reading_layers(base_).maps, base_.output.shape[-1]]
    assert maps_read((2, 1), growth=3, stem=4) == [4, 7, 10, 5, 8]


def test_layer_weights_agree_with_keras():
    image_ = keras.Input((4, 4, 10))
    squeeze_, look_ = keras.layers.Conv2D(24, 1, use_bias=False), keras.layers.Conv2D(6, 3, padding="same", use_bias=False)
    assert keras.Model(image_, look_(squeeze_(image_))).count_params() == layer_weights(10, "dense", growth=6)
    for kind_, made_ in (("direct", 6), ("plain", 16)):
        plain_ = keras.layers.Conv2D(made_, 3, use_bias=False)
        assert keras.Model(image_, plain_(image_)).count_params() == layer_weights(10, kind_, growth=6)
    with pytest.raises(ValueError, match="kind out of dense, direct, plain, got 'wide'"):
        layer_weights(10, "wide")


def test_weights_and_shares_go_to_the_right_source():
    kernel_ = np.zeros((10, 2))
    kernel_[:4], kernel_[4:7], kernel_[7:] = 1, [-2, 2], [0, 3]
    np.testing.assert_allclose(source_weights(kernel_, 4, 3), [1, 2, 1.5])
    np.testing.assert_allclose(source_weights(kernel_[:4], 4, 3), [1])
    inputs_ = np.zeros((2, 5, 10))
    inputs_[1, :, 5] = 1  # only a map of the second source varies; a constant one does not count
    inputs_[..., 0] = 7
    np.testing.assert_allclose(source_shares(inputs_, kernel_, 4, 3), [0, 1, 0])
    with pytest.raises(ValueError, match="expected 4 maps and a multiple of 5 more, got 10"):
        source_weights(kernel_, 4, 5)
