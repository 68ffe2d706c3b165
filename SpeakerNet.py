"""`SpeakerNet` joins encoder and loss, `ModelTrainer` trains it, `TracingModel` embeds with it, `load_model` opens one.

from SpeakerNet import load_model
model = load_model("exps/demo/model/best.model")
embeddings = model.embed(["a.wav", "b.flac"])  # (2, D)
"""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from corpus.audio import IN_FLIGHT, SAMPLE_RATE, Waveforms, load_audio
from corpus.eval_loader import EvalLoader
from corpus.filters import AudioFilters
from DatasetLoader import Batch, TrainLoader
from engine import checkpoints, cuda_graph, optim, training_state
from engine.async_step import Step, StepsInFlight, event_on, stacked
from engine.averaging import MovingAverage
from engine.devices import autocast, convolutions, find_device, half_precision, seed_all
from engine.distributed import average_gradients, rank, with_sync_batch_norm, world
from engine.embedding import embed_batches, fits_in_memory
from engine.network import SpeakerNet
from engine.progress import Progress
from settings import plugins
from settings.errors import ConfigError, DataError, UserError
from settings.options import Config
from settings.project import portable
from settings.resolve import for_embedding
from settings.text import shown

log = logging.getLogger(__name__)

Scalar = float | torch.Tensor  # of the host, or () on the device
LAG = 8  # steps that the host may run ahead of a GPU: enough that it is never idle, few enough to be reported in time


class TracingModel:
    """A network that embeds utterances, and what is known of its training.

    Parameters
    ----------
    net : SpeakerNet
    config : Config
    device : torch.device
    classes, languages : list of str
        Systems (in the order of the class labels) and languages of the train list.
    copies : sequence of str
        The classes of augmented copies, whose labels follow those of the systems (`corpus/copies.py`).
    """

    def __init__(
        self,
        net: SpeakerNet,
        config: Config,
        device: torch.device,
        classes: list[str],
        languages: list[str],
        copies: Sequence[str] = (),
    ):
        self.net = net.to(device=device, memory_format=torch.channels_last)  # what convolutions are fastest in
        self.config, self.device, self.classes, self.languages = config, device, classes, languages
        self.copies = list(copies)
        self.filters = AudioFilters()  # what the audio had passed on which the weights were trained

    @property
    def size(self) -> int:
        """The encoder's parameters, trained or not."""
        return sum(p.numel() for p in self.encoder.parameters())

    @property
    def encoder(self) -> nn.Module:
        return self.net.encoder

    @property
    def digest(self) -> str:
        """What identifies the encoder: a checksum of its name and weights, the same on every device."""
        return checkpoints.digest(self.config.model, self.encoder.state_dict())

    def load(self, path: str | Path) -> "TracingModel":
        """Take the encoder's weights from a checkpoint, ours or voxceleb_trainer's. Raises ConfigError if unfit."""
        return self.fill(checkpoints.read(path), path)

    def fill(self, state: dict, path: str | Path) -> "TracingModel":
        """Take the encoder's weights from what a checkpoint holds; `path` names it in messages."""
        convert = getattr(self.encoder, "convert_state_dict", lambda weights: weights)
        checkpoints.load_weights(self.encoder, convert(checkpoints.encoder_weights(state)), path)
        self.filters = AudioFilters.of_checkpoint(state)
        return self

    def embed(self, files: Sequence[str | Path], progress: bool = False) -> np.ndarray:
        """Embeddings (N, D) float32 of audio files of any format, rate and channel count, filtered as in training.

        However many there are, no more than two hours of them are in memory. Raises DataError that names a file which
        cannot be used.
        """
        found, waiting = [np.empty((0, self.config.nOut), np.float32)], []
        for path in tqdm(files, "embedding", unit="file", disable=not progress):
            waiting.append(self.filters.apply(load_audio(path)))
            if sum(map(len, waiting)) >= IN_FLIGHT:
                found.append(self.embed_waveforms(waiting))
                waiting = []
        return np.concatenate([*found, self.embed_waveforms(waiting)])

    def embed_waveforms(self, waveforms: Sequence[np.ndarray], progress: bool = False) -> np.ndarray:
        """Embeddings (N, D) float32 of waveforms (T,) float32 at 16 kHz, whole or cropped as --eval_frames has it.

        A checkpoint records --eval_frames; `load_model(path, eval_frames=0)` takes them whole.
        """
        audio = Waveforms(waveforms)
        lengths = np.array([len(samples) for samples in waveforms], np.int64)
        return self.embed_list(audio, lengths, progress)

    def embed_list(
        self, audio, lengths: np.ndarray, progress: bool | None = None, names: Sequence[str] | None = None
    ) -> np.ndarray:
        """Embeddings (N, D) float32 of a list's audio, each utterance whole or cropped as --eval_frames has it.

        Of several crops it is the mean of their normalised embeddings. Processes share the list.

        Parameters
        ----------
        audio : AudioFiles, CachedAudio, Waveforms
        lengths : (N,) int64
            Samples of each utterance.
        progress : bool
            Whether to show a bar. None: where somebody watches.
        names : (N,)
            What a message calls each utterance; its number by default.

        Raises
        ------
        DataError
            An utterance is too short for the encoder, or too long for the memory.
        """
        config = self.config
        self.check_memory(lengths, names)
        padded = "lengths" in plugins.parameters(self.encoder.forward)
        loader = EvalLoader(audio, lengths, config.eval_frames, config.num_eval, config.nDataLoaderThread, padded)
        try:
            return embed_batches(self.encoder, loader, config.nOut, self.device, progress)
        except torch.OutOfMemoryError:
            raise self.too_long(lengths, names) from None

    def check_memory(self, lengths: np.ndarray, names: Sequence[str] | None) -> None:
        """Raises DataError where an utterance of a list is too long for the memory, as far as is known beforehand."""
        seconds = lengths.max(initial=0) / SAMPLE_RATE
        if not self.config.eval_frames and not fits_in_memory(self.encoder, seconds, self.device):
            raise self.too_long(lengths, names)

    def too_long(self, lengths: np.ndarray, names: Sequence[str] | None) -> DataError:
        """What to say where the memory does not suffice; arguments as those of `embed_list`."""
        longest = int(lengths.argmax())
        name = names[longest] if names else f"utterance {longest}"
        return DataError(
            f"not enough memory on {self.device} to embed whole utterances, of which {name} is the longest "
            f"({lengths[longest] / SAMPLE_RATE:.0f} s): --eval_frames 400 embeds evenly spaced crops instead"
        )

    def logits(self, embeddings: np.ndarray) -> np.ndarray | None:
        """Margin-free logits (N, C) float32 of embeddings (N, D), in the order of `classes`; None of metric losses.

        The classes of copies are left out.
        """
        if not hasattr(self.net.loss, "logits"):
            return None
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(embeddings, np.float32)).to(self.device)
            logits = self.net.loss.eval().logits(x).float().cpu().numpy()
        return logits[:, : len(self.classes)] if self.classes else logits


def load_model(path: str | Path, device: str = "auto", **options: object) -> TracingModel:
    """A trained model from a checkpoint, ours or voxceleb_trainer's `ResNetSE34L`, or a Hugging Face folder.

    Parameters
    ----------
    path : str
        The checkpoint, a folder that export.py --format hf wrote, or such a folder's name on the hub (`owner/name`).
    device : str
        auto, cpu, cuda or mps.
    options : of the trainer, by name
        They stand above those that the checkpoint records; a foreign checkpoint records none: `nOut=512`.

    Raises
    ------
    ConfigError
        The checkpoint cannot be read or does not fit, an option is unknown, the device is not there.
    """
    state = checkpoints.read(path)
    config = for_embedding(state.get("config", {}), options | {"device": device, "initial_model": str(path)})
    return model_of(state, config)


def model_of(state: dict, config: Config) -> TracingModel:
    """The model of what a checkpoint holds, as `config` has it; its loss, too, where all of it is there."""
    path, classes, copies = config.initial_model, state.get("classes", []), state.get("copies", [])
    net = SpeakerNet(config, max(2, len(classes + copies)), weights_follow=True)
    if "loss" in state:
        checkpoints.load_weights(net.loss, state["loss"], path)
    model = TracingModel(net, config, find_device(config.device), classes, state.get("languages", []), copies)
    return model.fill(state, path)


class ModelTrainer:
    """Trains the network of a model, a batch at a time, and gives and restores the state of training.

    Nothing in a step waits for a GPU: `Progress` follows a few steps behind, and `flush` brings it up to date.

    Parameters
    ----------
    model : TracingModel
    loader : TrainLoader
    """

    def __init__(self, model: TracingModel, loader: TrainLoader):
        self.model, self.net, self.config, self.device = model, model.net, model.config, model.device
        self.loader = loader
        config, device = self.config, self.device
        if config.sync_bn:
            with_sync_batch_norm(self.net, device)
        self.half = half_precision(device) if config.mixedprec else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)
        self.compiling = config.compile and optim.worth_compiling(config.max_epoch * len(loader))
        if self.compiling:
            self.net.encoder.compile()
        groups = optim.parameter_groups(self.net.encoder, self.net.loss)
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimizer = optim.build_optimizer(config, groups)
        self.lr = optim.schedule(config, len(loader))
        self.average = MovingAverage(self.net, config.ema) if config.ema else None
        self.graph = None
        if config.cuda_graph and cuda_graph.usable(device):
            optim.make_recordable(self.optimizer)
            self.graph = cuda_graph.StepGraph(self.update, self.net, self.scaler, device)
        self.steps = StepsInFlight(
            LAG if device.type == "cuda" else 0, config.skip_not_finite, self.scaler.is_enabled()
        )

    def start_from(self, path: str | Path) -> None:
        """Begin with a checkpoint's weights: the encoder's, and the loss's where it fits and knows the same systems.

        So a run may go on with wider crops, another margin or other utterances, and the classes keep their places.
        Raises ConfigError where the encoder does not fit.
        """
        state = checkpoints.read(path)
        self.model.fill(state, path)
        own, found = self.net.loss.state_dict(), state.get("loss", {})
        fits = own and checkpoints.shapes(own) == checkpoints.shapes(found)
        same = state.get("classes") == self.model.classes and state.get("copies", []) == self.model.copies
        both = fits and same
        if both:
            checkpoints.load_weights(self.net.loss, found, path)
        if self.average:
            self.average.restart()
        log.info("weights of the %s from %s", "encoder and the loss" if both else "encoder", path)

    def begin_epoch(self, epoch: int) -> None:
        """Training mode, and the plug-ins' own changes: their `on_epoch`, where they have one."""
        self.net.train()
        for part in (self.net.encoder, self.net.loss):
            if hasattr(part, "on_epoch"):
                part.on_epoch(epoch)
        if self.graph:
            self.graph.begin_epoch()
        self.began = time.perf_counter()

    def train_step(self, batch: Batch, progress: Progress, stop: bool = False) -> None:
        """One optimiser step, at the place where `progress` will stand when all steps begun have arrived.

        `stop`: this process wants to stop; `self.steps.stop` then becomes true on all, after the same step. Raises
        NotFinite where loss or gradient is not finite, unless --skip_not_finite skips the batch.
        """
        number = progress.batch + len(self.steps.waiting)
        seed_all(self.config.seed, progress.epoch, number, rank())
        step = self.step(batch, self.lr(progress.epoch * len(self.loader) + number), stop)
        step.waited = self.loader.waited
        self.steps.add(step)
        self.steps.collect(progress, 0 if self.compiling else self.steps.lag, world())
        if self.compiling:
            log.info("compiled with the first batch, in %.0f s", time.perf_counter() - self.began)
            self.compiling = False
        self.clock(progress)

    def clock(self, progress: Progress) -> None:
        """Add the time since the last step to the epoch's."""
        now = time.perf_counter()
        progress.seconds, self.began = progress.seconds + now - self.began, now

    @convolutions(training=True)
    def step(self, batch: Batch, lr: float, stop: bool = False) -> Step:
        """Begin one optimiser step at rate `lr`. Where loss or gradient is not finite, it changes nothing."""
        start = event_on(self.device)
        waveforms, labels = (t.to(self.device, non_blocking=True) for t in (batch.waveforms, batch.labels))
        values = (self.graph or self.update)(waveforms, labels, lr, stop)
        optim.set_lr(self.optimizer, lr)  # a number again, where a graph had it on the device: checkpoints hold it
        if self.average:
            self.average.update()
        return Step.begun(batch, lr, values, start)

    def update(self, waveforms: torch.Tensor, labels: torch.Tensor, lr: Scalar, stop: Scalar) -> torch.Tensor:
        """All that a step computes on the device: loss, accuracy, the gradient's norm, whether to stop, (4,).

        A graph records it, with `lr` and `stop` on the device: no value may pass through the host.
        """
        optim.set_lr(self.optimizer, lr)
        self.optimizer.zero_grad()
        buffers = list(self.net.buffers()) if self.config.skip_not_finite else []
        before = [b.clone() for b in buffers]
        with autocast(self.device, self.half):
            loss, accuracy = self.net(waveforms, labels)
        self.scaler.scale(loss).backward()
        stop = average_gradients(self.parameters, stop)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.grad_clip or math.inf)
        finite = loss.isfinite() & norm.isfinite()
        for buffer, value in zip(buffers, before, strict=True):  # a NaN would stay in running statistics
            buffer.copy_(torch.where(finite, buffer, value))
        optim.apply_gradients(self.optimizer, self.scaler, finite)
        return stacked([loss, accuracy, norm, stop])

    def evaluating(self) -> AbstractContextManager:
        """While it lasts, the network is the one to judge and keep: with --ema that of the averaged weights."""
        return self.average.applied() if self.average else nullcontext()

    def flush(self, progress: Progress) -> None:
        """Wait for all steps begun, and add their results to `progress`. Raises NotFinite."""
        self.steps.collect(progress, 0, world())

    def end_epoch(self, progress: Progress) -> None:
        """All steps of the epoch are done, and their time is counted."""
        self.flush(progress)
        self.clock(progress)

    def state(self, progress: Progress, train_info: dict) -> dict:
        """What a checkpoint holds: all that training needs to resume exactly; `train_info`: what it is trained on.

        With --ema, encoder and loss are the averaged ones.
        """
        self.flush(progress)
        learned = training_state.capture(self.net, self.optimizer, self.scaler, self.average)
        config = portable(self.config.flat(), Path(self.config.save_path) / "config.yaml")
        standing = {"progress": asdict(progress), "config": config, "threads": torch.get_num_threads()}
        return learned | standing | train_info

    def restore(self, state: dict, path: str | Path) -> Progress:
        """Resume from a checkpoint of this very run: weights, optimiser, scaler; returns where training stands."""
        try:
            training_state.restore(state, path, self.net, self.optimizer, self.scaler, self.average)
            if self.graph:
                self.graph.forget()
            return Progress(**state["progress"]).checked(len(self.loader))
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ConfigError(f"{path}: cannot resume from it ({shown(error)}); see --restart") from error
