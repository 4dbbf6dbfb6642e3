"""RealBlur's aligned scores: known shifts and gains are undone, and the rest is scikit-image's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity

import resharp.metrics.realblur as module
from made_weights import made
from resharp.errors import ModelError
from resharp.metrics.full_reference import psnr, ssim
from resharp.metrics.realblur import RealBlurScores, align, realblur_scores

pytest.importorskip("cv2")


def scene(height: int = 120, width: int = 160) -> torch.Tensor:
    """(1, 3, H, W) with blobs of 8 px: enough structure to align, and no periods to lock onto."""
    coarse = 0.5 + 0.4 * made((1, 3, height // 8, width // 8), 5)
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


def shifted_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A restored photo that is moved by (3, -2) px, 20 % darker and slightly noisy, and its sharp one."""
    whole = scene(140, 180)
    sharp = whole[..., 10:130, 10:170]
    noise = 0.01 * made(tuple(sharp.shape), 6)
    return (0.8 * whole[..., 13:133, 8:168] + noise).clamp(0, 1), sharp


def test_a_shift_and_a_gain_are_undone():
    restored, sharp = shifted_pair()
    before, after = (float(psnr(restored, sharp)), float(ssim(restored, sharp))), realblur_scores(restored, sharp)
    assert before[0] < 20
    assert after[0] > 32  # the gain is found before the shift, so it is not exactly that of the noise alone
    assert after[1] > max(before[1], 0.97)


def test_the_mask_covers_what_the_moved_photo_covers():
    restored, sharp = (each[0].permute(1, 2, 0).contiguous().numpy() for each in shifted_pair())
    aligned, target, mask = align(restored, sharp)
    assert set(np.unique(mask)) == {0.0, 1.0}
    # Moved by 3 rows and 2 columns, these are the parts of the frame that nothing covers.
    assert mask.mean() == pytest.approx(117 / 120 * 158 / 160, abs=0.01)
    assert not aligned[mask == 0].any()
    assert not target[mask == 0].any()
    np.testing.assert_array_equal(target[mask == 1], sharp[mask == 1])


def test_scores_are_those_of_the_aligned_area():
    """As RealBlur's script takes them: scikit-image's full map, masked, 5 px cut off, per channel."""
    restored, sharp = shifted_pair()
    restored, sharp = (each.mul(255).round().div(255) for each in (restored, sharp))
    arrays = (each[0].permute(1, 2, 0).contiguous().numpy() for each in (restored, sharp))
    aligned, target, mask = align(*arrays)
    error = ((aligned - target) ** 2).sum(dtype=np.float64) / mask.sum()
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1.0, "full": True}
    _, full = structural_similarity(target, aligned, channel_axis=2, **options)
    inside = np.s_[5:-5, 5:-5]
    expected = ((full * mask)[inside].sum(axis=(0, 1)) / mask[inside].sum(axis=(0, 1))).mean()
    found = realblur_scores(restored, sharp)
    assert found[0] == pytest.approx(10 * np.log10(1 / error), abs=1e-4)
    assert found[1] == pytest.approx(expected, abs=1e-4)


def test_both_figures_share_one_alignment(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "align", lambda *photos: calls.append(1) or align(*photos))
    scores, (restored, sharp) = RealBlurScores(), shifted_pair()
    assert (scores.psnr(restored, sharp), scores.ssim(restored, sharp)) == realblur_scores(restored, sharp)
    assert len(calls) == 2  # one of them is this test's own
    restored.mul_(0.5)  # written in place: no longer the same photo
    scores.psnr(restored, sharp)
    assert len(calls) == 3


def test_photos_that_cannot_be_aligned_are_refused():
    sharp = scene()
    with pytest.raises(ValueError, match="black photo"):
        realblur_scores(torch.zeros_like(sharp), sharp)
    with pytest.raises(ValueError, match="cannot be aligned"):
        realblur_scores(torch.full_like(sharp, 0.5), sharp)
    with pytest.raises(ValueError, match="at least 32 px"):
        realblur_scores(sharp[..., :31, :], sharp[..., :31, :])
    with pytest.raises(ValueError, match="one photo at a time"):
        realblur_scores(sharp.expand(2, -1, -1, -1), sharp.expand(2, -1, -1, -1))


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ModelError, match=r"pip install 'resharp\[realblur\]'"):
        realblur_scores(*shifted_pair())
    assert module.opencv_version() is None
