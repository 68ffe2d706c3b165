"""Where a speech model of transformers comes from: a hub id, a local folder, a configuration alone, fairseq's names.

transformers is imported where it is used: it takes seconds, and a list of options needs none of it.
"""

import json
import pickle
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from torch import Tensor

from settings.errors import ConfigError
from settings.text import enumerated, for_terminal

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

FAMILIES = ("wav2vec2", "hubert", "wavlm")
SAMPLE_RATE = 16_000
XLS_R_300M = "facebook/wav2vec2-xls-r-300m"
XLS_R_300M_CONFIG = {  # as its config.json has it, where that differs from Wav2Vec2Config's defaults
    "activation_dropout": 0.0,
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "feat_proj_dropout": 0.1,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "mask_time_prob": 0.075,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
}


def load(path: str, pretrained: bool) -> "PreTrainedModel":
    """The model in float32: with its weights, or with random ones, for which its configuration is enough.

    Random weights never ask the network: the configuration of XLS-R 300M is known here, a folder has its own, and that
    of another hub id must be in the local cache. Raises ConfigError, with what to do, where something is missing.
    """
    import torch
    from transformers import AutoModel

    network = pretrained and not Path(path).is_dir() and hub_answers()
    config = read_config(path, pretrained, network)
    check_preprocessor(path, network)
    if not pretrained:
        return AutoModel.from_config(config, trust_remote_code=False).float()
    try:
        model, report = AutoModel.from_pretrained(  # pickled weights it reads as weights alone, and runs none of them
            path,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            local_files_only=not network,
            trust_remote_code=False,
            weights_only=True,
        )
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise ConfigError(f"--ssl_path {path}: its weights cannot be loaded: {first_line(error)}") from None
    missing = sorted(set(report["missing_keys"]) - {"masked_spec_embed"})  # which only masking needs
    if missing:
        raise ConfigError(
            f"--ssl_path {path}: the weights lack {len(missing)} of the model's tensors "
            f"({enumerated(missing, most=3)}): the download is incomplete, or config.json belongs to another model"
        )
    return model


def hub_answers() -> bool:
    """Whether the models' hub can be reached; a proxy is trusted to. Without asking, retries take half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or getproxies():
        return not constants.HF_HUB_OFFLINE
    hub = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((hub.hostname, hub.port or 443), timeout=3).close()
    except OSError:
        return False
    return True


def read_config(path: str, pretrained: bool, network: bool) -> "PretrainedConfig":
    """The configuration of a hub id or a folder, without layer drop. Raises ConfigError if the model will not do."""
    from transformers import AutoConfig, Wav2Vec2Config

    if path == XLS_R_300M and not pretrained:
        config = Wav2Vec2Config(**XLS_R_300M_CONFIG)
    else:
        check_folder(path)
        try:
            config = AutoConfig.from_pretrained(path, local_files_only=not network, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ConfigError(unreachable(path, pretrained, network, error)) from None
    if config.model_type not in FAMILIES:
        raise ConfigError(
            f"--ssl_path {path}: a model of type {config.model_type}, and this front-end takes {', '.join(FAMILIES)}"
        )
    if getattr(config, "add_adapter", False):
        raise ConfigError(
            f"--ssl_path {path}: the model ends in an adapter, which changes the frame rate: not supported"
        )
    config.layerdrop = 0.0
    config.mask_feature_prob = 0.0
    return config


def check_folder(path: str) -> None:
    """ConfigError where `path` can only mean a folder and that folder is no model, before a hub is asked for it."""
    folder = Path(path)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ConfigError(f"--ssl_path {path}: the folder has no config.json, so it is no model of transformers")
    if not folder.is_dir() and (path.startswith((".", "/", "~")) or path.count("/") > 1):
        raise ConfigError(f"--ssl_path {path}: no such folder")


def unreachable(path: str, pretrained: bool, network: bool, error: Exception) -> str:
    """What to tell a user whose model is not here, and how to bring it."""
    if Path(path).is_dir():
        return f"--ssl_path {path}: its config.json cannot be read: {first_line(error)}"
    why = "the models' hub cannot be reached" if pretrained else "random asks no network"
    reason = first_line(error) if network else f"it is not in the local cache, and {why}"
    what = path if pretrained else f"{path} config.json"
    return (
        f"--ssl_path {path}: {reason}. Where there is a network, run: hf download {what} --local-dir ssl_model; "
        "bring the folder here and pass --ssl_path ssl_model"
    )


def check_preprocessor(path: str, network: bool) -> None:
    """ConfigError where preprocessor_config.json names a sampling rate other than 16 kHz. It may be missing."""
    from transformers.utils import cached_file

    file = cached_file(
        path,
        "preprocessor_config.json",
        local_files_only=not network,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    rate = json.loads(Path(file).read_text(encoding="utf-8")).get("sampling_rate", SAMPLE_RATE) if file else SAMPLE_RATE
    if rate != SAMPLE_RATE:
        raise ConfigError(
            f"--ssl_path {path}: its preprocessor_config.json says {rate} Hz, and this trainer feeds {SAMPLE_RATE} Hz: "
            "choose a model for 16 kHz"
        )


def first_line(error: Exception) -> str:
    return for_terminal(str(error).strip().split("\n")[0].rstrip(".")[:300])


# fairseq's name to that of transformers, in order of trial. The numbers are places in fairseq's nn.Sequential.
RENAMES = [
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"encoder\.pos_conv\.0\.weight_g", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"encoder\.layers\.(\d+)\.self_attn\.", r"encoder.layers.\1.attention."),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"encoder.layers.\1.layer_norm."),
    (r"encoder\.layers\.(\d+)\.fc1\.", r"encoder.layers.\1.feed_forward.intermediate_dense."),
    (r"encoder\.layers\.(\d+)\.fc2\.", r"encoder.layers.\1.feed_forward.output_dense."),
    (r"mask_emb$", "masked_spec_embed"),
]
PRETRAINING_ONLY = re.compile(r"(quantizer|project_q|final_proj|target_glu|label_embs_concat)\b")


def from_fairseq(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state of fairseq's wav2vec 2.0 or HuBERT under the names of transformers, without the pre-training heads.

    Names that fairseq does not have stay as they are, so that the caller's strict loading names them.
    """
    return {renamed(name): tensor for name, tensor in state.items() if not PRETRAINING_ONLY.match(name)}


def renamed(name: str) -> str:
    for pattern, replacement in RENAMES:
        new, found = re.subn(f"^{pattern}", replacement, name)
        if found:
            return new
    return name
