"""Every run-wide option once: name, type, default, bounds, help. A model's and a loss's own are in their signatures."""

from dataclasses import asdict, dataclass, field

# What may change when a run is resumed: nothing of it changes what is learned.
FREE_TO_CHANGE = frozenset(
    [
        "save_path",
        "restart",
        "device",
        "deterministic",
        "nDataLoaderThread",
        "audio_memory",
        "cache",
        "data_on_device",
        "save_interval",
        "keep",
        "average",
        "train_path",
        "dev_list",
        "dev_path",
        "test_list",
        "test_path",
        "save_embeddings",
        "initial_model",
        "eval",
        "dcf_p_target",
        "dcf_c_miss",
        "dcf_c_fa",
        "allow_outside",
        "skip_not_finite",
        "augment",  # what the file says, and the folders' files, are compared by their digest
        "musan_path",
        "rir_path",
        "dedup",
        "score_norm",
        "cohort",
        "cohort_top",
        "trial_list",
        "scores_out",
    ]
)

LARGEST = 2**32 - 1  # of whole numbers: what every random generator takes for a seed

# What --eval does not take from a checkpoint: where and with what it was trained is nobody else's business.
HERE_AND_NOW = frozenset(
    [
        "eval",
        "save_path",
        "initial_model",
        "device",
        "deterministic",
        "restart",
        "nDataLoaderThread",
        "audio_memory",
        "cache",
        "save_embeddings",
        "trial_list",
        "scores_out",
        "allow_outside",
        "augment",
        "musan_path",
        "rir_path",
    ]
)


def option(default: object, group: str, help: str, **bounds: object) -> object:
    """A field of `Config` with what the command line and YAML need to know of it (see `plugins.Option`)."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"group": group, "help": help, **bounds})
    return field(default=default, metadata={"group": group, "help": help, **bounds})


@dataclass
class Config:
    """A run's configuration. `model_options` and `loss_options` hold the chosen plug-ins' own keyword parameters."""

    eval: bool = option(False, "run", "score --initial_model on --test_list and train nothing")
    save_path: str = option("exps/exp1", "run", "the experiment's folder: configuration, checkpoints, logs, results")
    restart: bool = option(False, "run", "begin anew where save_path holds a run; its checkpoints are removed")
    seed: int = option(10, "run", "seed of weights, batches and crops", minimum=0)
    device: str = option("auto", "run", "where to compute", choices=("auto", "cpu", "cuda", "mps"))
    deterministic: bool = option(False, "run", "GPU: the same bits every time, slower (the CPU gives them anyway)")
    mixedprec: bool = option(
        False, "run", "mixed precision: bfloat16 where the device has it, else float16 with scaling"
    )

    train_list: str = option("", "data", "train list: CSV with path,model_name, or lines of 'label path'")
    dev_list: str = option("", "data", "development list, scored every test_interval epochs; chooses best.model")
    test_list: list[str] = option([], "data", "test lists, scored once when training ends or with --eval", many=True)
    train_path: str = option("data", "data", "folder that the paths of the train list start from")
    dev_path: str = option("", "data", "the same for the dev list (empty: train_path)")
    test_path: str = option("", "data", "the same for the test lists (empty: train_path)")
    nClasses: int = option(
        0, "data", "number of train systems (0: as the train list has; else it must agree)", minimum=0
    )
    nDataLoaderThread: int = option(2, "data", "threads that read audio", minimum=1, maximum=1024)
    audio_memory: float = option(
        2.0, "data", "GB of decoded audio to keep in memory, so that it is read once", minimum=0, maximum=1e6
    )

    cache: str = option(
        "", "data", "folder of caches made by dataprep.py cache: audio decoded once, read at memory's speed"
    )
    data_on_device: str = option(
        "auto", "data", "keep the train audio in the GPU's memory (auto: where it fits)", choices=("auto", "yes", "no")
    )
    skip_bad_audio: bool = option(False, "data", "go on without files that cannot be used, and record which")
    allow_outside: bool = option(False, "data", "allow lists whose paths are absolute or leave their folder")
    lowpass: float = option(0.0, "data", "experiment: remove everything above so many Hz (0: nothing)", minimum=0)
    trim_silence: bool = option(False, "data", "experiment: cut silence at both ends")
    loudness_norm: bool = option(False, "data", "experiment: bring every file to one loudness")

    sampler: str = option(
        "random", "batches", "utterances at random, or systems evenly", choices=("random", "balanced")
    )
    batch_size: int = option(
        128, "batches", "utterances of a batch (random) or systems of a batch (balanced)", minimum=1
    )
    nPerSpeaker: int = option(1, "batches", "utterances of each system in a batch (balanced)", minimum=1)
    max_frames: int = option(200, "batches", "training crop: n*160 + 240 samples", minimum=10, maximum=360_000)

    crop_cycle: int = option(
        0, "batches", "epochs after which the same crops come again, for --ssl_cache (0: never)", minimum=0
    )

    augment: str = option(
        "false",
        "augmentation",
        "how train crops are changed: a YAML file (docs/augmentation.md), or true for voxceleb_trainer's way",
        truth=True,
    )
    musan_path: str = option("", "augmentation", "folder with noise/, music/ and speech/ to add to train crops")
    rir_path: str = option("", "augmentation", "folder of room impulse responses for train crops")

    model: str = option("ThinResNet34", "network", "the encoder, a file of models/")
    nOut: int = option(512, "network", "dimension of the embedding", minimum=1, maximum=65_536)
    trainfunc: str = option("aamsoftmax", "network", "the loss, a file of loss/")
    initial_model: str = option("", "network", "checkpoint whose weights to start from, or to score with --eval")

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
    compile: bool = option(False, "optimisation", "torch.compile the encoder for training: minutes once, for long runs")
    ema: float = option(
        0.0, "optimisation", "decay of a moving average of the weights, which is evaluated and kept (0: none)",
        minimum=0, maximum=0.999999,
    )  # fmt: skip
    sync_bn: bool = option(
        False, "optimisation", "torchrun: batch normalisation over the whole batch, not each process's"
    )
    grad_clip: float = option(0.0, "optimisation", "largest norm of the gradient (0: not clipped)", minimum=0)

    save_interval: float = option(
        10.0, "evaluation", "minutes between saves of last.model: the most that a kill can cost", minimum=0
    )
    keep: int = option(
        5, "evaluation", "numbered checkpoints to keep, the newest (best and last always stay)", minimum=0
    )
    skip_not_finite: int = option(
        0, "optimisation", "batches with a loss or gradient that is not finite to leave out before stopping", minimum=0
    )
    test_interval: int = option(
        25, "evaluation", "epochs between evaluations; each keeps a numbered checkpoint", minimum=1
    )
    average: int = option(
        0,
        "evaluation",
        "when training ends, score the mean of the last n numbered checkpoints (0: the best)",
        minimum=0,
    )
    eval_frames: int = option(
        0, "evaluation", "0: the whole utterance; n: num_eval crops of n frames, averaged", minimum=0, maximum=360_000
    )
    num_eval: int = option(
        10, "evaluation", "evenly spaced crops of an utterance, with eval_frames", minimum=1, maximum=1000
    )
    dcf_p_target: list[float] = option(
        [0.05], "evaluation", "minDCF: priors of a target trial", above=0, maximum=0.999999, many=True
    )
    dcf_c_miss: float = option(1.0, "evaluation", "minDCF: cost of a miss", above=0)
    dcf_c_fa: float = option(1.0, "evaluation", "minDCF: cost of a false acceptance", above=0)
    dedup: bool = option(False, "evaluation", "drop utterances whose path the list has had before (default: keep them)")
    score_norm: str = option("none", "evaluation", "score normalisation: adaptive s-norm", choices=("none", "asnorm"))
    cohort: str = option("", "evaluation", "list whose utterances normalise the scores (asnorm)")
    cohort_top: int = option(300, "evaluation", "how many of the cohort, the most alike (asnorm)", minimum=2)
    trial_list: str = option(
        "", "evaluation", "with --eval: score these trials too, lines of 'label path path' or two paths"
    )
    scores_out: str = option("", "evaluation", "with --trial_list: write its scores to this .npz or .txt file")
    save_embeddings: str = option("", "evaluation", "with --eval: write embeddings, labels, paths to this .npz file")

    model_options: dict = field(default_factory=dict)
    loss_options: dict = field(default_factory=dict)

    def flat(self) -> dict:
        """Option name to value, plug-ins' options included: what config.yaml holds."""
        values = asdict(self)
        plugins_own = values.pop("model_options") | values.pop("loss_options")
        return values | plugins_own
