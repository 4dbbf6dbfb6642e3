"""`resharp study ...`: ask people which method's pictures are better, and say what their answers come to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError

if TYPE_CHECKING:
    from resharp.study.pictures import Pictures

study = typer.Typer(name="study", help="A blind pairwise user study.", no_args_is_help=True)

_HOW = {
    "both": "raters and photos are drawn independently of each other; conservative",
    "raters": "raters are drawn; it speaks of these photos only",
    "photos": "photos are drawn; it speaks of these raters only",
}


@study.command()
def serve(
    results: Annotated[str, typer.Option(metavar="FILE", help="SQLite file; one of the same study is gone on with.")],
    pairs: Annotated[
        str | None,
        typer.Argument(metavar="PAIRS", help="A folder with a subfolder per method; may have blurry/ and sharp/."),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", "--methods", metavar="NAME=FOLDER", help="A method's pictures; several times."),
    ] = None,
    blurry: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="The inputs; raters may look at them while they hold a key.")
    ] = None,
    sharp: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Sharp photos: the right answers of attention checks.")
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 is open to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    question: Annotated[str | None, typer.Option(help="Default: Which picture is better?")] = None,
    ties: Annotated[bool, typer.Option("--ties", help="Allow the answer: no difference.")] = False,
    attention: Annotated[float, typer.Option(help="Attention checks as a share of questions; 0: none.")] = 0.1,
    per_rater: Annotated[
        int | None, typer.Option(metavar="N", help="Questions a rater is asked; default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of orders and sides.")] = 0,
    debug: DebugOption = False,
) -> None:
    """Serve a web page that shows two methods' pictures of one photo and asks which is better.

    Sides and orders are random, methods' names never reach the browser, and every answer is written at once. Stop it
    with Ctrl-C; the same command goes on.
    """
    from resharp.study.plan import QUESTION, StudySettings
    from resharp.study.results import Results
    from resharp.study.server import StudyServer
    from resharp.study.session import Study

    words = QUESTION if question is None else question
    settings = StudySettings(words, ties, attention, seed, per_rater)
    pictures = _pictures(pairs, methods or [], blurry, sharp)
    check_folder(Path(results).parent)
    # The port first: a results file is made only for a study that can be served.
    with StudyServer(host, port) as server:
        opened = Results(results, pictures, settings)
        try:
            server.study = Study(pictures, settings, opened)
            units = len(pictures.units)
            methods_text = ", ".join(pictures.methods)
            note(f"{len(pictures.photos)} photos, {units} pairs of pictures; methods: {methods_text}")
            answers, raters = opened.totals()
            if answers:
                note(f"{results}: going on with {answers} answers by {raters} raters")
            shown = f"[{host}]" if ":" in host else host
            say(f"http://{shown}:{server.server_port}/")
            _serve_until_stopped(server)
            answers, raters = opened.totals()
            note(f"{results}: {answers} answers by {raters} raters")
        finally:
            opened.close()


@study.command()
def score(
    results: Annotated[str, typer.Argument(metavar="RESULTS", help="The file that `resharp study serve` wrote.")],
    out: Annotated[str | None, typer.Option(metavar="FOLDER", help="Write the report and its tables here.")] = None,
    right: Annotated[
        float, typer.Option("--right", help="Share of attention checks that a rater must have right to count.")
    ] = 0.75,
    resample: Annotated[
        str, typer.Option(metavar="both|raters|photos", help="What intervals are drawn over.")
    ] = "both",
    resamples: Annotated[int, typer.Option(min=100, help="Of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Win rates, Bradley-Terry scores, agreement and side bias of a study, with 95 % intervals."""
    from resharp.study.analysis import RESAMPLES, analyse
    from resharp.study.answers import answers_of, read_answers, summarise_raters
    from resharp.study.tables import StudyReport

    if resample not in RESAMPLES:
        raise ConfigError(f"--resample {resample}: allowed: {', '.join(RESAMPLES)}")
    if not 0 <= right <= 1:
        raise ConfigError(f"--right is {right:g}; allowed: 0 to 1")
    if out is not None:
        check_folder(Path(out))
    found = read_answers(Path(results))
    raters = summarise_raters(found.rows, right)
    analysis = analyse(answers_of(found, raters), resample, resamples, seed)  # type: ignore[arg-type]
    how = f"Intervals: 95 % percentile bootstrap, {resamples} resamples, seed {seed}; {_HOW[resample]}."
    report = StudyReport(found, raters, analysis, right, how)
    if out is not None:
        make_folder(Path(out))
        written = report.write(Path(out))
        note(f"wrote {written[0]}, {', '.join(path.name for path in written[1:])}")
    say(report.json() if as_json else report.markdown().rstrip())


def _pictures(pairs: str | None, methods: Sequence[str], blurry: str | None, sharp: str | None) -> Pictures:
    from resharp.study.encoding import MARK
    from resharp.study.pictures import find_pictures, method_folders

    folders: dict[str, Path] = {}
    inputs, answers = (Path(folder) if folder else None for folder in (blurry, sharp))
    if pairs is not None:
        folders, own_inputs, own_answers = method_folders(Path(pairs))
        inputs, answers = inputs or own_inputs, answers or own_answers
    for method in methods:
        name, _, folder = method.partition("=")
        name = name.strip()
        if not name or not folder:
            raise ConfigError(f"--method {method}: expected NAME=FOLDER")
        if name in folders:
            raise ConfigError(f"--method {method}: the name {name!r} is taken; choose another")
        folders[name] = Path(folder)
    for name in folders:
        if name.startswith(MARK):
            raise ConfigError(f"method {name!r}: a name must not begin with {MARK}; choose another")
    if not folders:
        raise ConfigError("no methods: give PAIRS, a folder with a subfolder per method, or --method NAME=FOLDER twice")
    return find_pictures(folders, inputs, answers)


def _serve_until_stopped(server: Any) -> None:
    """Until Ctrl-C or a request to end, which are the ways to stop a server and no failure."""

    def stop(*_: object) -> None:
        # In another thread, since shutdown waits for the loop that this handler interrupts.
        threading.Thread(target=server.shutdown).start()

    if threading.current_thread() is threading.main_thread():
        before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    else:
        before = {}
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
