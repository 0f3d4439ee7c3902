"""Tests of nbs/04_torch_training.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from brain_mri.data import DataError
from brain_mri.preprocess import Augmentation
from brain_mri.torch_training import (
    DetectionData, DetectionScans, DetectorTraining, TorchDetector, fit, load_torch_detector, save_weights,
    start_from, whole_checkpoint,
)


def test_augmentation_hangs_on_seed_epoch_and_position_alone():
    table = pd.DataFrame({"path": [0, 1], "boxes": [np.float32([[20, 20, 40, 50]])] * 2, "width": 64, "height": 64})
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
    a, b = (DetectionScans(table, noise.__getitem__, 32, augmentation=Augmentation(), seed=3) for _ in range(2))
    a[0], a[1]  # having drawn others before makes no difference
    a.epoch = b.epoch = 4
    assert torch.equal(a[1][0], b[1][0]) and torch.equal(a[1][1], b[1][1])
    b.epoch = 5
    assert not torch.equal(a[1][0], b[1][0])


def test_scans_are_resized_with_their_boxes_and_kept_on_disk():
    table = pd.DataFrame({"path": ["a"], "boxes": [np.float32([[10, 20, 60, 220]])], "width": 100, "height": 200})
    with tempfile.TemporaryDirectory() as folder:
        data = DetectionScans(table, lambda path: np.full((200, 100), 7, np.uint8), 50, file=Path(folder) / "scans.npy")
        assert data[0][0].shape == (50, 50) and data[0][1].tolist() == [[5, 5, 30, 50]]  # cut at the lower border
        assert np.load(Path(folder) / "scans.npy").tolist() == data.scans.tolist()


def test_boxes_without_area_or_outside_the_scan_are_named():
    for box in ([10, 10, 10, 40], [30, 10, 20, 40], [200, 10, 240, 40], [0, 0, float("nan"), 9]):
        table = pd.DataFrame({"path": ["te1.png"], "boxes": [[box]], "width": 100, "height": 100})
        with pytest.raises(DataError, match=r"with an area inside the scan of 100 x 100 px, got \[\[.* in te1.png: mend"):
            DetectionScans(table, None, 32)


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match="expected scans to learn from, got a table without rows"):
        DetectionScans(pd.DataFrame(), None, 32)


def test_a_loss_that_is_not_a_number_stops_the_training():
    class Broken(torch.nn.Module):
        def forward(self, images, targets):
            return {"box": images.sum() * float("nan")}


    with pytest.raises(ValueError, match=r"expected a finite loss, got \{'box': nan\} in epoch 0: lower learning_rate"):
        DetectorTraining(Broken()).training_step((torch.zeros(1, 8, 8, dtype=torch.uint8), [torch.zeros(0, 4)]), 0)


def test_a_checkpoint_that_was_cut_short_is_not_resumed():
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "last.ckpt"
        assert whole_checkpoint(file) is None
        torch.save({"epoch": 1, "state_dict": {}}, file)
        assert whole_checkpoint(file) == file
        file.write_bytes(file.read_bytes()[:100])
        assert whole_checkpoint(file) is None and not file.exists()


def test_a_resumed_training_equals_one_that_ran_through():
    class Point(torch.nn.Module):  # learns the mean grey value; cheap, with a random part like a two-stage detector's
        def __init__(self):
            super().__init__()
            self.mean = torch.nn.Parameter(torch.zeros(4))

        def forward(self, images, targets=None):
            if targets is None:
                return [{"boxes": 9 + self.mean.abs()[None] * torch.tensor([0, 0, 1, 1]), "scores": self.mean[:1].sigmoid()} for _ in images]
            return {"loss": ((self.mean - images.mean() - 0.1 * torch.rand(4)) ** 2).sum()}


    class Stop(Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 2:
                raise RuntimeError("killed")


    table = pd.DataFrame({"path": range(6), "boxes": [np.float32([[9, 9, 20, 20]])] * 6, "width": 32, "height": 32})
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32), np.uint8)
    scans_ = lambda: DetectionScans(table, noise.__getitem__, 32, augmentation=Augmentation())
    weights_, logs_ = [], []
    for killed in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            begin = lambda: DetectorTraining(Point(), 0.1)
            go = lambda training: fit(training, DetectionData(scans_(), scans_(), 2), folder, 3, precision="32-true", device="cpu")
            if killed:
                first = begin()
                first.configure_callbacks = lambda: [Stop()]
                with pytest.raises(RuntimeError, match="killed"):
                    go(first)
            second = begin()
            logs_.append(go(second))
            weights_.append(second.model.mean.detach())
            third = begin()  # killed after the last epoch: nothing is left to do
            pd.testing.assert_frame_equal(go(third), logs_[-1])
            assert torch.equal(third.model.mean, second.model.mean)
    assert torch.equal(*weights_) and weights_[0].abs().min() > 0
    pd.testing.assert_frame_equal(*logs_)


def test_detector_answers_in_the_scans_own_pixels():
    class Fixed(torch.nn.Module):
        def forward(self, images):
            assert images.shape[1:] == (3, 32, 32) and 0 <= images.min() and images.max() <= 1
            boxes = torch.tensor([[4.0, 4, 8, 8], [-5, 0, 40, 16], [6, 6, 6, 20], [1, 1, 9, 9]])  # unsorted; too large; no area; unsure
            return [{"boxes": boxes, "scores": torch.tensor([0.5, 0.9, 0.8, 0.001])} for _ in images]


    fixed = TorchDetector(Fixed(), 32, 1, device="cpu")
    [(out, sure), (same, _)] = fixed.predict([np.zeros((64, 96), np.uint8), np.zeros((32, 32), np.uint8)])
    assert out.tolist() == [[0, 0, 96, 32], [12, 8, 24, 16]] and same.tolist() == [[0, 0, 32, 16], [4, 4, 8, 8]]
    np.testing.assert_allclose(sure, [0.9, 0.5])
    assert out.dtype == sure.dtype == np.float32 and fixed.predict([]) == []


def test_damaged_or_foreign_weights_are_named():
    card_ = dict(module="point", architecture=dict(in_features=2, out_features=1), image_size=8, median=1, threshold=0.5)
    with tempfile.TemporaryDirectory() as folder:
        save_weights(torch.nn.Linear(3, 1), folder)
        for damage in (lambda data: data, lambda data: data[: len(data) // 2], lambda data: b""):
            file = Path(folder) / "weights.pt"
            file.write_bytes(damage(file.read_bytes()))
            with pytest.raises(DataError, match="expected the weights of point in .*weights.pt, got .*: run that detector's notebook again"):
                load_torch_detector(card_, folder, torch.nn.Linear)


def test_published_weights_fill_every_layer_but_the_one_that_names_classes():
    net = lambda classes, width=4: torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.Linear(width, classes))
    with tempfile.TemporaryDirectory() as folder:
        file, theirs, ours = Path(folder) / "published.pth", net(90), net(1)
        torch.save(theirs.state_dict(), file)
        before = ours[1].weight.clone()
        assert not torch.equal(start_from(ours, "scratch", file, "1.", "")[0].weight, theirs[0].weight)
        start_from(ours, "pretrained", file, "1.", "")
        assert torch.equal(ours[0].weight, theirs[0].weight) and torch.equal(ours[1].weight, before)


def test_published_weights_that_do_not_fit_or_are_not_there_are_named():
    net = lambda width, extra=(): torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.Linear(width, 1), *extra)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "published.pth"
        torch.save(net(4).state_dict(), file)
        with pytest.raises(DataError, match="expected weights of the same architecture in .*published.pth, got 1 differences"):
            start_from(net(5), "pretrained", file, "1.", "")
        with pytest.raises(DataError, match="got 2 differences, the first: 2.weight"):
            start_from(net(4, [torch.nn.Linear(1, 1)]), "pretrained", file, "1.", "")
        file.write_bytes(file.read_bytes()[:500])
        with pytest.raises(DataError, match="expected weights of the same architecture in"):
            start_from(net(4), "pretrained", file, "1.", "")
        with pytest.raises(
            FileNotFoundError, match="expected pretrained weights at .*none.pth, found none: download none.pth from example.org"
        ) as caught:
            start_from(net(4), "pretrained", Path(folder) / "none.pth", "1.", "example.org")
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="expected weights scratch or pretrained, got 'imagenet'"):
        start_from(net(4), "imagenet", "", "1.", "")
