"""Tests of nbs/12_retinanet.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile

import numpy as np
import pytest
import torch
from torchvision.models.detection import retinanet_resnet50_fpn_v2

from brain_mri.detection import publish_detector
from brain_mri.reports import Run
from brain_mri.retinanet import build_retinanet, feature_pyramid, load_detector
from brain_mri.torch_training import TorchDetector, save_weights


def test_unknown_backbone_is_named():
    with pytest.raises(ValueError, match="expected a backbone out of resnet10, .*, got 'vgg16'"):
        feature_pyramid("vgg16")


def test_at_published_size_every_layer_is_torchvisions():
    with torch.device("meta"):  # shapes only
        ours, theirs = build_retinanet(640), retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None)
    shapes = lambda net: {name: value.shape for name, value in net.state_dict().items() if "cls_logits" not in name}
    assert shapes(ours) == shapes(theirs)
    assert ours.anchor_generator.sizes == [list(sizes) for sizes in theirs.anchor_generator.sizes]


def test_sizes_and_levels_that_do_not_fit_are_named():
    for wrong in (dict(image_size=16), dict(image_size=100), dict(image_size=64, levels=4)):
        with pytest.raises(ValueError, match="expected 3 or 5 levels and image_size as a multiple of 32, .* got"):
            build_retinanet(**wrong)
    with pytest.raises(ValueError, match="expected a backbone out of"):
        build_retinanet(64, "vgg16")


def test_an_untrained_network_says_one_percent():
    torch.manual_seed(0)
    fresh = build_retinanet(64, "resnet10", 32, 3)
    with torch.inference_mode():
        logits = fresh.head.classification_head(list(fresh.backbone(torch.rand(1, 3, 64, 64)).values()))
    assert abs(float(logits.sigmoid().mean()) - 0.01) < 0.003


def test_scans_without_lesions_train_too():
    torch.manual_seed(0)
    net = build_retinanet(64, "resnet10", 32, 3).train()
    none, one = torch.zeros(0, 4), torch.tensor([[8.0, 8, 30, 28]])
    label = lambda b: {"boxes": b, "labels": torch.ones(len(b), dtype=torch.int64)}
    for group in ([none, none], [none, one]):
        losses = net(torch.rand(2, 3, 64, 64), [label(b) for b in group])
        sum(losses.values()).backward()
        assert all(torch.isfinite(loss) for loss in losses.values()) and (losses["bbox_regression"] > 0) == any(len(b) for b in group)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_box_without_area_is_refused_by_the_network_itself():
    net = build_retinanet(64, "resnet10", 32, 3).train()
    with pytest.raises(AssertionError, match="All bounding boxes should have positive height and width"):
        net(torch.rand(1, 3, 64, 64), [{"boxes": torch.tensor([[9.0, 9, 9, 20]]), "labels": torch.ones(1, dtype=torch.int64)}])


def test_scans_smaller_than_the_coarsest_stride_and_loading():
    torch.manual_seed(0)
    kept = dict(image_size=64, backbone="resnet10", channels=32, levels=3, anchor_scale=1.5, octave_steps=2)
    net = build_retinanet(**kept)
    scans_ = [np.random.default_rng(0).integers(0, 256, shape, np.uint8) for shape in ((5, 7), (64, 64), (90, 50))]
    with tempfile.TemporaryDirectory() as folder:
        save_weights(net, folder)
        made = Run("12_retinanet")
        made.out = made.work = type(made.work)(folder)
        empty = [dict(path="a", width=7, height=5, boxes=np.zeros((0, 4)), scores=[], true_boxes=np.zeros((0, 4)))]
        publish_detector(
            made,
            {"val": empty, "test": empty},
            "retinanet",
            "RetinaNet",
            dict(image_size=64, median=1, architecture=kept),
            dataset="d",
            weights="scratch",
            seed=0,
            n_train=1,
        )
        again = load_detector(folder, "cpu")
    before = TorchDetector(net, 64, 1, device="cpu").predict(scans_, low=0.0)
    for (boxes_, scores_), (same, sure), scan_ in zip(before, again.predict(scans_, low=0.0), scans_):
        assert np.array_equal(boxes_, same) and np.array_equal(scores_, sure) and len(sure)
        assert (same >= 0).all() and (same <= np.tile(scan_.shape[::-1], 2)).all() and (np.diff(sure) <= 0).all()
