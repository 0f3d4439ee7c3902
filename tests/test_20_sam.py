"""Tests of nbs/20_sam.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from brain_mri.metrics import fill_box, fill_ellipse
from brain_mri.preprocess import Augmentation
from brain_mri.sam import (
    PromptedScans, SamTraining, Segmenter, build_small_sam, decode, ellipse_prompt, encoder_input, load_pretrained,
    load_segmenter, low_resolution, mask_loss, near_box, need_boxes, save_segmenter, score_masks, shake_box,
    start_sam,
)


def test_perfect_masks_score_one_and_baselines_do_not():
    square = np.zeros((40, 40), bool)
    square[10:20, 12:30] = True
    row_ = score_masks([square], [square], [[12, 10, 30, 20]]).iloc[0]
    assert row_.dice == row_.iou == row_.dice_filled_box == 1 and row_.hd95 == 0 and 0.8 < row_.dice_ellipse < 0.95


def test_missing_checkpoint_is_one_clear_line():
    with pytest.raises(
        FileNotFoundError, match=r"sam_vit_b_01ec64.pth \(375 MB\) at .*no_such.pth, found none: download https://dl.fbaipublicfiles.com"
    ) as caught:
        load_pretrained("vit_b", "no_such.pth")
    assert "\n" not in str(caught.value)


def test_unknown_words_for_weights():
    with pytest.raises(ValueError, match="expected weights scratch or pretrained, got 'imagenet'"):
        start_sam("imagenet")
    with pytest.raises(ValueError, match="expected architecture vit_b, vit_l, vit_h, got 'vit_x'"):
        start_sam("pretrained", "vit_x", "file.pth")


def test_foreign_checkpoint_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pth"
        file.write_bytes(b"not weights")
        with pytest.raises(ValueError, match="expected the weights sam_vit_b_01ec64.pth in .*weights.pth, got .*download"):
            load_pretrained("vit_b", file)


def test_box_without_area_or_outside_is_refused():
    for wrong, message in (
        ([5, 5, 5, 9], "with an area, got .5, 5, 5, 9."),
        ([9, 5, 5, 9], "with an area"),
        ([0, 0, np.nan, 9], "with an area"),
        ([70, 5, 90, 9], "inside the image of 64 x 48 pixels"),
    ):
        with pytest.raises(ValueError, match=message):
            need_boxes(wrong, (48, 64))
    assert need_boxes([-3, 2, 80, 20], (48, 64)).tolist() == [[0, 2, 64, 20]]


def test_scans_are_padded_not_squeezed():
    sam_ = build_small_sam(size=32, width=16, depth=1, heads=2)
    seen = encoder_input(sam_, torch.full((2, 48, 64), 255, dtype=torch.uint8))
    assert seen.shape == (2, 3, 32, 32)
    assert (seen[:, :, :24] > 1).all() and (seen[:, :, 24:] == 0).all()


def test_mask_prompt_is_positive_inside_the_ellipse_of_the_box():
    prompt = ellipse_prompt(torch.tensor([[3.0, 5.0, 21.0, 30.5]]), 64, 64)
    assert prompt.shape == (1, 1, 64, 64) and prompt.max() <= 1 and prompt.min() == -3
    assert np.array_equal(prompt[0, 0].numpy() > 0, fill_ellipse([3, 5, 21, 30.5], (64, 64)))


def test_a_batch_of_prompts_gives_what_single_prompts_give():
    torch.manual_seed(0)
    small = build_small_sam(size=32, width=16, depth=1, heads=2).eval()
    features = torch.randn(3, 16, 4, 4)
    boxes_ = torch.tensor([[1.0, 2, 20, 30], [4, 4, 9, 9], [0, 0, 32, 32]])
    with torch.no_grad():
        logits, iou = decode(small, features, boxes_)
        for i in range(3):
            sparse, dense = small.prompt_encoder(None, boxes_[i : i + 1], ellipse_prompt(boxes_[i : i + 1], 32, 16))
            alone, sure = small.mask_decoder(features[i : i + 1], small.prompt_encoder.get_dense_pe(), sparse, dense, False)
            torch.testing.assert_close(logits[i : i + 1], alone)
            torch.testing.assert_close(iou[i : i + 1], sure[0])


def test_low_resolution_at_full_size_changes_nothing():
    noise = np.random.default_rng(0).random((16, 16)) > 0.5
    assert np.array_equal(low_resolution(noise, 16), noise)


def test_shaken_box_stays_a_box_in_the_image():
    rng = np.random.default_rng(0)
    for box_ in ([0, 0, 64, 48], [62, 46, 64, 48], [10, 10, 11, 11]):
        for _ in range(50):
            x0, y0, x1, y1 = shake_box(rng, box_, 0.5, (48, 64))
            assert 0 <= x0 and 0 <= y0 and x1 <= 64 and y1 <= 48 and min(x1 - x0, y1 - y0) > 0.999


def test_examples_are_reproducible_and_keep_their_lesion():
    disc = fill_ellipse([20, 20, 44, 36], (64, 64))
    image_ = np.where(disc, 200, 20).astype(np.uint8)
    make = lambda: PromptedScans([image_], [disc], 32, 3, Augmentation(), 0.1, seed=1)
    one, two = make(), make()
    for _ in range(20):
        (a, m, b), (a2, m2, b2) = one[0], two[0]
        assert np.array_equal(a, a2) and np.array_equal(m, m2) and np.array_equal(b, b2)
        assert a.shape == m.shape == (32, 32) and m.any()


def test_losses_rank_masks_rightly():
    target = torch.tensor(fill_ellipse([8, 8, 20, 24], (32, 32))[None].astype(np.float32))
    where = torch.tensor([[8.0, 8, 20, 24]])
    right, half, none = 20 * target - 10, 20 * target * (torch.arange(32) < 14) - 10, torch.full((1, 32, 32), -10.0)
    losses = [mask_loss(x, torch.ones(1), target, where).item() for x in (right, half, none)]
    assert losses[0] < 0.01 < losses[1] < losses[2]
    assert np.array_equal(near_box(where, 32)[0], fill_box([2, 0, 26, 32], (32, 32)))  # 6 pixels more left and right, 8 above and below


def test_a_step_of_training_reaches_every_part_that_is_trained():
    torch.manual_seed(0)
    batch_ = (
        torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8),
        torch.zeros(2, 32, 32, dtype=torch.bool),
        torch.tensor([[4.0, 4, 20, 20], [8, 8, 30, 24]]),
    )
    batch_[1][:, 9:16, 9:18] = True
    for train_encoder_ in (True, False):
        model = SamTraining(build_small_sam(size=32, width=16, depth=1, heads=2), train_encoder=train_encoder_)
        scores_, iou_ = model(batch_[0], batch_[2])
        mask_loss(scores_, iou_, batch_[1].float(), batch_[2]).backward()
        reached = lambda part: any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
        assert scores_.shape == (2, 32, 32) and reached(model.sam.mask_decoder) and reached(model.sam.prompt_encoder)
        assert reached(model.sam.image_encoder) == train_encoder_


def test_a_saved_segmenter_answers_the_same():
    torch.manual_seed(0)
    sizes_ = dict(size=32, patch=8, width=16, depth=1, heads=2)
    first = Segmenter(build_small_sam(**sizes_), device="cpu")
    scan_ = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        save_segmenter(folder, first, dict(weights="scratch", trained=True, sizes=sizes_))
        second = load_segmenter(folder, device="cpu")
    (a, p), (b, q) = (s.ask(s.embed([scan_]), [[5, 5, 40, 30], [10, 10, 20, 20]]) for s in (first, second))
    assert a.shape == (2, 48, 64) and a.dtype == bool and p.shape == (2,)
    assert np.array_equal(a, b) and np.array_equal(p, q)


def test_many_scans_with_one_box_each():
    torch.manual_seed(0)
    tiny = Segmenter(build_small_sam(size=32, width=16, depth=1, heads=2), device="cpu")
    pair = np.random.default_rng(0).integers(0, 256, (2, 32, 32), np.uint8)
    boxes_ = [[2, 2, 20, 20], [5, 8, 30, 31]]
    together, _ = tiny.ask(tiny.embed(pair), boxes_)
    alone = [tiny.ask(tiny.embed([image]), box_)[0][0] for image, box_ in zip(pair, boxes_)]
    assert np.mean(together == np.stack(alone)) > 0.999
    assert tiny.ask(tiny.embed(pair[:1]), np.zeros((0, 4)))[0].shape == (0, 32, 32)


def test_bad_input_to_the_segmenter():
    torch.manual_seed(0)
    tiny = Segmenter(build_small_sam(size=32, width=16, depth=1, heads=2), device="cpu")
    dark = np.zeros((40, 40), np.uint8)
    for box_, message in (([5, 5, 5, 20], "with an area"), ([50, 5, 60, 20], "inside the image of 40 x 40 pixels")):
        with pytest.raises(ValueError, match=message):
            tiny.ask(tiny.embed([dark]), [box_])
    with pytest.raises(ValueError, match="one box for each of the 2 scans, got 3"):
        tiny.ask(tiny.embed([dark, dark]), [[1, 1, 9, 9]] * 3)
    for wrong in ([], [dark, dark[:20]], [dark.astype(float)]):
        with pytest.raises(ValueError, match="expected scans uint8 H x W of one shape"):
            tiny.embed(wrong)


def test_missing_segmenter_names_the_command():
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(FileNotFoundError, match="expected segmenter.json in .* make it with `make 20_sam`"),
    ):
        load_segmenter(folder)
