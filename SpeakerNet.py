"""The engine: `SpeakerNet` joins encoder and loss; `ModelTrainer` trains an epoch, embeds a list, keeps checkpoints."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from DatasetLoader import Batch, EvalLoader, TrainLoader
from engine import checkpoints
from engine.async_step import Step
from engine.devices import autocast, convolutions, half_precision, seed_all
from engine.distributed import (
    all_gather_with_grad,
    all_reduce_rows,
    average_gradients,
    broadcast_buffers,
    rank,
    with_sync_batch_norm,
    world,
)
from engine.optim import build_optimizer, schedule, set_lr
from engine.progress import NotFinite, Progress
from settings import plugins
from settings.errors import ConfigError, UserError
from settings.options import Config
from settings.text import shown
from utils import LegacyTorchSemantics

log = logging.getLogger(__name__)

COMPILING_PAYS_FROM = 3000  # batches: 84 s for 30 ms of each, measured on two CPU cores
LAG = 8  # steps that the host may run ahead of a GPU: enough that it is never idle, few enough to be told in time


def build(entry, given: dict, options: dict, everything: dict) -> nn.Module:
    """Call a plug-in with what its signature asks for; one that takes **kwargs gets all there is."""
    if plugins.takes_any_keyword(entry):
        arguments = everything | given | options
    else:
        asked = plugins.parameters(entry)
        arguments = {name: value for name, value in given.items() if name in asked} | options
    try:
        return entry(**arguments)
    except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        what = f"{entry.__module__} cannot be built with {shown(given | options, 400)}"
        raise ConfigError(f"{what}: {' '.join(str(error).split())}") from error


class SpeakerNet(nn.Module):
    """Encoder and loss, found by name.

    Parameters
    ----------
    config : Config
    nClasses : int
        Number of train systems.
    weights_follow : bool
        A checkpoint will fill the encoder: what it would fetch to start from (its `weights_follow`) is not needed.
    """

    def __init__(self, config: Config, nClasses: int, weights_follow: bool = False):
        super().__init__()
        given, everything = {"nOut": config.nOut, "nClasses": nClasses}, config.flat()
        loss = plugins.load("loss", config.trainfunc)
        model = plugins.load("models", config.model)
        known = getattr(model, "weights_follow", {}) if weights_follow else {}
        self.encoder = build(model, given, config.model_options | known, everything)
        self.loss = build(loss, given, config.loss_options, everything)
        self.per_system = config.nPerSpeaker if config.sampler == "balanced" else 1
        self.legacy_loss = plugins.takes_any_keyword(loss)  # written for voxceleb_trainer, and for its torch
        self.takes_groups = not self.legacy_loss or plugins.utterances_needed(loss) > 1

    def forward(self, waveforms: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms (B, T) and labels (B,), group-major, to the loss and the accuracy in percent, both scalars.

        Where several processes train together, B is this one's part, and the loss is that of the whole batch.
        """
        x, labels = all_gather_with_grad(self.encoder(waveforms)), all_gather_with_grad(labels)
        if self.takes_groups and self.per_system > 1:
            x, labels = x.unflatten(0, (-1, self.per_system)), labels[:: self.per_system]
        if not self.legacy_loss:
            return self.loss(x, labels)
        with LegacyTorchSemantics(x.device):
            loss, accuracy = self.loss(x.float(), labels)
        return loss, torch.as_tensor(accuracy, dtype=torch.float32, device=x.device).reshape(())


class ModelTrainer:
    """Trains a SpeakerNet, embeds lists with it, keeps and restores the state of training.

    Parameters
    ----------
    net : SpeakerNet
    config : Config
    device : torch.device
    loader : TrainLoader
        None where nothing is trained.
    """

    def __init__(self, net: SpeakerNet, config: Config, device: torch.device, loader: TrainLoader | None = None):
        self.net = net.to(device=device, memory_format=torch.channels_last)  # what convolutions are fastest in
        self.config, self.device, self.loader = config, device, loader
        self.wants_to_stop = lambda: False
        self.begun, self.stop_from = 0, math.inf  # steps; the one from which on all processes want to stop
        self.in_flight: deque[Step] = deque()  # begun, and their results not yet taken down
        self.lag = LAG if device.type == "cuda" else 0
        if config.sync_bn:
            with_sync_batch_norm(net, device)
        if loader is None:
            return
        self.half = half_precision(device) if config.mixedprec else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)
        self.compiling = config.compile and self.worth_compiling()
        if self.compiling:
            net.encoder.compile()
        groups = parameter_groups(net)
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimizer = build_optimizer(config, groups)
        self.lr = schedule(config, len(loader))

    def worth_compiling(self) -> bool:
        """Whether the whole run, wherever it is resumed, is long enough for compiling to pay; says so if it is not."""
        batches = self.config.max_epoch * len(self.loader)
        if batches < COMPILING_PAYS_FROM:
            log.warning("--compile is left out: %d batches do not earn it back (%d may)", batches, COMPILING_PAYS_FROM)
        return batches >= COMPILING_PAYS_FROM

    @convolutions(training=True)
    def train_network(self, progress: Progress, after_batch: Callable[[], None] = lambda: None) -> None:
        """The epoch at which `progress` stands, from the batch at which it stands. `after_batch` may save and stop.

        Nothing here waits for a GPU: `progress` follows a few steps behind, and `flush` brings it up to date. Raises
        NotFinite where loss or gradient is not finite, unless --skip_not_finite leaves the batch out.
        """
        epoch, first, total = progress.epoch, progress.batch, len(self.loader)
        self.net.train()
        if hasattr(self.net.encoder, "on_epoch"):
            self.net.encoder.on_epoch(epoch)
        silent = True if rank() else None
        batches = self.loader.epoch(epoch, first)
        bar = tqdm(batches, f"epoch {epoch + 1}", total, initial=first, unit="batch", leave=False, disable=silent)
        began = time.perf_counter()
        for number, batch in enumerate(bar, first):
            seed_all(self.config.seed, epoch, number, rank())
            self.in_flight.append(self.step(batch, self.lr(epoch * total + number)))
            self.begun += 1
            self.flush(progress, 0 if self.compiling else self.lag)
            now = time.perf_counter()
            if self.compiling:
                log.info("compiled with the first batch, in %.0f s", now - began)
                self.compiling = False
            progress.seconds, progress.waited = progress.seconds + now - began, progress.waited + self.loader.waited
            began = now
            bar.set_postfix_str(progress.line(), refresh=False)
            after_batch()
        self.flush(progress)
        progress.seconds += time.perf_counter() - began

    def step(self, batch: Batch, lr: float) -> Step:
        """Begin one optimiser step at rate `lr`. Where loss or gradient is not finite, it changes nothing."""
        waveforms, labels = (t.to(self.device, non_blocking=True) for t in (batch.waveforms, batch.labels))
        set_lr(self.optimizer, lr)
        self.optimizer.zero_grad()
        buffers = list(self.net.buffers()) if self.config.skip_not_finite else []
        before = [b.clone() for b in buffers]
        with autocast(self.device, self.half):
            loss, accuracy = self.net(waveforms, labels)
        self.scaler.scale(loss).backward()
        stop = average_gradients(self.parameters, self.wants_to_stop())
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.grad_clip or math.inf)
        finite = loss.isfinite() & norm.isfinite()
        for buffer, value in zip(buffers, before, strict=True):  # a NaN would stay in running statistics
            buffer.copy_(torch.where(finite, buffer, value))
        self.update(loss, finite)
        return Step.begun(batch, lr, [loss, accuracy, norm, stop])

    def update(self, loss: torch.Tensor, finite: torch.Tensor) -> None:
        """The optimiser's step, unless loss or gradient are not finite; `finite`, a bool on the device, says which."""
        if self.scaler.is_enabled():  # float16: it leaves out by itself what overflows, and lowers its scale
            if loss.isfinite():
                self.scaler.step(self.optimizer)
            self.scaler.update()
        elif self.optimizer.defaults.get("fused"):  # the device decides, and nobody waits for it
            self.optimizer.found_inf = (~finite).float()  # what GradScaler, too, tells a fused optimiser
            self.optimizer.step()
        elif finite:
            self.optimizer.step()

    def flush(self, progress: Progress, lag: int = 0) -> None:
        """Wait for all steps begun but the last `lag`, and take their results down. Raises NotFinite."""
        while len(self.in_flight) > lag:
            step = self.in_flight.popleft()
            loss, accuracy, norm, stop = step.results()
            if stop > 0:
                self.stop_from = min(self.stop_from, self.begun - len(self.in_flight) + self.lag)
            if self.scaler.is_enabled():
                norm = 0.0  # an overflow is routine in float16
            if math.isfinite(loss) and math.isfinite(norm):
                progress.add(loss, accuracy, step.lr, world() * len(step.batch.labels))
                continue
            what = f"the gradient's norm is {norm}" if math.isfinite(loss) else f"the loss is {loss}"
            if progress.left_out >= self.config.skip_not_finite:
                raise NotFinite(what, step.batch)
            log.warning("epoch %d, batch %d: %s; left out", progress.epoch + 1, progress.batch + 1, what)
            progress.leave_out()

    @property
    def stop(self) -> bool:
        """Whether to leave the training loop, after the same step on all processes, whenever each has settled it."""
        return self.begun >= self.stop_from

    @convolutions(training=False)
    @torch.inference_mode()
    def embed(self, loader: EvalLoader) -> np.ndarray:
        """(N, D) float32 embeddings as the encoder gives them; of several crops, the mean of the normalised ones."""
        self.net.eval()
        broadcast_buffers(self.net)
        embeddings = torch.zeros(len(loader.lengths), self.config.nOut, device=self.device)
        silent = True if rank() else None
        with tqdm(None, "embedding", len(embeddings) // world(), unit="utt", leave=False, disable=silent) as bar:
            for rows, crops, lengths in loader:
                waveforms = crops.flatten(0, 1).to(self.device, non_blocking=True)
                padded = {} if lengths is None else {"lengths": lengths.to(self.device)}
                # Not compiled: whole utterances have a new length in every batch.
                x = self.net.encoder.forward(waveforms, **padded).float().unflatten(0, crops.shape[:2])
                embeddings[rows] = x[:, 0] if crops.shape[1] == 1 else F.normalize(x, dim=-1).mean(dim=1)
                bar.update(len(rows))
        return all_reduce_rows(embeddings).cpu().numpy()

    @property
    def takes_lengths(self) -> bool:
        """Whether the encoder takes utterances of several lengths in one padded batch."""
        return "lengths" in plugins.parameters(self.net.encoder.forward)

    def saveParameters(self, path, progress: Progress, about: dict) -> None:
        """A checkpoint with all that training needs to go on exactly; `about` says what it was trained on."""
        state = {
            "encoder": self.net.encoder.state_dict(),
            "loss": self.net.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": asdict(progress),
            "config": self.config.flat(),
        }
        checkpoints.write(path, state | about)

    def loadParameters(self, path) -> None:
        """The encoder's weights from a checkpoint, ours or the ancestor's. Raises ConfigError where they do not fit."""
        weights = checkpoints.encoder_weights(checkpoints.read(path))
        convert = getattr(self.net.encoder, "convert_state_dict", lambda state: state)
        checkpoints.load_weights(self.net.encoder, convert(weights), path)

    def restore(self, state: dict, path) -> Progress:
        """Go on from a checkpoint of this very run: weights, optimiser, scaler; returns where training stands."""
        try:
            checkpoints.load_weights(self.net.encoder, state["encoder"], path)
            checkpoints.load_weights(self.net.loss, state["loss"], path)
            for group in state["optimizer"]["param_groups"]:  # how this device updates, not the one that saved
                group["fused"] = self.optimizer.defaults.get("fused")
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            return Progress(**state["progress"]).checked(len(self.loader))
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ConfigError(f"{path}: no run can go on from it ({shown(error)}); see --restart") from error


def parameter_groups(net: SpeakerNet) -> list[dict]:
    """What the optimiser gets: the encoder's own groups where it has a say in them, and the loss's parameters."""
    encoder = getattr(net.encoder, "parameter_groups", lambda: [{"params": list(net.encoder.parameters())}])()
    loss = list(net.loss.parameters())
    return encoder + ([{"params": loss}] if loss else [])
