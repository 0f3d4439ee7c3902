"""The project as a whole: everything generated is up to date, and both frameworks live in one process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from brain_mri.data import BOXES, LABELS, count_table, load_boxes, load_labels, load_masks
from brain_mri.project import main
from brain_mri.runner import read_profile
from brain_mri.tables import FIGURES, SCANS

ROOT = Path(__file__).resolve().parent.parent
DATA = os.environ.get("DATA")  # make test DATA=folder


def test_package_tests_readme_notebooks_and_requirements_agree(capsys):
    assert main(["check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", ["smoke", "demo", "laptop", "paper"])
def test_every_profile_fits_its_notebooks(name):
    assert read_profile(ROOT, name)["data"] in ("phantoms", "real")


def test_torch_and_tensorflow_share_a_process():
    first = "import brain_mri.pipeline, sys; assert 'torch' in sys.modules and 'tensorflow' not in sys.modules"
    code = f"{first}; import brain_mri.coca, brain_mri.keras_training"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["data", "metrics", "preprocess", "phantom", "reports", "runner", "project", "tables", "weights", "rehearsal"])
def test_light_modules_load_no_framework(module):
    code = f"import brain_mri.{module}, sys; assert not {{'torch', 'tensorflow', 'papermill'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pictures_of_real_scans_stay_out_of_git():
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository")
    figures = {name: f"reports/laptop/figures/{name}.png" for name in FIGURES}
    files = [*figures.values(), "reports/laptop/notebooks/00_data.ipynb", "reports/laptop/figures/another.png"]
    files += [f"reports/laptop/seeds/1/{name}" for name in ("notebooks/10_yolov8.ipynb", "figures/figure1b.png")]
    done = subprocess.run(["git", "check-ignore", "--no-index", *files], cwd=ROOT, capture_output=True, text=True)
    assert set(done.stdout.split()) == {figures[name] for name in SCANS} | set(files[-4:])


def test_the_page_on_real_scans_shows_none_and_its_links_lead_somewhere():
    page = (ROOT / "reports" / "laptop" / "index.md").read_text()
    assert "Measured on phantoms" not in page
    links = re.findall(r"\]\(([\w/.]+)\)", page)
    assert len(links) > 20 and not [link for link in links if Path(link).stem in SCANS or "notebooks/" in link]
    assert [link for link in links if not (ROOT / "reports" / "laptop" / link).is_file()] == []


@pytest.mark.skipif(not DATA, reason="needs the real data sets: make test DATA=folder")
def test_the_real_sets_are_read_whole():
    frames = {name: load(DATA)[0] for name, load in {"boxes": load_boxes, "labels": load_labels, "masks": load_masks}.items()}
    counted = count_table(DATA, BOXES, frames["boxes"])
    assert counted["counted"].sum() == 5249 and (counted["difference"] == 0).all()
    assert count_table(DATA, LABELS, frames["labels"])["used"].sum() == 7019  # of the copy with 4 images fewer than the paper's
    assert len(frames["masks"]) == 3064
