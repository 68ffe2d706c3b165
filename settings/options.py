"""Every run-wide option once: name, type, default, bounds, help, scope. A plug-in's own are in its signature."""

from dataclasses import asdict, dataclass, field, fields

from settings.schema import COMMAND, MACHINE, RESULTS, Option, option


@dataclass
class Config:
    """A run's configuration. `model_options` and `loss_options` hold the chosen plug-ins' own keyword parameters."""

    eval: bool = option(
        False, "run", "score --initial_model on --test_list and train nothing", scope=COMMAND, by_sweep=True
    )
    save_path: str = option(
        "exps/exp1",
        "run",
        "the experiment's folder: configuration, checkpoints, logs, results",
        scope=MACHINE,
        by_sweep=True,
        path=True,
    )
    restart: bool = option(
        False, "run", "begin anew where save_path holds a run; its checkpoints are removed", scope=MACHINE
    )
    seed: int = option(10, "run", "seed of weights, batches and crops", minimum=0)
    device: str = option("auto", "run", "where to compute", choices=("auto", "cpu", "cuda", "mps"), scope=MACHINE)
    deterministic: bool = option(
        False, "run", "GPU: the same bits every time, slower (the CPU gives them anyway)", scope=MACHINE
    )
    mixedprec: bool = option(
        False, "run", "mixed precision: bfloat16 where the device has it, else float16 with scaling"
    )

    train_list: str = option(
        "", "data", "train list: CSV with path,model_name, or lines of 'label path'", scope=RESULTS, path=True
    )
    dev_list: str = option(
        "", "data", "development list, scored every test_interval epochs; chooses best.model", scope=RESULTS, path=True
    )
    test_list: list[str] = option(
        [],
        "data",
        "test lists, scored once when training ends or with --eval, which takes lists of trials too",
        many=True,
        scope=RESULTS,
        path=True,
    )
    train_path: str = option(
        "data", "data", "folder that the paths of the train list start from", scope=RESULTS, path=True
    )
    dev_path: str = option("", "data", "the same for the dev list (empty: train_path)", scope=RESULTS, path=True)
    test_path: str = option("", "data", "the same for the test lists (empty: train_path)", scope=RESULTS, path=True)
    nDataLoaderThread: int = option(2, "data", "threads that read audio", minimum=1, maximum=1024, scope=MACHINE)
    audio_memory: float = option(
        2.0, "data", "GB of decoded audio to keep in memory, so that it is read once", minimum=0, maximum=1e6,
        scope=MACHINE,
    )  # fmt: skip
    cache: str = option(
        "",
        "data",
        "folder of caches made by dataprep.py cache: audio decoded (and filtered) once",
        scope=MACHINE,
        path=True,
    )
    data_on_device: str = option(
        "auto", "data", "keep the train audio in the GPU's memory (auto: where it fits)",
        choices=("auto", "yes", "no"), scope=MACHINE,
    )  # fmt: skip
    skip_bad_audio: bool = option(
        False, "data", "go on without files that cannot be used, and record which", scope=RESULTS
    )
    allow_outside: bool = option(
        False, "data", "allow lists whose paths are absolute or leave their folder", scope=COMMAND
    )

    sampler: str = option(
        "random", "batches", "utterances at random, or systems evenly", choices=("random", "balanced")
    )
    batch_size: int = option(
        128, "batches", "utterances of a batch (random) or systems of a batch (balanced)", minimum=1
    )
    nPerSpeaker: int = option(1, "batches", "utterances of each system in a batch (balanced)", minimum=1)
    max_frames: int = option(200, "batches", "training crop: n*160 + 240 samples", minimum=10, maximum=360_000)

    # What the file says, and the folders' files, are part of the train data's digest.
    augment: str = option(
        "false",
        "augmentation",
        "how train crops are changed: a YAML file (docs/augmentation.md), or true for voxceleb_trainer's way",
        truth=True,
        owner="augmentation",
        scope=COMMAND,
        path=True,
    )
    musan_path: str = option(
        "",
        "augmentation",
        "folder with noise/, music/ and speech/ to add to train crops",
        owner="augmentation",
        scope=COMMAND,
        path=True,
    )
    rir_path: str = option(
        "",
        "augmentation",
        "folder of room impulse responses for train crops",
        owner="augmentation",
        scope=COMMAND,
        path=True,
    )

    model: str = option("ThinResNet34", "network", "the encoder, a file of models/")
    nOut: int = option(512, "network", "dimension of the embedding", minimum=1, maximum=65_536)
    trainfunc: str = option("aamsoftmax", "network", "the loss, a file of loss/")
    initial_model: str = option(
        "", "network", "checkpoint whose weights to start from, or to score with --eval", scope=COMMAND, path=True
    )

    max_epoch: int = option(300, "optimisation", "epochs", minimum=1)
    optimizer: str = option("adam", "optimisation", "optimiser", choices=("adam", "adamw", "sgd"))
    scheduler: str = option(
        "warmup_cosine", "optimisation", "learning-rate schedule", choices=("warmup_cosine", "steplr")
    )
    lr: float = option(1e-4, "optimisation", "learning rate (the peak, with warmup_cosine)", above=0)
    warmup_epochs: float = option(10.0, "optimisation", "epochs of linear warm-up (warmup_cosine)", minimum=0)
    lr_decay: float = option(
        0.95, "optimisation", "factor on lr every test_interval epochs (steplr)", above=0, maximum=1
    )
    weight_decay: float = option(0.0, "optimisation", "weight decay", minimum=0)
    compile: bool = option(
        False, "optimisation", "torch.compile the encoder for training: minutes once, for long runs", scope=MACHINE
    )
    cuda_graph: bool = option(
        False, "optimisation", "GPU: record a training step once and replay it, for small models", scope=MACHINE
    )
    ema: float = option(
        0.0, "optimisation", "decay of a moving average of the weights, which is evaluated and kept (0: none)",
        minimum=0, maximum=0.999999,
    )  # fmt: skip
    sync_bn: bool = option(
        False, "optimisation", "torchrun: batch normalisation over the whole batch, not each process's"
    )
    grad_clip: float = option(0.0, "optimisation", "largest norm of the gradient (0: not clipped)", minimum=0)
    skip_not_finite: int = option(
        0, "optimisation", "batches with a loss or gradient that is not finite to skip before stopping", minimum=0,
        scope=RESULTS,
    )  # fmt: skip

    save_interval: float = option(
        10.0, "evaluation", "minutes between saves of last.model: the most that a kill can cost", minimum=0,
        scope=MACHINE,
    )  # fmt: skip
    keep: int = option(
        5, "evaluation", "numbered checkpoints to keep, the newest (best and last always stay)", minimum=0,
        scope=MACHINE,
    )  # fmt: skip
    test_interval: int = option(
        25, "evaluation", "epochs between evaluations; each keeps a numbered checkpoint", minimum=1
    )
    average: int = option(
        0,
        "evaluation",
        "when training ends, score the mean of the last n numbered checkpoints (0: the best)",
        minimum=0,
        scope=RESULTS,
    )
    eval_frames: int = option(
        0, "evaluation", "0: the whole utterance; n: num_eval crops of n frames, averaged", minimum=0,
        maximum=360_000, scope=RESULTS, audio=True,
    )  # fmt: skip
    num_eval: int = option(
        10, "evaluation", "evenly spaced crops of an utterance, with eval_frames", minimum=1, maximum=1000,
        scope=RESULTS, audio=True,
    )  # fmt: skip
    dcf_p_target: list[float] = option(
        [0.05], "evaluation", "minDCF: priors of a target trial", above=0, maximum=0.999999, many=True, scope=RESULTS
    )
    backend: str = option(
        "", "evaluation", "with --eval: score through this back-end, a file of score.py --backend_out", scope=COMMAND,
        by_sweep=True, path=True,
    )  # fmt: skip
    save_embeddings: str = option(
        "",
        "evaluation",
        "with --eval: write embeddings, labels, paths to this .npz file",
        scope=COMMAND,
        by_sweep=True,
        path=True,
    )

    model_options: dict = field(default_factory=dict)
    loss_options: dict = field(default_factory=dict)

    def flat(self) -> dict:
        """Option name to value, plug-ins' options included: what config.yaml holds."""
        values = asdict(self)
        plugins_own = values.pop("model_options") | values.pop("loss_options")
        return values | plugins_own

    def audio(self) -> dict:
        """The options that decide which samples of an utterance are scored."""
        return {o.name: getattr(self, o.name) for o in run_options() if o.audio}


def run_options() -> list[Option]:
    """The fields of `Config` as options."""
    kinds = {list[str]: str, list[float]: float}
    declared = [f for f in fields(Config) if f.metadata]
    defaults = Config()
    return [Option(f.name, kinds.get(f.type, f.type), getattr(defaults, f.name), **f.metadata) for f in declared]
