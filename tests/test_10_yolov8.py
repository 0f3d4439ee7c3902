"""Tests of nbs/10_yolov8.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.ops import box_convert
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel

from brain_mri.data import DataError
from brain_mri.yolov8 import (
    YoloDetector, decode_edges, load_detector, load_yolo, os, start_model, train_yolo, write_yolo,
)


def test_reports_installs_and_console_output_are_off():
    code = "import brain_mri.yolov8; from ultralytics.utils import AUTOINSTALL, ONLINE, VERBOSE; print(AUTOINSTALL, ONLINE, VERBOSE)"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("YOLO_") or name == "YOLO_CONFIG_DIR"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True)
    assert done.stdout.split() == ["False"] * 3, done.stderr


def test_yolo_folder_holds_every_scan_and_its_boxes():
    table = pd.DataFrame(
        {"path": ["a", "b"], "boxes": [np.float32([[10, 20, 30, 60]]), np.zeros((0, 4), np.float32)], "width": 100, "height": 200}
    )
    with tempfile.TemporaryDirectory() as folder:
        file = write_yolo(Path(folder) / "data", {"train": table, "val": table[:1]}, lambda path: np.zeros((200, 100), np.uint8), 64)
        assert (file.parent / "labels/train/00000.txt").read_text() == "0 0.200000 0.200000 0.200000 0.200000\n"
        assert (file.parent / "labels/train/00001.txt").read_text() == ""
        assert Image.open(file.parent / "images/val/00000.png").size == (64, 64)


def test_missing_pretrained_weights_are_one_clear_line():
    with pytest.raises(FileNotFoundError, match="expected pretrained weights at .*no_such.pt, found none: download") as caught:
        start_model("pretrained", "no_such.pt")
    assert "\n" not in str(caught.value)


def test_unknown_weights_word():
    with pytest.raises(ValueError, match="expected weights scratch or pretrained, got 'imagenet'"):
        start_model("imagenet")


def test_a_killed_training_ends_like_one_that_ran_through():
    def end_with_epoch(trainer):
        """What a kill in the second epoch looks like."""
        if trainer.epoch == 1:
            raise RuntimeError("killed")


    table = pd.DataFrame({"path": range(16), "boxes": [np.float32([[10, 20, 40, 60]])] * 16, "width": 64, "height": 64})
    noise = np.random.default_rng(0).integers(0, 256, (16, 64, 64), np.uint8)
    for number in (16, 12):  # the last batch of 8 is full, and half full
        with tempfile.TemporaryDirectory() as folder:
            folder, ends = Path(folder), []
            file = write_yolo(folder / "data", {"train": table[:number], "val": table[:2]}, lambda index: noise[index], 32)
            for name in ("whole", "killed"):
                go = partial(train_yolo, data=file, folder=folder / name, size=32, batch=8, device="cpu", epochs=3, state=folder / f"{name}.pt")
                torch.manual_seed(0)
                model = start_model()
                if name == "killed":
                    model.add_callback("on_train_epoch_end", end_with_epoch)
                    with pytest.raises(RuntimeError, match="killed"):
                        go(model)
                    (folder / "killed/weights/best.pt").write_bytes(b"half")
                    torch.manual_seed(1)  # another start: nothing of it may be left
                    model = start_model()
                log_ = go(model).drop(columns="time")
                ends.append((log_, YOLO(folder / name / "weights/best.pt").model.state_dict()))
        pd.testing.assert_frame_equal(ends[0][0], ends[1][0])
        assert ends[0][0].epoch.tolist() == [1, 2, 3]
        assert all(torch.equal(ends[0][1][key], ends[1][1][key]) for key in ends[0][1])


def test_only_plain_weights_are_read():
    with tempfile.TemporaryDirectory() as folder:
        file, trap = Path(folder) / "yolov8.pt", Path(folder) / "trap"
        model = DetectionModel("yolov8n.yaml", nc=1, verbose=False)
        torch.save(model.state_dict(), file)
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in load_yolo(file).model.state_dict().items())
        trapped = type("Trap", (), {"__reduce__": lambda self: (Path.touch, (trap,))})
        for damaged in (model, {"model.0.conv.weight": torch.zeros(1)}, trapped()):
            torch.save(damaged, file)
            with pytest.raises(DataError, match="expected the weights of YOLOv8n in .*yolov8.pt, got .*: make them again"):
                load_yolo(file)
        assert not trap.exists()


def test_detector_returns_boxes_in_the_scans_own_pixels():
    torch.manual_seed(0)
    tiny = YoloDetector(start_model().model, 64, 3, device="cpu")
    shapes = [(50, 90), (128, 128)]
    images = [np.random.default_rng(0).integers(0, 256, shape, np.uint8) for shape in shapes]
    for (out, sure), (height, width) in zip(tiny.predict(images, low=0.0), shapes):
        assert out.dtype == sure.dtype == np.float32 and out.shape == (len(sure), 4) and len(out)
        assert (out >= 0).all() and (out <= [width, height, width, height]).all()
        assert (np.diff(sure) <= 0).all()
    assert tiny.predict([]) == []


def test_black_scan_gives_boxes_or_none_but_no_error():
    torch.manual_seed(0)
    tiny = YoloDetector(start_model().model, 64, 3, device="cpu")
    [(out, sure)] = tiny.predict([np.zeros((80, 60), np.uint8)])
    assert out.shape == (len(sure), 4) and np.isfinite(out).all()


def test_missing_detector_names_the_command():
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(FileNotFoundError, match="expected a detector .*detector.json.* in .* make it with `make "):
            load_detector(folder)
        (Path(folder) / "detector.json").write_text('{"module": "yolov8", "f1_validation": 0.5}')
        with pytest.raises(FileNotFoundError, match="expected yolov8.pt in .* make it with `make 10_yolov8`"):
            load_detector(folder)


def test_decoding_by_hand_agrees_with_the_network():
    torch.manual_seed(0)
    tiny = YoloDetector(start_model().model, 64, 3, device="cpu")
    decoded, raw_ = tiny.forward([np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)])
    last = tiny.model.model[-1]
    for i in (0, 70, 83):  # one point of each grid
        where = (last.anchors * last.strides)[:, i].tolist()
        box = decode_edges(raw_["boxes"][0, :, i].reshape(4, 16), where, float(last.strides[0, i]))
        np.testing.assert_allclose(box, box_convert(decoded[0, :4, i], "cxcywh", "xyxy"), atol=1e-3)
