"""What the sub-commands of identify.py do with their parsed options; each returns an exit status."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from identification import output
from identification.answers import Answer, answer, read_prior
from identification.bank import Bank, read_bank, write_bank
from identification.calibrate import Wanted, calibrate, check_not_enrolled
from identification.compare import compare, comparison_text
from identification.enrol import Keeping, joined, new_bank
from identification.lists import Listed, read_files, read_saved
from identification.recordings import embed_files, find
from identification.scores import against, nearest, prepare
from identification.segments import draw_segments, segment_lines, segments
from identification.verbal import read_scale
from identification.words import UNKNOWN
from scoring.backends import Backend, check_same_model, learn, saved_backend
from settings.console import show
from settings.errors import ConfigError, DataError
from SpeakerNet import TracingModel, load_model

NAMED, UNREADABLE, NOT_NAMED = 0, 1, 3  # exit statuses; 2 is a user's mistake


def write(line: str) -> None:
    """A line for programs, as it is; one for people is shown."""
    sys.stdout.write(f"{line}\n")


def model_of(bank: Bank, options: argparse.Namespace) -> TracingModel:
    """The model that the bank's embeddings are of. Raises ConfigError where it is not there, or another one."""
    path = options.checkpoint or bank.model
    if not Path(path).exists():
        raise ConfigError(f"{path or 'the checkpoint'} of the bank is not there: name it with --checkpoint")
    model = load_model(path, options.device)
    check_same_model("the checkpoint", model.digest, bank.checkpoint, "the bank")
    return model


def listed_for(bank: Bank, options: argparse.Namespace) -> Listed:
    """The list of a calibration or a validation, embedded by the bank's model and not enrolled."""
    if options.source.endswith(".npz"):
        found, digest = read_saved(options.source)
        check_same_model(options.source, digest, bank.checkpoint, "the bank")
    else:
        model = model_of(bank, options)
        found = read_files(model, options.source, options.path, skip=options.skip_bad_audio, threads=options.threads)
    check_not_enrolled(bank, found.embeddings, found.paths, options.source)
    return found


def run_enrol(options: argparse.Namespace) -> int:
    """A bank written, and what is in it."""
    out = options.out or options.into
    if not out:
        raise ConfigError("name the bank to write with --out, or one to add to with --into")
    old = read_bank(options.into) if options.into else None
    if options.source.endswith(".npz"):
        found, digest = read_saved(options.source)
        model = str(Path(options.checkpoint).resolve()) if options.checkpoint else old.model if old else ""
    else:
        path = options.checkpoint or (old.model if old else "")
        if not path:
            raise ConfigError("name the model that embeds with --checkpoint")
        loaded = load_model(path, options.device)
        digest, model = loaded.digest, str(Path(path).resolve())
        found = read_files(loaded, options.source, options.path, skip=options.skip_bad_audio, threads=options.threads)
    backend = old.backend if old else backend_for(options, found, digest)
    bank = new_bank(
        found.embeddings,
        found.systems,
        found.paths,
        backend=backend,
        checkpoint=digest,
        model=model,
        scorer=old.scorer if old else options.scorer or ("plda" if backend.name == "plda" else "centroid"),
        keeping=Keeping(options.keep, options.prototypes),
    )
    bank = joined(old, bank) if old else bank
    write_bank(bank, out)
    for system, count, day in zip(bank.systems, bank.counts, bank.dates, strict=True):
        show(f"{system}: {count} utterances, enrolled {day}")
    show(f"written: {out}, {len(bank.systems)} systems; next: python identify.py calibrate {out} DEV_LIST")
    return NAMED


def backend_for(options: argparse.Namespace, found: Listed, digest: str) -> Backend:
    """The back-end that --backend and --backend_from ask for."""
    if not options.backend_from:
        return learn(options.backend, found.embeddings, found.systems, checkpoint=digest)
    known = saved_backend(options.backend_from)
    if known is not None:
        check_same_model(options.backend_from, known.checkpoint, digest, options.source)
        return known
    other, of = read_saved(options.backend_from)
    check_same_model(options.backend_from, of, digest, options.source)
    return learn(options.backend, other.embeddings, other.systems, checkpoint=digest)


def run_remove(options: argparse.Namespace) -> int:
    bank = read_bank(options.bank).without(options.systems)
    write_bank(bank, options.out or options.bank)
    show(f"written: {options.out or options.bank}, {len(bank.systems)} systems; it needs to be calibrated again")
    return NAMED


def run_calibrate(options: argparse.Namespace) -> int:
    """The bank with a calibration, and how good that is."""
    bank = read_bank(options.bank)
    found = listed_for(bank, options)
    calibration = calibrate(
        prepare(bank),
        found.embeddings,
        found.systems,
        source=options.source,
        conditions=found.conditions,
        languages=found.languages,
        wanted=Wanted(options.false_alarm, options.draws, options.seed),
    )
    bank = Bank(**vars(bank) | {"calibration": calibration})
    write_bank(bank, options.out or options.bank)
    show(output.header(output.limits(bank, options.out or options.bank)))
    show(output.calibration_table(calibration.about))
    show(f"written: {options.out or options.bank}")
    return NAMED


def run_identify(options: argparse.Namespace) -> int:
    """Answers on the standard output, as they come."""
    bank, scale = read_bank(options.bank), read_scale(*[options.scale] * bool(options.scale))
    prior = None if bank.calibration is None else read_prior(bank, options.prior)
    pair = tuple(options.against) if options.against else None
    if (pair or options.segments) and bank.calibration is None:
        raise ConfigError(f"{options.bank} is not calibrated: --against and --segments need likelihood ratios")
    for system in pair or ():
        bank.number(system)
    if options.picture and not options.segments:
        raise ConfigError("--picture is of --segments: say how long they are")
    paths = find(options.files)
    if options.picture and len(paths) != 1:
        raise ConfigError(f"--picture is of one recording, and there are {len(paths)}")
    model, prepared = model_of(bank, options), prepare(bank)
    limits = output.limits(bank, options.bank, options.prior)

    def found() -> Iterator[Answer]:
        for recording in tqdm(embed_files(model, paths, options.threads), "identifying", len(paths), disable=quiet):
            if recording.embedding is None:
                yield Answer(recording.path, recording.seconds, recording.remarks, recording.reason)
                continue
            scores = against(prepared, recording.embedding[None])[0]
            near = nearest(prepared, recording.embedding, options.why) if options.why else []
            known = {"prior": prior, "top": options.top, "against": pair, "language": options.language}
            yield answer(bank, recording, scores, nearest=near, **known)

    quiet = None if len(paths) > 1 else True
    tally = Tally()
    if options.csv:
        for line in output.as_csv(tally.counted(found())):
            write(line)
        return tally.status()
    say = write if options.json else show
    say(output.as_limits_json(limits) if options.json else output.header(limits, scale))
    for one in tally.counted(found()):
        say(output.as_json(one) if options.json else output.for_people(one, scale, pair))
        if options.segments and one.candidates:
            windows = segments(model, prepared, one.path, options.segments)
            for line in segment_lines(windows, bank, as_json=options.json):
                say(line)
            if options.picture:
                draw_segments(windows, bank, options.picture, one.path)
    return tally.status()


class Tally:
    """What became of the recordings, for the exit status."""

    def __init__(self) -> None:
        self.unreadable = self.not_named = 0

    def counted(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        for one in answers:
            self.unreadable += not one.candidates
            self.not_named += bool(one.candidates) and one.verdict in ("", UNKNOWN)
            yield one

    def status(self) -> int:
        return UNREADABLE if self.unreadable else NOT_NAMED if self.not_named else NAMED


def run_compare(options: argparse.Namespace) -> int:
    """Whether two recordings are of one system."""
    bank, scale = read_bank(options.bank), read_scale(*[options.scale] * bool(options.scale))
    model = model_of(bank, options)
    first, second = embed_files(model, [options.first, options.second], options.threads)
    for recording in (first, second):
        if recording.embedding is None:
            raise DataError(f"{recording.path}: {recording.reason}")
    found = compare(bank, first, second)
    limits = output.limits(bank, options.bank)
    if options.json:
        write(output.as_limits_json(limits | found))
    else:
        show(output.header(limits, scale))
        show(comparison_text(found, scale))
    return NAMED


def run_validate(options: argparse.Namespace) -> int:
    """The page, and the figures on it."""
    from identification.validate import validate
    from identification.validate_page import write_page

    bank = read_bank(options.bank)
    if bank.calibration is None:
        raise ConfigError(f"{options.bank} is not calibrated: there is nothing to validate (identify.py calibrate)")
    found = listed_for(bank, options)
    result = validate(prepare(bank), found, draws=options.draws, seed=options.seed)
    for path in write_page(result, output.limits(bank, options.bank), options.out):
        show(f"written: {path}")
    return NAMED


def run_serve(options: argparse.Namespace) -> int:
    """Serves until it is stopped."""
    from identification.serve import serve

    bank = read_bank(options.bank)
    model = model_of(bank, options)
    show(f"http://127.0.0.1:{options.port} shows the page, until Ctrl-C")
    sys.stdout.flush()
    serve(bank, model, options)
    return NAMED
