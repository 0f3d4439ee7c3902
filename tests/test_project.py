"""The project as a whole: everything generated is up to date, and both frameworks live in one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brain_mri.data import Scans, count_table, load_boxes, load_labels, load_masks
from brain_mri.project import main

ROOT = Path(__file__).resolve().parent.parent
DATA = os.environ.get("DATA")  # make test DATA=folder


def test_package_tests_readme_notebooks_and_requirements_agree(capsys):
    assert main(["check"]) == 0, capsys.readouterr().out


def test_torch_and_tensorflow_share_a_process():
    code = "import brain_mri.pipeline, sys; assert {'torch', 'tensorflow'} <= set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["data", "metrics", "preprocess", "phantom", "reports", "runner", "project", "tables"])
def test_light_modules_load_no_framework(module):
    code = f"import brain_mri.{module}, sys; assert not {{'torch', 'tensorflow', 'papermill'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not DATA, reason="needs the real data sets: make test DATA=folder")
def test_the_real_sets_are_read_whole():
    frames = {name: load(DATA)[0] for name, load in {"boxes": load_boxes, "labels": load_labels, "masks": load_masks}.items()}
    assert {name: len(frame) for name, frame in frames.items()}.keys() == {"boxes", "labels", "masks"}
