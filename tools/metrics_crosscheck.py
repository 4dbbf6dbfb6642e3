"""Every metric of resharp beside another implementation, on your photos: the differences that docs/metrics.md states.

    metrics_crosscheck.py PHOTOS --weights DIR --basicsr basicsr-1.4.2.tar.gz

It needs packages that resharp itself never uses, so give it an environment of its own, where resharp is installed
too: lpips==0.1.4, DISTS-pytorch==0.1, torch-fidelity==0.4.0, piq==0.8.0, efficientnet-lite-pytorch==0.1.0,
torchvision, scikit-image, scipy and opencv-python-headless. DIR is what `metrics_weights.py --out DIR` wrote;
Inception's real weights are used where DIR has them, random ones otherwise. Each photo is compared with a blurred
and with a noisy copy.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tarfile
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.images.reading import find_photos, read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.metrics.backbones import INCEPTION, find_weights
from resharp.metrics.catalogue import PairMetric, choose_metrics
from resharp.metrics.efficientnet import load_efficientnet
from resharp.metrics.frechet import frechet_distance, kernel_distance
from resharp.metrics.full_reference import luma, round_to_uint8
from resharp.metrics.inception import Inception, load_inception

Compare = Callable[[Tensor, Tensor], float]


def import_torchvision():
    """torchvision, also where its two compiled operators do not fit this build of torch; none is used here."""
    library = torch.library.Library("torchvision", "DEF")
    try:
        return importlib.import_module("torchvision"), library
    except (RuntimeError, OSError):
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return importlib.import_module("torchvision"), library


def pairs(folder: Path, side_px: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, degraded and sharp photo, cut to their middle; noise follows from the position in the folder."""
    window = torch.exp(-0.5 * (torch.arange(-6, 7) / 2.0) ** 2)
    kernel = torch.outer(window, window) / window.sum() ** 2
    for number, path in enumerate(find_photos([folder])):
        sharp = photo_to_tensor(read_photo(path))
        height, width = (min(side, side_px) for side in sharp.shape[-2:])
        top, left = (sharp.shape[-2] - height) // 2, (sharp.shape[-1] - width) // 2
        sharp = sharp[..., top : top + height, left : left + width].contiguous()
        padded = F.pad(sharp, [6] * 4, mode="reflect")
        blurred = F.conv2d(padded, kernel.expand(3, 1, 13, 13), groups=3)
        noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(number))
        yield f"{path.name} blurred", round_to_uint8(blurred), sharp
        yield f"{path.name} noisy", round_to_uint8(sharp + 0.05 * noise), sharp


def as_array(image: Tensor) -> np.ndarray:
    return (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def scikit_image() -> dict[str, Compare]:
    from skimage.color import rgb2ycbcr
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}

    def y(image: Tensor) -> np.ndarray:
        return rgb2ycbcr(as_array(image))[:, :, 0]

    return {
        "psnr": lambda a, b: peak_signal_noise_ratio(as_array(b), as_array(a), data_range=255),
        "ssim": lambda a, b: structural_similarity(as_array(b), as_array(a), channel_axis=2, **options),
        "psnr-y": lambda a, b: peak_signal_noise_ratio(y(b), y(a), data_range=255),
        "ssim-y": lambda a, b: structural_similarity(y(b), y(a), **options),
    }


def lpips_package(name: str, weights: Path) -> Compare:
    import lpips

    from resharp.metrics.lpips import load_lpips
    from resharp.metrics.trunks import TRUNKS

    net = name.removeprefix("lpips-")
    path = find_weights(TRUNKS[net].backbone, weights)
    theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    convs = [each for each in theirs.net.modules() if isinstance(each, torch.nn.Conv2d)]
    for target, source in zip(convs, load_lpips(path, net).convs, strict=True):
        target.load_state_dict(source.state_dict())
    return lambda a, b: float(theirs(a * 2 - 1, b * 2 - 1))


def dists_package(torchvision, weights: Path) -> Compare:
    import DISTS_pytorch
    from DISTS_pytorch.DISTS_pt import DISTS

    from resharp.metrics.backbones import VGG16
    from resharp.metrics.dists import load_dists

    vgg16 = torchvision.models.vgg16
    with patch.object(torchvision.models, "vgg16", lambda pretrained: vgg16(weights=None)):
        theirs = DISTS(load_weights=False).eval()
    state = torch.load(Path(DISTS_pytorch.__file__).parent / "weights.pt", weights_only=True)
    theirs.alpha.data, theirs.beta.data = state["alpha"], state["beta"]
    convs = [each for each in theirs.modules() if isinstance(each, torch.nn.Conv2d)]
    for target, source in zip(convs, load_dists(find_weights(VGG16, weights)).convs, strict=True):
        target.load_state_dict(source.state_dict())
    return lambda a, b: float(theirs(a, b))


def basicsr_niqe(archive: Path, folder: Path) -> tuple[Compare, Compare]:
    """BasicSR's function out of its archive, as it is (float32) and made to compute in float64 as MATLAB does.

    The package itself does not import beside a current torchvision.
    """
    import scipy.ndimage

    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    root = folder / archive.name.removesuffix(".tar.gz") / "basicsr"
    for name, path in {"basicsr": root, "basicsr.utils": root / "utils", "basicsr.metrics": root / "metrics"}.items():
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = [str(path)]
    sys.modules["basicsr.utils"].bgr2ycbcr = importlib.import_module("basicsr.utils.color_util").bgr2ycbcr
    sys.modules.setdefault("scipy.ndimage.filters", scipy.ndimage)
    module = importlib.import_module("basicsr.metrics.niqe")
    prior = np.load(root / "metrics" / "niqe_pris_params.npz")

    def exact(a: Tensor, b: Tensor) -> float:
        y = luma(a.double())[0, 0].mul(255).round().numpy()
        torch.set_default_dtype(torch.float64)
        try:
            doubles = patch.object(torch, "FloatTensor", torch.DoubleTensor)
            with doubles, patch.object(Tensor, "float", Tensor.double):
                return module.niqe(y, prior["mu_pris_param"], prior["cov_pris_param"], prior["gaussian_window"])
        finally:
            torch.set_default_dtype(torch.float32)

    return lambda a, b: module.calculate_niqe(as_array(a)[:, :, ::-1], crop_border=0), exact


def compare_networks(weights: Path) -> Iterator[tuple[str, str, float, str]]:
    """Both feature networks: name, beside what, the largest difference, of values how large."""
    from efficientnet_lite_pytorch import EfficientNet
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from resharp.metrics.backbones import EFFICIENTNET

    images = torch.randint(0, 256, (4, 3, 256, 256), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    path = find_weights(INCEPTION, weights)
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            torch.manual_seed(0)
            path = Path(folder) / "random.pth"
            state = Inception().state_dict()
            for key, value in state.items():
                if key.endswith(("running_mean", "bn.bias")):
                    value.normal_(0, 0.2)
                elif key.endswith(("running_var", "bn.weight")):
                    value.uniform_(0.5, 1.5)
                elif key.endswith("conv.weight"):
                    torch.nn.init.kaiming_normal_(value)
            torch.save(state | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
        theirs = FeatureExtractorInceptionV3("inception", ["2048"], str(path))
        ours = load_inception(path)
    a, b = ours(images / 255), theirs(images)[0]
    yield f"Inception features ({path.name})", "torch-fidelity", float((a - b).abs().max()), f"to {float(b.max()):.2f}"
    path = find_weights(EFFICIENTNET, weights)
    if path is not None:
        lite = EfficientNet.from_name("efficientnet-lite0", image_size=256).eval()
        lite.load_state_dict(torch.load(path, weights_only=True))
        with torch.no_grad():
            b = lite.extract_features((images.float() - 127) / 128).mean(dim=(2, 3))
        a = load_efficientnet(path)(images / 255)
        difference = float((a - b).abs().max())
        yield "EfficientNet-Lite0 features", "efficientnet-lite-pytorch", difference, f"to {float(b.max()):.2f}"


def compare_distances() -> Iterator[tuple[str, str, float, str]]:
    """Both distances on features that look like a network's: name, beside what, the difference, the value."""
    import piq
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    rng = np.random.default_rng(0)
    mix = rng.normal(size=(64, 256)) / 8
    a, b = (np.abs(rng.normal(size=(1000, 64)) @ mix + shift) for shift in (0.0, 0.15))
    first, second = torch.from_numpy(a), torch.from_numpy(b)
    ours = frechet_distance(a, b)
    statistics = [fid_features_to_statistics(each) for each in (first, second)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    yield "Frechet distance", "torch-fidelity", abs(ours - theirs), f"of {theirs:.4f}"
    theirs = float(piq.FID().compute_metric(first, second))
    yield "Frechet distance", "piq", abs(ours - theirs), f"of {theirs:.4f}"
    ours = 1000 * kernel_distance(a, b)
    options = {"kid_subsets": 1, "kid_subset_size": 1000, "verbose": False}
    theirs = 1000 * kid_features_to_metric(first, second, **options)["kernel_inception_distance_mean"]
    yield "kernel distance x1000", "torch-fidelity", abs(ours - theirs), f"of {theirs:.4f}"


def compare_pictures(options, torchvision, folder: Path) -> Iterator[tuple[str, str, float, str]]:
    """Metrics of pairs of pictures: title, beside what, the largest difference, the span of the values."""
    others = [(name, "scikit-image", compare) for name, compare in scikit_image().items()]
    others += [(name, "lpips", lpips_package(name, options.weights)) for name in ("lpips-alex", "lpips-vgg")]
    others.append(("dists", "DISTS-pytorch", dists_package(torchvision, options.weights)))
    single, double = basicsr_niqe(options.basicsr, folder)
    others += [("niqe", "BasicSR", single), ("niqe", "BasicSR in float64", double)]
    chosen = choose_metrics([name for name, _, _ in others], options.weights)
    ours = {each.name: each for each in chosen if isinstance(each, PairMetric)}
    values: list[list[tuple[float, float]]] = [[] for _ in others]
    with torch.no_grad():
        for _, degraded, sharp in pairs(options.photos, options.side):
            measured = {name: each.measure(degraded, sharp) for name, each in ours.items()}
            for (name, _, compare), row in zip(others, values, strict=True):
                row.append((measured[name], float(compare(degraded, sharp))))
    for (name, beside, _), row in zip(others, values, strict=True):
        both = np.array(row)
        span = f"{both[:, 1].min():.4f} to {both[:, 1].max():.4f}, {len(both)} pairs"
        yield ours[name].title, beside, float(np.abs(both[:, 0] - both[:, 1]).max()), span


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", type=Path, required=True, metavar="DIR")
    parser.add_argument("--basicsr", type=Path, required=True, metavar="ARCHIVE", help="basicsr-1.4.2.tar.gz")
    parser.add_argument("--side", type=int, default=512, metavar="PX", help="photos are cut to their middle")
    options = parser.parse_args()
    torchvision, library = import_torchvision()
    print("| figure | beside | largest difference | values |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [compare_pictures(options, torchvision, Path(folder)), compare_networks(options.weights)]
        for part in [*rows, compare_distances()]:
            for title, beside, difference, span in part:
                print(f"| {title} | {beside} | {difference:.1e} | {span} |", flush=True)
    del library  # its operators go with it


if __name__ == "__main__":
    main()
