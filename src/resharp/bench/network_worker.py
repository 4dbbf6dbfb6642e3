"""Time one of the field's networks, untrained, through spandrel: a script for another environment's Python.

`network_worker.py SPEC RESULT`, with SPEC a JSON object. It imports nothing of resharp by name, because resharp need
not be installed there; the two files of resharp that it needs are named in SPEC.
"""

from __future__ import annotations

import importlib.util
import json
import sys


def main(spec, result):
    """Measure what SPEC says into the file RESULT."""
    wanted = json.loads(spec)
    timed_calls = module("timed_calls", wanted["timed_calls"])
    worker = module("spandrel_worker", wanted["spandrel_worker"])
    timed_calls.answer(result, lambda: measure(wanted, timed_calls, worker))


def module(name, path):
    """The module in a file."""
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def measure(wanted, timed_calls, worker):
    """Seconds, memory and multiply-adds of the network on the picture; a NotMeasuredError where it cannot be had."""
    try:
        worker.import_spandrel()
    except worker.RefusalError as error:
        raise timed_calls.NotMeasuredError(str(error)) from error
    import spandrel
    import torch

    torch.set_num_threads(wanted["threads"])
    torch.manual_seed(0)
    extra = worker.add_extra_architectures(spandrel)
    try:
        state = build(wanted["network"]).state_dict()
    except ImportError as error:
        raise timed_calls.NotMeasuredError(f"cannot be built there ({error})") from error
    # Through the loader, which adds what spandrel knows of the network, such as the sizes that it can take.
    network = spandrel.ModelLoader().load_from_state_dict(state).eval()
    del state
    picture = timed_calls.read_picture(wanted["picture"])
    corner = picture[..., : timed_calls.WARM_PX, : timed_calls.WARM_PX]
    versions = f"spandrel {getattr(spandrel, '__version__', 'unknown')}{extra}, torch {torch.__version__}"
    parameters = sum(each.numel() for each in network.model.parameters())
    found = timed_calls.figures(lambda: network(picture), lambda: network(corner), None, parameters, versions)
    if wanted["count"]:
        network.model.to("meta")  # operations are counted without being done
        found["multiply_adds"] = timed_calls.multiply_adds(lambda: network(picture.to("meta")))
    return found


def build(name):
    """The network in its authors' size for motion blur, with random weights."""
    if name == "NAFNet-64":
        from spandrel.architectures.NAFNet import NAFNet

        return NAFNet(img_channel=3, width=64, middle_blk_num=1, enc_blk_nums=[1, 1, 1, 28], dec_blk_nums=[1, 1, 1, 1])
    if name == "Uformer-B":
        from spandrel.architectures.Uformer import Uformer

        return Uformer(embed_dim=32, depths=[1, 2, 8, 8, 2, 8, 8, 2, 1], modulator=True)
    if name == "MPRNet":
        from spandrel_extra_arches.architectures.MPRNet import MPRNet

        return MPRNet(n_feat=96, scale_unetfeats=48, scale_orsnetfeats=32, num_cab=8)
    from spandrel_extra_arches.architectures.Restormer import Restormer

    return Restormer(dim=48, num_blocks=[4, 6, 6, 8], num_refinement_blocks=4, heads=[1, 2, 4, 8])


if __name__ == "__main__":
    # Python puts the script's own folder first, whose modules must not stand in for other packages'.
    del sys.path[0]
    main(*sys.argv[1:])
