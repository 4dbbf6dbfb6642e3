"""Train all three stages on an accelerator that is lent for a fixed time; resharp's dependencies must be there.

    train_on_accelerator.py pack PHOTOS... --out photos.tar
    train_on_accelerator.py run --data photos.tar --minutes 25 --out OUT
    train_on_accelerator.py unpack OUT/one_step.safetensors --out MODEL

`run` again with the same --work goes on where it was stopped. Whenever it ends, OUT holds usable weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# A machine that gets the folder need not have the package installed.
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]

EXIT_CODES = {"": 0, "time": 0, "interrupt": 130, "terminate": 143}
CONFIGS = ROOT / "configs"


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="sharp photos into one file of limited size")
    pack.add_argument("photos", nargs="+", metavar="PHOTOS", help="files and folders")
    pack.add_argument("--out", type=Path, required=True, metavar="FILE")
    pack.add_argument("--max-mib", type=float, default=60.0, help="the file's limit; default 60")
    pack.add_argument("--index", type=Path, metavar="CSV", help="where photos are from; column 'file' or 'name'")
    run = commands.add_parser("run", help="train, evaluate, and write the results")
    run.add_argument("--data", type=Path, required=True, metavar="PACKED", help="what `pack` has written")
    run.add_argument("--minutes", type=float, required=True, help="of all calls together")
    run.add_argument("--out", type=Path, required=True, help="results: at most 8 files, each below 16 MiB")
    run.add_argument("--work", type=Path, help="runs and unpacked photos; default OUT-work beside OUT")
    run.add_argument("--stop-after", type=float, metavar="MINUTES", help="end this call then; the next one goes on")
    run.add_argument("--init", metavar="MODEL", help="begin with this model's weights")
    run.add_argument("--config", type=Path, metavar="TOML", help="default configs/accelerator.toml")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replaces a setting")
    run.add_argument("--pairs", metavar="FOLDER", help="score on these real pairs, too")
    run.add_argument("--sharp", metavar="FOLDER", help="score on these sharp photos with other blur, too")
    run.add_argument("--compile", action="store_true", help="torch.compile the networks")
    run.add_argument("--device", default="auto", help="auto, cpu or cuda")
    run.add_argument("--dry", action="store_true", help="the whole way on the CPU, with a tiny network")
    unpack = commands.add_parser("unpack", help="weights from `run` as a model folder")
    unpack.add_argument("weights", type=Path)
    unpack.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    return parser.parse_args(words)


def run(options: argparse.Namespace) -> int:
    """Train as long as there is time, then write the results."""
    began = time.monotonic()
    from accelerator_pack import HELD_OUT, PHOTOS, unpack
    from accelerator_plan import Plan, seconds_of_stages
    from accelerator_results import Exports
    from accelerator_stages import Stages

    from resharp.cli.options import pick_device
    from resharp.errors import OutputError
    from resharp.train.config_file import load_config
    from resharp.train.data import open_data

    seconds_of_stages(options.minutes)
    device = pick_device("cpu" if options.dry else options.device)
    config = options.config or CONFIGS / ("tiny_cpu.toml" if options.dry else "accelerator.toml")
    work = options.work or options.out.with_name(options.out.name + "-work")
    for folder in (options.out, work):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error
    manifest = unpack(options.data, work / "data")
    plan = Plan.open(work, options.minutes, began)
    # Results take time, too; what training does not get of the whole is theirs.
    reserve = 60 * options.minutes - sum(seconds_of_stages(options.minutes).values())
    ends = call_ends = began + 60 * options.minutes - plan.wall_s
    if options.stop_after is not None:
        call_ends = min(ends, began + 60 * options.stop_after)
    until = call_ends - reserve * (1.0 if call_ends == ends else 0.5)
    chosen = load_config(config, options.set)
    held_out = work / "data" / HELD_OUT
    source, validation = open_data(chosen, [str(work / "data" / PHOTOS)], validate_on=str(held_out))
    exports = Exports(work, options.out)
    stages = Stages(
        work,
        plan,
        config=config,
        settings=options.set,
        init=options.init,
        source=source,
        validation=validation,
        device=device,
        compile=options.compile,
        on_progress=exports,
    )
    reason = stages.run(ends - reserve, until)
    exports.update()
    facts = {"config": str(config), "init": options.init, "photographs": len(manifest["photos"])}
    facts |= {"encoding": manifest["encoding"], "device": str(device), "finished": reason == ""}
    results(options, plan, work, facts, chosen, device, call_ends if reason in ("", "time") else began)
    print(f"{options.out}: {'all stages are done' if reason == '' else 'the same command goes on'}")
    return EXIT_CODES[reason]


def results(
    options: argparse.Namespace, plan: Any, work: Path, facts: dict, chosen: Any, device: Any, ends: float
) -> None:
    """Write logs, scores, pictures and the summary; scores only as long as it is before `ends`."""
    from accelerator_pack import HELD_OUT
    from accelerator_plan import SHARES
    from accelerator_results import EVALUATION, SUMMARY, Restorers, evaluate, write_logs, write_pictures

    from resharp.files import write_text
    from resharp.train.run_folder import environment

    out, held_out = options.out, work / "data" / HELD_OUT
    write_logs(work, out, list(SHARES))

    def write_summary(finished_scoring: bool) -> None:
        plan.save(work)
        crops = {stage: taken * plan.batch_size for stage, taken in plan.taken.items()}
        summary = {**facts, "evaluated": finished_scoring, "minutes": options.minutes}
        summary |= {"wall_s": round(plan.wall_s, 1), "batch_size": plan.batch_size}
        summary |= {"steps": plan.steps, "steps_taken": plan.taken, "seconds": plan.used_s, "done": plan.done}
        summary |= {"crops": crops, "crops_in_all": sum(crops.values()), "crops_per_s": plan.crops_per_s}
        summary["environment"] = environment(1, device)
        write_text(out / SUMMARY, json.dumps(summary, indent=2) + "\n")

    write_summary(False)
    restorers = Restorers(work, device)()
    if restorers and time.monotonic() < ends:
        write_pictures(restorers, held_out, chosen.blur, out)
        scores = evaluate(restorers, held_out, chosen.blur, options.pairs, options.sharp, ends)
        write_text(out / EVALUATION, json.dumps(scores, indent=1, allow_nan=False) + "\n")
        write_summary(not scores["left_out"])


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    from resharp.errors import ResharpError

    try:
        if options.command == "pack":
            from accelerator_pack import pack

            manifest = pack(options.photos, options.out, options.max_mib, options.index)
            size = options.out.stat().st_size / 2**20
            print(f"{options.out}: {len(manifest['photos'])} photos, {manifest['encoding']}, {size:.1f} MiB")
            for line in manifest["left_out"]:
                print(f"left out: {line}", file=sys.stderr)
            return 0
        if options.command == "unpack":
            from accelerator_results import import_model

            import_model(options.weights, options.out)
            print(f"use it: resharp deblur photo.jpg --model {options.out}")
            return 0
        return run(options)
    except ResharpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
