"""Tests of nbs/13_faster_rcnn.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.detection import fasterrcnn_resnet50_fpn_v2

from brain_mri.detection import publish_detector
from brain_mri.faster_rcnn import build_faster_rcnn, load_detector, look_twice
from brain_mri.metrics import box_iou
from brain_mri.reports import Run
from brain_mri.torch_training import TorchDetector, save_weights


def test_at_published_size_every_layer_is_torchvisions():
    with torch.device("meta"):  # shapes only
        ours, theirs = build_faster_rcnn(640), fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    shapes = lambda net: {name: value.shape for name, value in net.state_dict().items() if "box_predictor" not in name}
    assert shapes(ours) == shapes(theirs)
    assert ours.rpn.anchor_generator.sizes == list(theirs.rpn.anchor_generator.sizes)


def test_sizes_and_levels_that_do_not_fit_are_named():
    for wrong in (dict(image_size=16), dict(image_size=100), dict(image_size=64, levels=4)):
        with pytest.raises(ValueError, match="expected 3 or 5 levels and image_size as a multiple of 32, .* got"):
            build_faster_rcnn(**wrong)


def test_steps_of_a_look_end_in_what_the_model_says():
    torch.manual_seed(0)
    net = build_faster_rcnn(64, "resnet10", 32, 3, 16, 20, 1, 16).eval()
    image = torch.rand(1, 3, 64, 64)
    looked = look_twice(net, image)
    with torch.inference_mode():
        answer = net(list(image))[0]
    assert torch.equal(looked["final"][0], answer["boxes"]) and len(looked["proposals"][0]) <= 20
    assert (looked["anchors"][1].diff() <= 0).all() and len(looked["anchors"][0]) == 3 * (8 * 8 + 4 * 4 + 2 * 2)
    surest = looked["anchors"][0][0]
    assert box_iou(surest[None].numpy(), looked["proposals"][0].numpy()).max() > 0.999  # the best anchor is a proposal


def test_scans_without_lesions_train_too():
    torch.manual_seed(0)
    net = build_faster_rcnn(64, "resnet10", 32, 3, 16, 20, 1, 16).train()
    none, one = torch.zeros(0, 4), torch.tensor([[8.0, 8, 30, 28]])
    label = lambda b: {"boxes": b, "labels": torch.ones(len(b), dtype=torch.int64)}
    for group in ([none, none], [none, one]):
        losses_ = net(torch.rand(2, 3, 64, 64), [label(b) for b in group])
        sum(losses_.values()).backward()
        assert all(torch.isfinite(loss) for loss in losses_.values())
        assert (losses_["loss_rpn_box_reg"] > 0) == (losses_["loss_box_reg"] > 0) == any(len(b) for b in group)


def test_a_box_without_area_is_refused_by_the_network_itself():
    net = build_faster_rcnn(64, "resnet10", 32, 3, 16, 20, 1, 16).train()
    with pytest.raises(AssertionError, match="All bounding boxes should have positive height and width"):
        net(torch.rand(1, 3, 64, 64), [{"boxes": torch.tensor([[9.0, 9, 9, 20]]), "labels": torch.ones(1, dtype=torch.int64)}])


def test_scans_smaller_than_the_coarsest_stride_and_loading():
    torch.manual_seed(0)
    kept = dict(image_size=64, backbone="resnet10", channels=32, levels=3, anchor_side=16, proposals=20, head_layers=1, head_width=16)
    net = build_faster_rcnn(**kept)
    scans_ = [np.random.default_rng(0).integers(0, 256, shape, np.uint8) for shape in ((5, 7), (64, 64), (90, 50))]
    with tempfile.TemporaryDirectory() as folder:
        save_weights(net, folder)
        made = Run("13_faster_rcnn")
        made.out = made.work = Path(folder)
        empty = [dict(path="a", width=7, height=5, boxes=np.zeros((0, 4)), scores=[], true_boxes=np.zeros((0, 4)))]
        about = dict(dataset="d", weights="scratch", seed=0, n_train=1)
        publish_detector(made, {"val": empty, "test": empty}, "faster_rcnn", "F", dict(image_size=64, median=1, architecture=kept), **about)
        again = load_detector(folder, "cpu")
    before = TorchDetector(net, 64, 1, device="cpu").predict(scans_, low=0.0)
    for (boxes_, scores_), (same, sure_), scan_ in zip(before, again.predict(scans_, low=0.0), scans_):
        assert np.array_equal(boxes_, same) and np.array_equal(scores_, sure_) and len(sure_)
        assert (same >= 0).all() and (same <= np.tile(scan_.shape[::-1], 2)).all() and (np.diff(sure_) <= 0).all()
