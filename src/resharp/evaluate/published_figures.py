"""Published figures to print beside our own, with their source."""

from __future__ import annotations

from dataclasses import dataclass

DVSR = "arXiv 2112.02475"
MSGD = "arXiv 2212.01789, as known from a summary"
LPIPS_REMARK = (
    "The summary of arXiv 2212.01789 gives as means over the four sets FID 8.41, KID 2.39, NIQE 2.94 and LPIPS 0.104, "
    "and PSNR 29.98 for its average of samples. Its four LPIPS values do not average to 0.104, so one of them is wrong."
)


@dataclass(frozen=True)
class Published:
    """One method on one set; a figure that is not known is not in `figures`. KID is multiplied by 1000."""

    set: str
    method: str
    source: str
    figures: dict[str, float]


def _dvsr(
    of: str, method: str, lpips: float, niqe: float, fid: float, kid: float, psnr: float, ssim: float
) -> Published:
    figures = {"lpips-alex": lpips, "niqe": niqe, "fid": fid, "kid": kid, "psnr": psnr, "ssim": ssim}
    return Published(of, method, DVSR, figures)


ROWS: tuple[Published, ...] = (
    Published("gopro", "MSGD", MSGD, {"lpips-alex": 0.057, "psnr": 31.19}),
    Published("hide", "MSGD", MSGD, {"lpips-alex": 0.088, "psnr": 29.14}),
    Published("realblur-j", "MSGD", MSGD, {"lpips-alex": 0.123}),
    Published("reds", "MSGD", MSGD, {"lpips-alex": 0.123, "psnr": 28.56}),
    Published("realblur-j", "Uformer", MSGD, {"lpips-alex": 0.140}),
    Published("realblur-j", "Restormer", MSGD, {"lpips-alex": 0.149}),
    _dvsr("gopro", "DvSR", 0.059, 3.39, 4.04, 0.98, 31.66, 0.948),
    _dvsr("gopro", "DvSR-SA", 0.078, 4.07, 17.46, 8.03, 33.23, 0.963),
    _dvsr("gopro", "HINet", 0.088, 4.01, 17.91, 8.15, 32.77, 0.960),
    _dvsr("gopro", "MPRNet", 0.089, 4.09, 20.18, 9.10, 32.66, 0.959),
    _dvsr("gopro", "MIMO-UNet+", 0.091, 4.03, 18.05, 8.17, 32.45, 0.957),
    _dvsr("gopro", "DeblurGAN-v2", 0.117, 3.68, 13.40, 4.41, 29.08, 0.918),
    _dvsr("hide", "DvSR", 0.089, 2.69, 5.43, 1.61, 29.77, 0.922),
    _dvsr("hide", "DvSR-SA", 0.092, 2.93, 6.37, 2.40, 30.07, 0.928),
    _dvsr("hide", "DeblurGAN-v2", 0.159, 2.96, 15.51, 6.97, 27.51, 0.885),
)
SETS: tuple[str, ...] = tuple(dict.fromkeys(row.set for row in ROWS))


def published_on(name: str) -> list[Published]:
    """The rows of one of `SETS`."""
    return [row for row in ROWS if row.set == name]
