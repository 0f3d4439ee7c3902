"""Tests of nbs/11_efficientdet.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from brain_mri.efficientdet import build_efficientdet, fusion_weights, level_anchors, load_detector
from brain_mri.torch_training import TorchDetector, save_weights, start_from


def test_wrong_sizes_and_names_are_named():
    for size in (64, 200, 0):
        with pytest.raises(
            ValueError, match=rf"expected image_size to be a multiple of 128 \(the coarsest stride\), got {size}: set it to \d+"
        ):
            build_efficientdet(size)
    with pytest.raises(ValueError, match="expected a variant of effdet such as efficientdet_d0, .* got 'd0'"):
        build_efficientdet(128, "d0")
    with pytest.raises(ValueError, match="expected a network of timm such as .* got 'resnet'"):
        build_efficientdet(128, backbone="resnet")


def test_batches_without_a_lesion_can_be_learnt_from():
    torch.manual_seed(0)
    small = build_efficientdet(128, backbone="tinynet_e", channels=8, fpn_cells=1, head_layers=1)
    empty, one = torch.zeros(0, 4), torch.tensor([[20.0, 30, 60, 90]])
    for boxes in ([empty, empty], [one, empty]):
        losses = small(torch.rand(2, 3, 128, 128), [{"boxes": b} for b in boxes])
        assert all(torch.isfinite(loss) for loss in losses.values()) and (losses["bbox"] > 0) == (len(boxes[0]) > 0)
        sum(losses.values()).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in small.parameters())


def test_boxes_outside_are_survived_and_those_without_area_named():
    torch.manual_seed(0)
    small = build_efficientdet(128, backbone="tinynet_e", channels=8, fpn_cells=1, head_layers=1)
    images_ = torch.rand(2, 3, 128, 128)
    with_box = lambda *box: small(images_, [{"boxes": torch.tensor([box])}, {"boxes": torch.zeros(0, 4)}])
    assert all(torch.isfinite(loss) for loss in with_box(200.0, 200, 250, 260).values())
    for box in ((10.0, 10, 10, 40), (30.0, 10, 20, 40), (0.0, 0, float("nan"), 9)):
        with pytest.raises(ValueError, match=r"expected boxes \(x0, y0, x1, y1\) with an area, got \[\["):
            with_box(*box)


def test_answers_are_sorted_boxes_inside_the_scan_whatever_its_size():
    torch.manual_seed(0)
    small = build_efficientdet(128, backbone="tinynet_e", channels=8, fpn_cells=1, head_layers=1)
    shapes = [(50, 90), (7, 5), (300, 128)]  # smaller than the coarsest stride, and larger
    noise = [np.random.default_rng(0).integers(0, 256, shape, np.uint8) for shape in shapes]
    for (out, sure), (height, width) in zip(TorchDetector(small, 128, 3, device="cpu").predict(noise, low=0.0), shapes):
        assert out.dtype == sure.dtype == np.float32 and out.shape == (len(sure), 4) and 0 < len(out) <= 100
        assert (out >= 0).all() and (out <= np.float32([width, height] * 2) * 1.0001).all() and out.max() > min(height, width) / 2
        assert (np.diff(sure) <= 0).all()


def test_anchors_of_a_point_by_hand():
    boxes_ = level_anchors(build_efficientdet(128, backbone="tinynet_e", channels=8, fpn_cells=1, head_layers=1, anchor_scale=3.0))
    assert {level: tuple(b.shape) for level, b in boxes_.items()} == {level: (128 >> level, 128 >> level, 9, 4) for level in range(3, 8)}
    wanted = []
    for size in (3 * 16 * 2 ** (k / 3) for k in range(3)):  # level 4: a point every 16 pixels
        for w, h in ((size, size), (1.4 * size, 0.7 * size), (0.7 * size, 1.4 * size)):
            wanted.append([56 - w / 2, 40 - h / 2, 56 + w / 2, 40 + h / 2])  # row 2, column 3: the point (3.5, 2.5) * 16
    np.testing.assert_allclose(boxes_[4][2, 3], wanted, rtol=1e-5)


def test_variants_and_own_values():
    with torch.device("meta"):
        size = lambda *a, **k: sum(p.numel() for p in build_efficientdet(128, *a, **k).parameters())
        assert size() < size("efficientdet_d1") and size(channels=32) < size() < size(fpn_cells=4) < size(backbone="efficientnet_b1")
    config_ = build_efficientdet(256, anchor_scale=2.5, norm_momentum=0.2).net.config
    assert (config_.fpn_channels, config_.fpn_cell_repeats, config_.box_class_repeats, config_.backbone_name) == (64, 3, 3, "efficientnet_b0")
    assert (config_.anchor_scale, config_.norm_kwargs["momentum"], config_.num_classes) == (2.5, 0.2, 1)


def test_published_weights_of_ninety_classes_fit():
    arch = dict(image_size=128, backbone="tinynet_e", channels=8, fpn_cells=1, head_layers=1)
    published = build_efficientdet(**arch).net
    published.reset_head(num_classes=90)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "efficientdet.pth"
        torch.save(published.state_dict(), file)
        loaded, theirs = (
            start_from(build_efficientdet(**arch).net, "pretrained", file, "class_net.predict", "").state_dict(),
            published.state_dict(),
        )
    assert [name for name in theirs if loaded[name].shape != theirs[name].shape] == [
        f"class_net.predict.conv_pw.{p}" for p in ("weight", "bias")
    ]
    assert all(torch.equal(loaded[name], theirs[name]) for name in theirs if "class_net.predict" not in name)


def test_shares_follow_from_the_weights_and_the_graph_is_a_bifpn():
    small = build_efficientdet(128, backbone="tinynet_e", channels=8, fpn_cells=2, head_layers=1)
    small.net.fpn.cell[1].fnode[4].combine.edge_weights.data = torch.tensor([1.0, 3.0, -2.0])
    shares_ = fusion_weights(small).set_index(["cell", "node"])
    assert shares_.loc[(0, 0)].level.tolist() == [6, 6] and shares_.loc[(0, 0)].source_level.tolist() == [6, 7]
    np.testing.assert_allclose(shares_.loc[(0, 0)].share, [0.5, 0.5], atol=1e-4)
    np.testing.assert_allclose(shares_.loc[(1, 4)].share, [0.25, 0.75, 0], atol=1e-4)
    assert len(shares_) == 2 * (4 * 2 + 3 * 3 + 2)


def test_a_saved_detector_answers_the_same():
    torch.manual_seed(0)
    arch = dict(image_size=128, backbone="tinynet_e", channels=8, fpn_cells=1, head_layers=1, anchor_scale=2.5)
    small, noise = build_efficientdet(**arch), [np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)]
    with tempfile.TemporaryDirectory() as folder:
        card_ = dict(module="efficientdet", image_size=128, median=3, threshold=0.3, f1_validation=0.5, architecture=arch)
        (Path(folder) / "detector.json").write_text(json.dumps(card_))
        save_weights(small, folder)
        loaded = load_detector(folder, "cpu")
    for mine, theirs in zip(TorchDetector(small, 128, 3, device="cpu").predict(noise)[0], loaded.predict(noise)[0]):
        np.testing.assert_array_equal(mine, theirs)
    assert loaded.threshold == 0.3
