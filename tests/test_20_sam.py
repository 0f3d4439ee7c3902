"""Tests of nbs/20_sam.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import hashlib
import tempfile
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from segment_anything import sam_model_registry

from brain_mri.data import DataError
from brain_mri.metrics import fill_box, fill_ellipse
from brain_mri.preprocess import Augmentation
from brain_mri.sam import (
    EmbeddingCache, PARTS, PromptedData, PromptedScans, SamTraining, Segmenter, build_small_sam, decode,
    ellipse_prompt, encoder_input, fingerprint, load_pretrained, load_segmenter, low_resolution, mask_loss,
    near_box, need_boxes, save_segmenter, score_masks, shake_box, start_sam, true_masks,
)
from brain_mri.torch_training import fit


def test_perfect_masks_score_one_and_baselines_do_not():
    square = np.zeros((40, 40), bool)
    square[10:20, 12:30] = True
    row_ = score_masks([square], [square], [[12, 10, 30, 20]]).iloc[0]
    assert row_.dice == row_.iou == row_.dice_filled_box == 1 and row_.hd95 == 0 and 0.8 < row_.dice_ellipse < 0.95


def test_masks_that_disagree_with_their_boxes_are_named():
    class OneMask:
        def __init__(self, value):
            self.value = value

        def mask(self, path):
            return self.value


    lesion = np.zeros((40, 40), bool)
    lesion[10:20, 12:30] = True
    rows_ = lambda boxes: pd.DataFrame({"path": ["1.jpg"], "mask": ["1.png"], "boxes": [np.float32(boxes)], "width": 40, "height": 40})
    assert np.array_equal(true_masks(OneMask(lesion), rows_([[12, 10, 30, 20]]))[0], lesion)
    for mask_, boxes_, message in (
        (lesion, [[0, 0, 9, 9]], "got 40 x 40, box .12.0, 10.0, 30.0, 20.0., in 1.png: mend"),
        (lesion, np.zeros((0, 4)), "with the box .., got"),
        (~lesion & False, [[12, 10, 30, 20]], "box none"),
        (lesion[:30], [[12, 10, 30, 20]], "of 40 x 40 px .* got 40 x 30"),
    ):
        with pytest.raises(DataError, match=message):
            true_masks(OneMask(mask_), rows_(boxes_))


def test_missing_checkpoint_is_one_clear_line_without_a_network():
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch_:
        patch_.setattr("socket.socket", None)
        with pytest.raises(
            FileNotFoundError, match=r"sam_vit_b_01ec64.pth \(375 MB\) at .*, found none: download https://dl.fbaipublicfiles.com"
        ) as caught:
            load_pretrained("vit_b", Path(folder) / "sam_vit_b_01ec64.pth")
    assert "\n" not in str(caught.value)


def test_a_file_in_the_official_layout_loads_by_its_name_and_checksum():
    state = {name: torch.full((1,), 0.01).expand(value.shape) for name, value in sam_model_registry["vit_b"]().state_dict().items()}
    assert state["image_encoder.pos_embed"].shape == (1, 64, 64, 768) and state["mask_decoder.mask_tokens.weight"].shape == (4, 256)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sam_vit_b_01ec64.pth"
        torch.save(state, file)
        own = hashlib.sha256(file.read_bytes()).hexdigest()
        loaded = start_sam("pretrained", "vit_b", file, own)
        assert torch.equal(loaded.image_encoder.pos_embed, state["image_encoder.pos_embed"])
        with pytest.raises(ValueError, match=f"expected SHA-256 ec2df627.* got {own}: download https.*vit_b_01ec64.pth again"):
            load_pretrained("vit_b", file)
        with pytest.raises(ValueError, match="expected sam_vit_l_0b3195.pth for vit_l, got sam_vit_b_01ec64.pth"):
            load_pretrained("vit_l", file, own)


def test_unknown_words_for_weights():
    with pytest.raises(ValueError, match="expected weights scratch, pretrained or finetuned, got 'imagenet'"):
        start_sam("imagenet")
    with pytest.raises(ValueError, match="expected architecture vit_b, vit_l, vit_h, got 'vit_x'"):
        start_sam("pretrained", "vit_x", "file.pth")


def test_damaged_or_foreign_checkpoints_are_refused():
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch_:
        small_ = lambda width=16: build_small_sam(size=32, width=width, depth=1, heads=2)
        patch_.setitem(sam_model_registry, "vit_b", small_)
        file = Path(folder) / "sam_vit_b_01ec64.pth"
        torch.save(small_().state_dict(), file)
        whole = file.read_bytes()
        torch.save(small_(32).state_dict(), file)
        for content in (b"not weights", whole[: len(whole) // 2], b"", file.read_bytes()):
            file.write_bytes(content)
            with pytest.raises(ValueError, match="expected the weights of this model in .*01ec64.pth, got .*: download https") as caught:
                load_pretrained("vit_b", file, hashlib.sha256(content).hexdigest())
            assert "\n" not in str(caught.value)


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
            ellipse = ellipse_prompt(boxes_[i : i + 1], 32, 16)
            sparse, dense = small.prompt_encoder(None, boxes_[i : i + 1], ellipse)
            alone, sure = small.mask_decoder(features[i : i + 1], small.prompt_encoder.get_dense_pe(), sparse, dense, False)
            torch.testing.assert_close(logits[i : i + 1], alone + 4 * ellipse)
            torch.testing.assert_close(iou[i : i + 1], sure[0])


def test_an_embedding_is_computed_once_for_each_scan_and_encoder():
    scans_ = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    computed = []
    encode_ = lambda images: (computed.extend(images), torch.tensor(np.stack(images), dtype=torch.float32)[:, None] / 7)[1]
    with tempfile.TemporaryDirectory() as folder:
        first, again = (EmbeddingCache(folder, 1).embed(list(scans_[:2]), "a" * 64, encode_) for _ in range(2))
        assert len(computed) == 2 and torch.equal(first, again) and first.dtype == torch.float32
        EmbeddingCache(folder, 1).embed([scans_[1], scans_[2]], "a" * 64, encode_)
        assert len(computed) == 3  # only the new one
        EmbeddingCache(folder, 1).embed([scans_[0]], "b" * 64, encode_)
        assert len(computed) == 4  # another encoder
        for file in Path(folder).iterdir():
            file.write_bytes(file.read_bytes()[:130])
        assert torch.equal(EmbeddingCache(folder, 1).embed(list(scans_[:2]), "a" * 64, encode_), first)  # cut short: computed anew
        assert len(computed) == 6


def test_the_oldest_embeddings_make_room():
    scans_ = np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8)
    encode_ = lambda images: torch.zeros(len(images), 1, 100, 100)  # 20 kB each
    with tempfile.TemporaryDirectory() as folder:
        cache_ = EmbeddingCache(folder, 1e-4)  # 100 kB
        for scan_ in scans_:
            cache_.embed([scan_], "a", encode_)
            assert sum(file.stat().st_size for file in Path(folder).iterdir()) <= 100_000
        last = {path for _, _, path in cache_.files()}
        assert 2 <= len(last) <= 4
        cache_.embed([scans_[-1]], "a", None)  # the newest is still there
        EmbeddingCache(folder, 0).embed([scans_[0]], "a", encode_)
        assert {path for _, _, path in cache_.files()} == last  # a cache without room keeps nothing


def test_many_scans_with_one_box_each():
    torch.manual_seed(0)
    tiny = Segmenter(build_small_sam(size=32, width=16, depth=1, heads=2), device="cpu")
    pair = np.random.default_rng(0).integers(0, 256, (2, 32, 32), np.uint8)
    boxes_ = [[2, 2, 20, 20], [5, 8, 30, 31]]
    together, _ = tiny.ask(tiny.embed(pair), boxes_)
    alone = [tiny.ask(tiny.embed([image]), box_)[0][0] for image, box_ in zip(pair, boxes_)]
    assert np.mean(together == np.stack(alone)) > 0.999
    assert tiny.ask(tiny.embed(pair[:1]), np.zeros((0, 4)))[0].shape == (0, 32, 32)


def test_several_lesions_of_one_scan_in_one_ask():
    torch.manual_seed(0)
    tiny = Segmenter(build_small_sam(size=32, width=16, depth=1, heads=2), device="cpu")
    embedded = tiny.embed([np.random.default_rng(0).integers(0, 256, (40, 48), np.uint8)])
    boxes_ = [[2, 2, 14, 16], [20, 8, 45, 38], [30, 1, 40, 9]]
    together, sure_ = tiny.ask(embedded, boxes_)
    assert together.shape == (3, 40, 48) and sure_.shape == (3,) and all(mask_.any() for mask_ in together)
    assert np.mean(together == np.concatenate([tiny.ask(embedded, box_)[0] for box_ in boxes_])) > 0.999


def test_a_segmenter_with_a_cache_answers_the_same():
    torch.manual_seed(0)
    small = build_small_sam(size=32, width=16, depth=1, heads=2)
    scan_ = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        cached = Segmenter(small, device="cpu", cache=EmbeddingCache(folder))
        first, second = (cached.ask(cached.embed([scan_]), [4, 4, 25, 20])[0] for _ in range(2))
        assert np.array_equal(first, second) and len(list(Path(folder).iterdir())) == 1
        assert cached.features(scan_).dtype == np.float16 and len(list(Path(folder).iterdir())) == 1
        plain = Segmenter(small, device="cpu")
        assert np.mean(plain.ask(plain.embed([scan_]), [4, 4, 25, 20])[0] == first) > 0.99
        before = cached.encoder
        with torch.no_grad():
            small.image_encoder.pos_embed += 1
        assert fingerprint(small.image_encoder) != before
        small.mask_decoder.requires_grad_(False).iou_token.weight.add_(1)  # the decoder does not matter
        assert fingerprint(small.image_encoder) == Segmenter(small, device="cpu", cache=cached.cache).encoder


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


def test_low_resolution_at_full_size_changes_nothing():
    noise = np.random.default_rng(0).random((16, 16)) > 0.5
    assert np.array_equal(low_resolution(noise, 16), noise)


def test_shaken_box_stays_a_box_in_the_image():
    rng = np.random.default_rng(0)
    for box_ in ([0, 0, 64, 48], [62, 46, 64, 48], [10, 10, 11, 11]):
        for _ in range(50):
            x0, y0, x1, y1 = shake_box(rng, box_, 0.5, (48, 64))
            assert 0 <= x0 and 0 <= y0 and x1 <= 64 and y1 <= 48 and min(x1 - x0, y1 - y0) > 0.999


def test_examples_hang_on_seed_epoch_and_position_and_keep_their_lesion():
    disc = fill_ellipse([20, 20, 44, 36], (64, 64))
    image_ = np.where(disc, 200, 20).astype(np.uint8)
    one, two = (PromptedScans([image_] * 2, [disc] * 2, 32, 3, Augmentation(), 0.1, seed=1) for _ in range(2))
    for one.epoch in range(20):
        one[0]  # having drawn others before makes no difference
        two.epoch = one.epoch
        (a, m, b), (a2, m2, b2) = one[1], two[1]
        assert np.array_equal(a, a2) and np.array_equal(m, m2) and np.array_equal(b, b2)
        assert a.shape == m.shape == (32, 32) and m.any()
    two.epoch = 3
    assert not np.array_equal(one[1][2], two[1][2])


def test_empty_masks_are_not_learnt_from():
    with pytest.raises(ValueError, match="expected a lesion in every mask at 16 px, got none in number 1"):
        PromptedScans([np.zeros((16, 16), np.uint8)] * 2, [np.ones((16, 16), bool), np.zeros((16, 16), bool)], 16)


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
    for parts_ in (*PARTS.values(), ("mask_decoder",)):
        model = SamTraining(build_small_sam(size=32, width=16, depth=1, heads=2), parts=parts_)
        scores_, iou_ = model(batch_[0], batch_[2], 32)
        mask_loss(scores_, iou_, batch_[1].float(), batch_[2]).backward()
        assert scores_.shape == (2, 32, 32)
        for name_, part in model.model.named_children():
            assert (name_ in parts_) == any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_a_resumed_training_equals_one_that_ran_through():
    discs = [fill_ellipse([4, 5 + i, 20, 24 + i], (32, 32)) for i in range(6)]
    pictures = [np.where(disc, 200, 20 + 9 * i).astype(np.uint8) for i, disc in enumerate(discs)]


    class Stop(lightning.Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                raise RuntimeError("killed")


    def train_small(folder, kind, killed=False):
        torch.manual_seed(0)
        small = build_small_sam(size=32, width=16, depth=1, heads=2)
        embed = Segmenter(small, device="cpu", cache=EmbeddingCache(Path(folder) / "cache")).features if kind == "finetuned" else None
        part = lambda *change: PromptedScans(pictures, discs, 32, 1, *change, embed=embed)
        training = SamTraining(small, learning_rate=1e-2, parts=PARTS[kind])
        training.configure_callbacks = lambda: [Stop()] if killed else []
        data = PromptedData(part(Augmentation(zoom=(0.9, 1.1)), 0.1), part(), 2)
        log = fit(training, data, Path(folder) / kind, 2, decay=0.5, monitor="val_dice", precision="32-true", device="cpu")
        return torch.cat([p.detach().ravel() for p in small.parameters()]), log


    for kind_ in PARTS:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            whole_, log_ = train_small(one, kind_)
            with pytest.raises(RuntimeError, match="killed"):
                train_small(two, kind_, killed=True)
            resumed_, log_too = train_small(two, kind_)
        assert torch.equal(whole_, resumed_) and log_.equals(log_too) and list(log_.index) == [0, 1]


def test_a_saved_segmenter_answers_the_same():
    torch.manual_seed(0)
    sizes_ = dict(size=32, patch=8, width=16, depth=1, heads=2)
    first = Segmenter(build_small_sam(**sizes_), device="cpu")
    scan_ = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        save_segmenter(folder, first, dict(weights="scratch", sizes=sizes_))
        second = load_segmenter(folder, device="cpu")
        cut = (Path(folder) / "sam.pt").read_bytes()[:3000]
        (Path(folder) / "sam.pt").write_bytes(cut)
        with pytest.raises(ValueError, match="expected the weights of this model in .*sam.pt, got .* make it with `make 20_sam`"):
            load_segmenter(folder)
    (a, p), (b, q) = (s.ask(s.embed([scan_]), [[5, 5, 40, 30], [10, 10, 20, 20]]) for s in (first, second))
    assert a.shape == (2, 48, 64) and a.dtype == bool and p.shape == (2,)
    assert np.array_equal(a, b) and np.array_equal(p, q)


def test_missing_segmenter_names_the_command():
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(FileNotFoundError, match="expected segmenter.json in .* make it with `make 20_sam`"),
    ):
        load_segmenter(folder)
