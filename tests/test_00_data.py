"""Tests of nbs/00_data.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from zipfile import ZipFile

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
import requests
from PIL import Image
from scipy.io import loadmat

from brain_mri.data import (
    BOXES, CLASSES, COLUMNS, DataError, FIGSHARE, ImageError, KAGGLE, LABELS, MASKS, PAPER_COUNTS, Scans,
    TRUE_MASKS, block_split, connected_groups, count_table, data_fingerprint, data_report, data_root,
    download_masks, fetch, leave_out_twins, load_boxes, load_labels, load_masks, manifest, mask_box,
    near_duplicate_groups, parse_yolo, read_mask, read_mat, read_scan, similar_pairs, slice_split, split_validation,
    stratified_limit, tiny_data, to_yolo, write_mat, write_scans, yolo_box,
)


def test_download_is_checked_and_unpacked_inside_its_folder():
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        archive.writestr("1.mat", "one")
        archive.writestr("../../outside.mat", "two")
    entry = {"id": 1, "name": "a.zip", "size": 1, "is_link_only": False, "download_url": "https://files/1", "supplied_md5": ""}
    entry["computed_md5"] = hashlib.md5(content.getvalue()).hexdigest()
    readme = entry | {"id": 2, "name": "README.txt", "download_url": "https://files/2"}
    pages = {FIGSHARE: json.dumps({"id": 1512427, "version": 5, "files": [entry, readme]}).encode(), "https://files/1": content.getvalue()}


    def get_(url, **_):
        reply = requests.Response()
        reply.status_code, reply.raw = 200, io.BytesIO(pages.pop(url))  # each address once
        return reply


    with TemporaryDirectory() as folder, patch("requests.get", get_):
        cache = Path(folder) / "deep" / "cache"
        assert download_masks(cache) == download_masks(cache) == cache / MASKS
        found = sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.*"))
        assert found == [f"deep/cache/{MASKS}/1.mat", f"deep/cache/{MASKS}/outside.mat"]


def test_download_with_a_wrong_hash_leaves_nothing_behind():
    page = json.dumps({"files": [{"name": "a.zip", "download_url": "https://files/1", "computed_md5": "0" * 32}]}).encode()


    def get_(url, **_):
        reply = requests.Response()
        reply.status_code, reply.raw = 200, io.BytesIO(page if url == FIGSHARE else b"sorry")
        return reply


    with TemporaryDirectory() as folder, patch("requests.get", get_):
        with pytest.raises(DataError, match="expected a file with MD5 0{32} at https://files/1, got 5 bytes with MD5 .*: try again"):
            download_masks(folder)
        assert not any(path.is_file() for path in Path(folder).rglob("*")) and not (Path(folder) / MASKS).exists()


def test_interrupted_download_goes_on_where_it_stopped():
    whole, sent = bytes(range(256)) * 40, []


    def get_(url, headers, **_):
        start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
        reply = requests.Response()
        reply.status_code, reply.raw = 206 if start < len(whole) else 416, io.BytesIO(whole[start:])
        sent.append(start)
        return reply


    with TemporaryDirectory() as folder, patch("requests.get", get_):
        file, md5 = Path(folder) / "a.zip", hashlib.md5(whole).hexdigest()
        (Path(folder) / "a.zip.part").write_bytes(whole[:4000])
        fetch("https://files/1", file, md5)
        assert sent == [4000] and file.read_bytes() == whole
        (Path(folder) / "a.zip.part").write_bytes(whole)
        fetch("https://files/1", file, md5)
        assert sent == [4000, len(whole)] and file.read_bytes() == whole


def test_download_that_is_refused_keeps_what_is_there():
    reply_ = requests.Response()
    reply_.status_code, reply_.raw = 202, io.BytesIO()
    with TemporaryDirectory() as folder, patch("requests.get", return_value=reply_):
        part = Path(folder) / "a.zip.part"
        part.write_bytes(b"half of it")
        with pytest.raises(DataError, match="expected the file at https://files/1, got HTTP status 202: try again later, or download"):
            fetch("https://files/1", Path(folder) / "a.zip", "0" * 32)
        assert part.read_bytes() == b"half of it"


def test_download_without_archives():
    def get_(url, **_):
        reply = requests.Response()
        reply.status_code, reply.raw = 200, io.BytesIO(b'{"files": []}')
        return reply


    with TemporaryDirectory() as folder, patch("requests.get", get_):
        with pytest.raises(DataError, match=r"expected archives \(\*.zip\) at .*, found none"):
            download_masks(folder)


def test_data_with_phantoms_is_an_error():
    with pytest.raises(DataError, match="expected no DATA with phantoms, got DATA=scans"):
        data_root("phantom", data="scans")


def test_phantoms_are_not_mixed_with_other_files():
    with TemporaryDirectory() as folder:
        tiny_data(folder)
        with pytest.raises(DataError, match="expected an empty folder for phantoms, found files in"):
            data_root("phantom", folder=folder)


def test_data_folder_that_does_not_exist():
    with pytest.raises(DataError, match="expected DATA to be a folder, found none at .*no_such_folder"):
        data_root("local", data="no_such_folder")


def test_local_without_data():
    with pytest.raises(DataError, match="expected DATA with source local, got none"):
        data_root("local")


def test_unknown_source():
    with pytest.raises(DataError, match="expected source phantom, local or kaggle, got 'web'"):
        data_root("web")


def test_kaggle_with_data_reads_it_and_downloads_nothing():
    with TemporaryDirectory() as folder, patch("kagglehub.dataset_download", side_effect=AssertionError):
        assert data_root("kaggle", data=folder) == Path(folder)


def test_kaggle_without_network_is_one_clear_line():
    with TemporaryDirectory() as folder, patch("kagglehub.dataset_download", side_effect=ConnectionError("no\nroute")):
        with pytest.raises(
            DataError, match=r"expected to download ahmedsorour1/.*/versions/1 from Kaggle, got ConnectionError \(no route\): check"
        ) as caught:
            data_root("kaggle", folder=folder)
    assert "\n" not in str(caught.value)


def test_figshare_without_network_is_one_clear_line():
    expected = rf"expected to download {MASKS} from https.*, got ConnectionError \(no route\): check"
    with TemporaryDirectory() as folder, patch.dict(os.environ, KAGGLEHUB_CACHE=f"{folder}/cache"):
        with patch("kagglehub.dataset_download", return_value=folder), patch("requests.get", side_effect=requests.ConnectionError("no\nroute")):
            with pytest.raises(DataError, match=expected) as caught:
                data_root("kaggle", folder=f"{folder}/data")
    assert "\n" not in str(caught.value)


def test_every_kind_of_image_becomes_the_same_grey():
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    kinds = {"grey": Image.fromarray(ramp), "colour": Image.fromarray(ramp).convert("RGB"), "rgba": Image.fromarray(ramp).convert("RGBA")}
    kinds["palette"] = kinds["grey"].convert("P")
    kinds["sixteen"] = Image.fromarray(ramp.astype(np.uint16) * 16)  # 12 bits in 16
    with TemporaryDirectory() as folder:
        for name, image in kinds.items():
            image.save(Path(folder) / f"{name}.png")
            scan = read_scan(Path(folder) / f"{name}.png")
            assert scan.dtype == np.uint8 and scan.shape == (64, 64)
            assert np.abs(scan.astype(int) - ramp).max() <= (4 if name == "sixteen" else 1), name


def test_transparent_pixels_are_black():
    with TemporaryDirectory() as folder:
        Image.new("RGBA", (20, 20), (255, 255, 255, 0)).save(Path(folder) / "clear.png")
        assert read_scan(Path(folder) / "clear.png").max() == 0


def test_exif_orientation_is_ignored():
    with TemporaryDirectory() as folder:
        exif = Image.Exif()
        exif[0x0112] = 6  # "turn by 90 degrees to show"
        Image.new("L", (40, 20)).save(Path(folder) / "turned.jpg", exif=exif)
        assert read_scan(Path(folder) / "turned.jpg").shape == (20, 40)


def test_unusable_images_say_why():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scan.png"
        noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
        Image.fromarray(noise).save(path)
        whole = path.read_bytes()
        Image.new("L", (1, 1)).save(path)
        cases = {
            path.read_bytes(): "side under 16 pixels",
            b"": "zero-byte file",
            b"not an image": "not a JPEG or PNG image",
            whole[: len(whole) // 2]: "truncated or damaged",
        }
        for data, reason in cases.items():
            path.write_bytes(data)
            with pytest.raises(ImageError, match=reason):
                read_scan(path)


def test_truncated_jpeg_is_refused():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scan.jpg"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:-400])
        with pytest.raises(ImageError, match="scan.jpg: truncated or damaged image; replace or delete it"):
            read_scan(path)


def test_a_picture_of_another_format_is_refused():
    with TemporaryDirectory() as folder:
        Image.new("L", (40, 40)).save(Path(folder) / "scan.jpg", format="GIF")
        with pytest.raises(ImageError, match="not a JPEG or PNG image"):
            read_scan(Path(folder) / "scan.jpg")


def test_missing_file_is_an_image_error():
    with pytest.raises(ImageError, match="file cannot be read"):
        read_scan("no_such_scan.jpg")


def test_yolo_box_round_trip():
    box = yolo_box(0.4, 0.6, 0.3, 0.2, 200, 100)
    assert box.dtype == np.float32 and np.allclose(box, [50, 50, 110, 70])
    assert np.allclose(to_yolo(box, 200, 100), [0.4, 0.6, 0.3, 0.2])


def test_yolo_box_is_clipped_to_the_image():
    assert yolo_box(1.0, 0.0, 0.5, 0.5, 100, 100).tolist() == [75, 0, 100, 25]


def test_malformed_label_lines_say_why():
    cases = {
        "0 0.5 0.5 0.2": "4 fields, expected 5",
        "0 0.5 0.5 0.2 0.2 0.9": "6 fields, expected 5",
        "0 0.5 nan 0.2 0.2": "not a number",
        "0 0.5 half 0.2 0.2": "not a number",
        "0 -0.1 0.5 0.2 0.2": "outside 0 to 1",
        "0 0.5 0.5 1.2 0.2": "outside 0 to 1",
        "7 0.5 0.5 0.2 0.2": "unknown class id",
        "0 0.5 0.5 0.0 0.2": "without area",
    }
    for line, reason in cases.items():
        with pytest.raises(ValueError, match=reason):
            parse_yolo(line)


def test_mask_box_is_half_open():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 3:9] = True
    x1, y1, x2, y2 = mask_box(mask)
    assert (x2 - x1) * (y2 - y1) == mask.sum()


def test_empty_mask_has_no_box():
    with pytest.raises(ValueError, match="got an empty one"):
        mask_box(np.zeros((4, 4), bool))


def test_a_scan_is_not_a_mask():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scan.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)).save(path)
        with pytest.raises(ImageError, match="more than two grey levels"):
            read_mask(path)


def test_matlab_slices_are_read_upright():
    image = np.zeros((40, 60), np.int16)
    image[2:6, 10:40] = 2000
    image[30, 5] = -7
    mask = np.zeros((40, 60), bool)
    mask[2:6, 10:20] = True
    with TemporaryDirectory() as folder:
        path = Path(folder) / "7.mat"
        write_mat(path, image, mask, "pituitary", "MR017260F")
        assert np.array_equal(read_scan(path), 255 * (image > 0)) and read_scan(path).dtype == np.uint8
        assert np.array_equal(read_mask(path), mask)
        assert read_mat(path.read_bytes(), path)[2:] == ("pituitary", "MR017260F")


def test_written_matlab_files_have_the_layout_of_matlab():
    mask = np.zeros((20, 30), bool)
    mask[4:8, 9:19] = True
    with TemporaryDirectory() as folder:
        path = Path(folder) / "1.mat"
        write_mat(path, np.arange(600).reshape(20, 30), mask, "glioma", "100360")
        with pytest.raises(NotImplementedError, match="v7.3"):  # scipy knows the format by its first bytes, and does not read it
            loadmat(path)
        with h5py.File(path) as file:
            parts = {name: (part.shape, part.dtype.str) for name, part in file["cjdata"].items()}
            border = file["cjdata/tumorBorder"][0].reshape(-1, 2)
        assert parts.pop("tumorBorder") == ((1, 2 * len(border)), "<f8")
        assert border.min(0).tolist() == [9, 4] and border.max(0).tolist() == [18, 7]
        assert parts == {"PID": ((6, 1), "<u2"), "image": ((30, 20), "<i2"), "label": ((1, 1), "<f8"), "tumorMask": ((30, 20), "|u1")}


def test_damaged_matlab_files_say_so():
    image, mask = np.random.default_rng(0).integers(0, 999, (64, 64)), np.eye(64, dtype=bool)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "1.mat"
        write_mat(path, image, mask, "glioma", "100360")
        whole = path.read_bytes()
        for share in range(0, 100, 5):
            path.write_bytes(whole[: len(whole) * share // 100])
            with pytest.raises(ImageError, match=r"1\.mat: (zero-byte|truncated|damaged|MATLAB) ?file"):
                read_scan(path)
        path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(600))
        with pytest.raises(ImageError, match="none of MATLAB 7.3"):
            read_scan(path)


def test_foreign_matlab_files_say_so():
    image, mask = np.full((32, 32), 5), np.eye(32, dtype=bool)
    changes = {
        "without cjdata of image": ("PID", None),
        "image of 3 dimensions": ("image", np.zeros((2, 32, 32), np.int16)),
        "type float64": ("image", np.zeros((32, 32))),
        "differ in size": ("image", np.zeros((32, 40), np.int16)),
        "side under 16": ("image", np.zeros((4, 4), np.int16)),
        "other values than 0 and 1": ("tumorMask", np.full((32, 32), 3, np.uint8)),
        "label other than 1, 2 and 3": ("label", np.array([[4.0]])),
        "patient id that is no text": ("PID", np.zeros(2, np.uint64)),
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "1.mat"
        for reason, (name, values) in changes.items():
            write_mat(path, image, mask, "glioma", "100360")
            with h5py.File(path, "r+") as file:
                del file[f"cjdata/{name}"]
                if values is not None:
                    file[f"cjdata/{name}"] = values
            with pytest.raises(ImageError, match=reason):
                read_mask(path)
        with h5py.File(path, "w") as file:
            file["EEG"] = np.zeros(9)
        with pytest.raises(ImageError, match="MATLAB file without cjdata"):
            read_scan(path)


def test_load_boxes_reads_the_layout():
    with TemporaryDirectory() as folder:
        frame, problems = load_boxes(tiny_data(folder))
        assert len(problems) == 0 and set(COLUMNS) <= set(frame)
        assert (frame.groupby(["split", "label"]).size() == 2).all() and len(frame) == 16
        assert frame.boxes[0].tolist() == [[12, 8, 20, 24]] and frame.boxes[0].dtype == np.float32


def test_whole_brain_boxes_are_not_lesions():
    with TemporaryDirectory() as folder:
        frame, _ = load_boxes(tiny_data(folder))
        healthy = frame[frame.label == "no_tumor"]
        assert all(len(boxes) == 0 for boxes in healthy.boxes) and (healthy.whole_brain == 1).all()


def test_box_of_another_class_stays_a_lesion():
    with TemporaryDirectory() as folder:
        (tiny_data(folder) / BOXES / "Train/Glioma/labels/a.txt").write_text("3 0.5 0.5 0.25 0.5\n0 0.5 0.5 0.1 0.1\n2 0.5 0.5 1 1\n")
        row = load_boxes(folder)[0].iloc[0]
        assert row.boxes.shape == (2, 4) and row.box_labels == ["pituitary", "glioma"] and row.whole_brain == 1


def test_one_bad_image_is_skipped_and_listed():
    with TemporaryDirectory() as folder:
        (tiny_data(folder) / BOXES / "Val/Glioma/images/a.jpg").write_bytes(b"")
        frame, problems = load_boxes(folder)
        assert len(frame) == 15
        assert problems.values.tolist() == [[f"{BOXES}/Val/Glioma/images/a.jpg", "zero-byte file"]]


def test_bad_label_line_is_listed_with_its_line():
    with TemporaryDirectory() as folder:
        (tiny_data(folder) / BOXES / "Val/Glioma/labels/a.txt").write_text("0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2\n")
        frame, problems = load_boxes(folder)
        assert len(frame) == 15
        assert problems.values.tolist() == [[f"{BOXES}/Val/Glioma/labels/a.txt:2", "label line with 4 fields, expected 5"]]


def test_empty_label_file_counts_only_where_there_is_a_tumour():
    with TemporaryDirectory() as folder:
        tiny_data(folder)
        for name in ("Glioma", "No Tumor"):
            (Path(folder) / BOXES / "Train" / name / "labels/a.txt").write_text("")
        frame, problems = load_boxes(folder)
        assert len(frame) == 15 and problems.reason.tolist() == ["empty label file in a tumour folder"]


def test_image_without_label_file_and_the_reverse():
    with TemporaryDirectory() as folder:
        labels = tiny_data(folder) / BOXES / "Train/Glioma/labels"
        (labels / "a.txt").rename(labels / "c.txt")
        frame, problems = load_boxes(folder)
        assert len(frame) == 15
        assert problems.values.tolist() == [
            [f"{BOXES}/Train/Glioma/images/a.jpg", "image without label file"],
            [f"{BOXES}/Train/Glioma/labels/c.txt", "label file without image"],
        ]


def test_load_labels_reads_the_layout():
    with TemporaryDirectory() as folder:
        frame, problems = load_labels(tiny_data(folder))
        assert len(problems) == 0 and list(frame) == list(COLUMNS)
        assert set(frame.label) == set(CLASSES) and set(frame.split) == {"train", "test"}
        assert frame["mask"].isna().all() and (frame.width == 32).all()


def test_stray_folders_and_hidden_files_are_ignored_and_listed():
    with TemporaryDirectory() as folder:
        inside = tiny_data(folder) / LABELS / "Training/notumor"
        (inside / ".ipynb_checkpoints").mkdir()
        (inside / ".ipynb_checkpoints/a.jpg").write_bytes((inside / "a.jpg").read_bytes())
        (inside / ".DS_Store").write_bytes(b"x")
        (inside.parent / "notes").mkdir()
        frame, problems = load_labels(folder)
        assert len(frame) == 16 and problems.reason.tolist() == ["stray, ignored"] * 3


def test_wrong_folder_name_says_what_is_there():
    with TemporaryDirectory() as folder:
        (tiny_data(folder) / BOXES / "Train/Glioma").rename(Path(folder) / BOXES / "Train/gliomas")
        with pytest.raises(DataError, match="expected folder 'Glioma' in .*Train, found Meningioma, No Tumor, Pituitary, gliomas: "):
            load_boxes(folder)


def test_missing_split_folder():
    with TemporaryDirectory() as folder:
        (tiny_data(folder) / LABELS / "Testing").rename(Path(folder) / LABELS / "Tests")
        with pytest.raises(DataError, match="expected folder 'Testing' in .*, found Tests, Training"):
            load_labels(folder)


def test_missing_set():
    with TemporaryDirectory() as folder:
        with pytest.raises(DataError, match=f"expected folder '{LABELS}' in .*, found no folder"):
            load_labels(folder)


def test_root_that_does_not_exist():
    with pytest.raises(DataError, match="expected a folder of data sets, found none at nowhere"):
        load_boxes("nowhere")


def test_empty_class_folder_stops():
    with TemporaryDirectory() as folder:
        for path in (tiny_data(folder) / LABELS / "Training/notumor").iterdir():
            path.unlink()
        with pytest.raises(DataError, match="expected at least one usable image in .*notumor, found none: restore"):
            load_labels(folder)


def test_class_folder_of_broken_images_stops_with_a_reason():
    with TemporaryDirectory() as folder:
        for path in (tiny_data(folder) / LABELS / "Training/notumor").iterdir():
            path.write_bytes(b"")
        with pytest.raises(DataError, match="found none; the last one: zero-byte file"):
            load_labels(folder)


def test_true_masks_beside_the_sets_are_found():
    with TemporaryDirectory() as folder:
        mask = tiny_data(folder) / TRUE_MASKS / LABELS / "Training/glioma/a.png"
        mask.parent.mkdir(parents=True)
        Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(mask)
        frame, _ = load_labels(folder)
        assert frame["mask"].notna().sum() == 1
        assert frame["mask"][0] == f"{TRUE_MASKS}/{LABELS}/Training/glioma/a.png"


def test_patients_are_never_divided():
    patients = [f"p{i // 4}" for i in range(100)]
    frame = pd.DataFrame({"split": "train", "label": ["glioma"] * 60 + ["meningioma"] * 40, "patient": patients})
    frame = slice_split(slice_split(frame, 0.2, "test"), 0.25, "val")
    assert frame.split.value_counts().to_dict() == {"train": 60, "test": 20, "val": 20}
    assert (frame.groupby("patient").split.nunique() == 1).all()
    assert (frame[frame.split == "test"].label == "glioma").sum() == 12


def test_without_patients_neighbours_form_blocks():
    frame = pd.DataFrame({"split": "train", "label": None, "patient": [None] * 100})
    frame = slice_split(slice_split(frame, 0.2, "test"), 0.25, "val")
    assert frame.split.tolist() == (["train"] * 12 + ["val"] * 4 + ["test"] * 4) * 5


def test_a_handful_of_slices_can_be_split():
    frame = pd.DataFrame({"split": "train", "label": None, "patient": [None] * 10})
    assert block_split(frame, 0.2, "test").split.tolist() == (["train"] * 4 + ["test"]) * 2
    assert block_split(frame[:1], 0.2, "test").split.tolist() == ["train"]
    assert len(slice_split(frame[:0], 0.2, "test")) == 0


def test_too_few_patients():
    frame = pd.DataFrame({"split": "train", "label": "glioma", "patient": ["a", "b"] * 9})
    with pytest.raises(DataError, match="expected at least 5 patients of training images, found 2"):
        slice_split(frame, 0.2, "test")


def test_load_masks_reads_folders_of_pictures():
    with TemporaryDirectory() as folder:
        frame, problems = load_masks(tiny_data(folder))
        assert len(problems) == 0 and frame.split.tolist() == (["train"] * 4 + ["test"]) * 2
        assert frame[["label", "patient"]].isna().all(axis=None)
        assert [Path(path).stem for path in frame.path] == [str(n) for n in range(1, 11)]
        assert frame.boxes[0].tolist() == [[12, 12, 20, 20]]


def test_mask_troubles_are_listed():
    with TemporaryDirectory() as folder:
        top = tiny_data(folder) / MASKS
        Image.new("L", (32, 32)).save(top / "masks/1.png")
        Image.new("L", (20, 20)).save(top / "masks/2.png")
        (top / "masks/3.png").unlink()
        (top / "images/4.jpg").unlink()
        (top / "images/5.jpg").rename(top / "images/five.jpg")
        frame, problems = load_masks(folder)
        assert len(frame) == 5
        assert set(problems.reason) == {
            "empty mask",
            "mask and image differ in size",
            "image without mask",
            "mask without image",
            "name is not a number",
        }


def test_load_masks_reads_matlab_files_in_subfolders():
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        for i in range(1, 13):
            path = Path(folder) / MASKS / f"brainTumorDataPublic_{i // 7}" / f"{i}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mat(path, rng.integers(0, 999, (32, 48)), np.pad(np.ones((4, 6), bool), ((2, 26), (3, 39))), "meningioma", f"p{i // 2}")
        frame, problems = load_masks(folder)
        assert len(problems) == 0 and [Path(path).stem for path in frame.path] == [str(i) for i in range(1, 13)]
        assert frame.path[8] == frame["mask"][8] == f"{MASKS}/brainTumorDataPublic_1/9.mat"
        assert frame.boxes[8].tolist() == [[3, 2, 9, 6]] and (frame.width[8], frame.height[8]) == (48, 32)
        assert frame.patient[8] == "p4" and (frame.label == "meningioma").all()
        assert (frame.groupby("patient").split.nunique() == 1).all() and frame.split.value_counts()["test"] in (2, 3)


def test_bad_matlab_files_are_listed():
    image, mask = np.full((32, 32), 9), np.eye(32, dtype=bool)
    with TemporaryDirectory() as folder:
        top = Path(folder) / MASKS
        (top / "more").mkdir(parents=True)
        for i in range(1, 11):
            write_mat(top / f"{i}.mat", image, mask if i > 1 else ~mask & mask, "glioma", f"p{i}")
        (top / "2.mat").write_bytes((top / "2.mat").read_bytes()[:900])
        (top / "3.mat").write_bytes(b"")
        for name in ("more/4.mat", "cvind.mat", "._5.mat"):
            shutil.copy(top / "4.mat", top / name)
        frame, problems = load_masks(folder)
        assert len(frame) == 7 and list(frame) == list(COLUMNS)
        listed = dict(zip(problems.path.str.removeprefix(f"{MASKS}/"), problems.reason))
        assert listed.pop("2.mat").startswith(("truncated", "damaged")) and listed.pop("3.mat").startswith("truncated")
        assert {listed.pop("4.mat", None), listed.pop("more/4.mat", None)} == {None, "second file of the same number"}
        assert listed == {"1.mat": "empty mask", "cvind.mat": "name is not a number", "._5.mat": "stray, ignored"}


def test_archives_that_were_not_unpacked():
    with TemporaryDirectory() as folder:
        (Path(folder) / MASKS).mkdir()
        (Path(folder) / MASKS / "brainTumorDataPublic_1-766.zip").write_bytes(b"")
        with pytest.raises(DataError, match="expected folder 'images' in .*; or unpack Cheng's archives"):
            load_masks(folder)


def test_mask_set_is_optional():
    with TemporaryDirectory() as folder:
        frame, problems = load_masks(folder)
        assert len(frame) == 0 and list(frame) == list(COLUMNS)
        assert problems.values.tolist() == [[MASKS, "optional data set is not there"]]


def test_mask_set_without_masks_folder_stops():
    with TemporaryDirectory() as folder:
        (tiny_data(folder) / MASKS / "masks").rename(Path(folder) / MASKS / "outlines")
        with pytest.raises(DataError, match="expected folder 'masks' in .*, found images, outlines"):
            load_masks(folder)


def test_kaggle_downloads_pinned_versions_and_loads_nested_folders():
    with TemporaryDirectory() as cache, TemporaryDirectory() as folder:
        tiny_data(Path(cache) / "deeper")
        asked = []

        def stand_in(handle):
            asked.append(handle)
            name = handle.split("/")[1]
            target = Path(cache) / name / "nested"
            target.parent.mkdir()
            (Path(cache) / "deeper" / name).rename(target)
            return str(target.parent)

        (Path(cache) / "deeper" / MASKS).rename(Path(cache) / MASKS)  # as if figshare's were there since last time
        with patch("kagglehub.dataset_download", stand_in), patch.dict(os.environ, KAGGLEHUB_CACHE=cache):
            downloaded = data_root("kaggle", folder=folder)
        assert asked == list(KAGGLE.values()) and all(handle.endswith("/versions/1") for handle in asked)
        assert len(load_boxes(downloaded)[0]) == len(load_labels(downloaded)[0]) == 16 and len(load_masks(downloaded)[0]) == 10


def test_count_table_counts_files_and_used_rows():
    with TemporaryDirectory() as folder:
        (tiny_data(folder) / BOXES / "Train/Glioma/images/a.jpg").write_bytes(b"")
        first = count_table(folder, BOXES, load_boxes(folder)[0]).iloc[0]
        assert first.tolist() == ["train", "Glioma", 1153, 2, -1151, 1]


def test_paper_counts_add_up_to_the_totals_of_section_3_1():
    totals = {name: sum(sum(counts) for counts in splits.values()) for name, splits in PAPER_COUNTS.items()}
    assert totals == {BOXES: 5249, LABELS: 7023}


def test_data_report_counts_each_reason():
    with TemporaryDirectory() as folder:
        tiny_data(folder)
        for name in ("Glioma", "Pituitary"):
            (Path(folder) / BOXES / "Val" / name / "images/a.jpg").write_bytes(b"")
        frame, left_out = load_boxes(folder)
        report = data_report(left_out, frame)
        assert report["count"].tolist() == [4, 0, 2, 2]
        assert report.reason.tolist()[2:] == ["zero-byte file"] * 2 and report.path[3].endswith("Pituitary/images/a.jpg")


def test_stratified_limit_keeps_the_shares():
    frame = pd.DataFrame({"path": range(100), "split": "train", "label": ["glioma"] * 60 + ["no_tumor"] * 30 + ["pituitary"] * 10})
    kept = stratified_limit(frame, 10)
    assert kept.label.value_counts().to_dict() == {"glioma": 6, "no_tumor": 3, "pituitary": 1}


def test_stratified_limit_edges():
    frame = pd.DataFrame({"path": range(8), "split": ["train"] * 6 + ["test"] * 2, "label": [None] * 8})
    assert len(stratified_limit(frame, 0)) == 8 and len(stratified_limit(frame, 3)) == 5 and len(stratified_limit(frame, 99)) == 8
    assert stratified_limit(frame, 3).equals(stratified_limit(frame, 3))
    with pytest.raises(DataError, match="expected a limit of 0 .all images. or more, got -1: correct LIMIT"):
        stratified_limit(frame, -1)


def test_mirrored_and_brightened_copies_are_found():
    rng = np.random.default_rng(0)
    scan = cv2.resize(rng.integers(0, 200, (12, 12), np.uint8), (128, 128), interpolation=cv2.INTER_CUBIC)
    other = cv2.resize(rng.integers(0, 200, (12, 12), np.uint8), (128, 128), interpolation=cv2.INTER_CUBIC)
    mirrored, bright = scan[:, ::-1], cv2.convertScaleAbs(scan, alpha=0.8, beta=40)
    resized = cv2.resize(scan, (96, 100), interpolation=cv2.INTER_AREA)
    assert near_duplicate_groups([scan, other, mirrored, bright, resized]).tolist() == [0, 1, 0, 0, 0]


def test_symmetric_heads_are_not_chained_together():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    oval = 120 * (x**2 / 0.5 + y**2 / 0.8 < 1)
    heads = []
    for _ in range(30):  # one oval, each with a symmetric structure of its own
        half = cv2.resize(rng.normal(0, 30, (12, 6)), (48, 96), interpolation=cv2.INTER_CUBIC)
        heads.append((oval + np.hstack([half, half[:, ::-1]]) * (oval > 0)).clip(0, 255).astype(np.uint8))
    assert len(np.unique(near_duplicate_groups(heads))) == 30


def test_groups_do_not_depend_on_the_block():
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 256, (8, 8), np.uint8), (32, 32)) for _ in range(20)]
    images += [image[:, ::-1] for image in images[:7]]
    whole, parts = similar_pairs(images, 0.95)[0], similar_pairs(images, 0.95, block=4)[0]
    assert whole.tolist() == parts.tolist() == [[i, i + 20] for i in range(7)]


def test_no_images_and_blank_images_have_groups():
    assert near_duplicate_groups([]).tolist() == []
    assert near_duplicate_groups([np.zeros((40, 40), np.uint8)] * 3).tolist() == [0, 1, 2]


def test_connected_groups_follows_chains():
    assert connected_groups([(0, 2), (2, 4), (1, 3)], 6).tolist() == [0, 1, 0, 1, 0, 2]


def test_training_slices_with_a_twin_in_a_test_part_are_left_out():
    with TemporaryDirectory() as folder:
        root_ = tiny_data(folder)
        exact, mirrored = root_ / BOXES / "Val/Glioma/images/b.jpg", root_ / LABELS / "Testing/pituitary/a.jpg"
        Image.fromarray(read_scan(exact)).save(root_ / MASKS / "images/1.jpg", quality=95)
        Image.fromarray(read_scan(mirrored)[:, ::-1]).save(root_ / MASKS / "images/7.jpg", quality=95)
        Image.fromarray(read_scan(root_ / BOXES / "Train/Glioma/images/b.jpg")).save(root_ / MASKS / "images/8.jpg")  # may stay
        frames_ = [load(root_)[0] for load in (load_boxes, load_labels, load_masks)]
        together = pd.concat(frames_, ignore_index=True)
        together["group"] = near_duplicate_groups([read_scan(root_ / path) for path in together.path])
        slices_ = leave_out_twins(together[together.source == MASKS], together[together.split == "test"])
        assert [Path(path).stem for path in slices_.path[slices_.split == "left_out"]] == ["1", "7"]
        assert slices_.split.value_counts().to_dict() == {"train": 6, "left_out": 2, "test": 2}


def test_test_images_are_never_left_out():
    frame = pd.DataFrame({"split": ["train", "val", "test", "left_out", "train"], "group": [0, 1, 1, 5, 2]})
    again = leave_out_twins(frame, frame[frame.split == "test"])
    assert again.split.tolist() == ["train", "left_out", "test", "left_out", "train"]
    assert leave_out_twins(frame, frame[:0]).equals(frame)


def test_validation_keeps_groups_together_and_classes_in_proportion():
    frame = pd.DataFrame({"split": "train", "label": ["glioma", "no_tumor"] * 50, "group": np.repeat(np.arange(25), 4)})
    frame = split_validation(frame, 0.2)
    val = frame[frame.split == "val"]
    assert len(val) == 20 and (val.label == "glioma").sum() == 10
    assert not set(val.group) & set(frame.group[frame.split == "train"])


def test_validation_leaves_the_test_split_alone():
    frame = pd.DataFrame({"split": ["test"] * 10 + ["train"] * 20, "label": "glioma", "group": range(30)})
    assert split_validation(frame, 0).equals(frame)
    assert (split_validation(frame, 0.25).split[:10] == "test").all()


def test_validation_fraction_out_of_range():
    with pytest.raises(DataError, match="expected a val fraction of 0 to 0.5, got 0.9"):
        split_validation(pd.DataFrame({"split": ["train"], "label": [None], "group": [0]}), 0.9)


def test_validation_with_too_few_groups():
    with pytest.raises(DataError, match="expected at least 5 groups of training images, found 1"):
        split_validation(pd.DataFrame({"split": ["train"] * 9, "label": "glioma", "group": 0}), 0.2)


def test_fingerprint_notices_one_changed_label():
    with TemporaryDirectory() as folder:
        before = data_fingerprint(manifest(tiny_data(folder)))
        assert before == data_fingerprint(manifest(folder))
        (Path(folder) / BOXES / "Train/Glioma/labels/a.txt").write_text("0 0.5 0.5 0.25 0.6\n")
        assert before != data_fingerprint(manifest(folder))


def test_linked_folders_are_searched_but_not_in_circles():
    with TemporaryDirectory() as folder:
        data, elsewhere = tiny_data(Path(folder) / "data"), Path(folder) / "elsewhere"
        whole = manifest(data)
        (data / LABELS / "Training" / "glioma").rename(elsewhere)
        (data / LABELS / "Training" / "glioma").symlink_to(elsewhere)
        assert manifest(data).equals(whole) and len(load_labels(data)[0]) == 16
        for name in ("one", "two"):
            (data / LABELS / name).symlink_to(data / LABELS)
        assert manifest(data).equals(whole)


def test_manifest_follows_links_and_skips_hidden_files():
    with TemporaryDirectory() as cache, TemporaryDirectory() as folder:
        (tiny_data(cache) / LABELS / ".DS_Store").write_bytes(b"x")
        for name in KAGGLE:
            (Path(folder) / name).symlink_to(Path(cache) / name, target_is_directory=True)
        assert len(manifest(folder)) == 16 * 3


def test_scans_round_trip():
    with TemporaryDirectory() as folder:
        data = tiny_data(Path(folder) / "data")
        frame, _ = load_boxes(data)
        frame["group"] = range(len(frame))
        write_scans(folder, data, "f00d", {"boxes": frame, "masks": load_masks(data)[0]})
        scans = Scans(folder)
        again = scans.frame("boxes")
        assert scans.fingerprint == "f00d" and again.drop(columns="boxes").equals(frame.drop(columns="boxes"))
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(again.boxes, frame.boxes))
        assert (scans.frame("boxes", "test").split == "test").all()
        assert scans.mask(scans.frame("masks")["mask"][0]).sum() == 64


def test_scans_can_be_moved_when_the_data_are_inside():
    with TemporaryDirectory() as folder:
        (Path(folder) / "before").mkdir()
        data = tiny_data(Path(folder) / "before/data")
        write_scans(data.parent, data, "", {"labels": load_labels(data)[0]})
        scans = Scans(data.parent.rename(Path(folder) / "after"))
        assert scans.image(scans.frame("labels").path[0]).shape == (32, 32)


def test_scans_with_data_elsewhere_and_no_masks():
    with TemporaryDirectory() as folder, TemporaryDirectory() as data:
        write_scans(folder, tiny_data(data), "", {"labels": load_labels(data)[0], "masks": load_masks(folder)[0]})
        assert Scans(folder).root == Path(data).resolve()
        assert len(Scans(folder).frame("masks")) == 0 and list(Scans(folder).frame("masks")) == list(COLUMNS)


def test_scans_without_a_run():
    with TemporaryDirectory() as folder, pytest.raises(DataError, match="expected data.json in .*: run 00_data first"):
        Scans(folder)


def test_scans_unknown_table():
    with TemporaryDirectory() as folder:
        write_scans(folder, folder, "", {})
        with pytest.raises(DataError, match="got 'lesions'"):
            Scans(folder).frame("lesions")
