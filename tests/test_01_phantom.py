"""Tests of nbs/01_phantom.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from brain_mri.data import CLASSES
from brain_mri.phantom import VERSION, make_phantom


def test_phantom_depends_on_seed_and_index_alone():
    again, other_index, other_seed = make_phantom(5, size=64), make_phantom(9, size=64), make_phantom(5, size=64, seed=1)
    assert (make_phantom(5, size=64).image == again.image).all()
    assert (other_index.image != again.image).any() and (other_seed.image != again.image).any()


def test_phantoms_carry_consistent_truth():
    for index in range(16):
        phantom = make_phantom(index, size=64)
        assert phantom.label == CLASSES[index % 4]
        assert phantom.image.shape == phantom.mask.shape == (64, 64) and phantom.image.dtype == np.uint8
        assert phantom.mask.any() == (phantom.label != "no_tumor") == (phantom.box is not None)
        assert ndimage.label(phantom.mask, np.ones((3, 3)))[1] <= 1


def test_unknown_class_and_tiny_phantom_are_refused():
    with pytest.raises(ValueError, match="expected a class out of glioma.*got 'lymphoma'"):
        make_phantom(0, label="lymphoma")
    with pytest.raises(ValueError, match="at least 32 pixels"):
        make_phantom(0, size=8)


def test_generator_version_1_is_frozen():
    frozen = [
        ([16, 27, 25, 37], [34, 34, 34, 28]),
        ([25, 48, 38, 56], [66, 78, 85, 80]),
        (None, [93, 86, 66, 59]),
        ([34, 42, 42, 49], [52, 57, 53, 52]),
    ]
    assert VERSION == 1
    for index, (box, means) in enumerate(frozen):
        phantom = make_phantom(index, size=64)
        assert (phantom.box is None) == (box is None)
        if box:
            np.testing.assert_allclose(phantom.box, box, atol=1)
        np.testing.assert_allclose(cv2.resize(phantom.image, (2, 2), interpolation=cv2.INTER_AREA).ravel(), means, atol=2)
