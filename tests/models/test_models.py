"""Every file in models/ keeps the contract: options, shapes, gradients, padded batches, and the hooks it may have."""

import inspect

import pytest
import torch

from settings import plugins
from tests.conftest import command
from trainSpeakerNet import main

NAMES = plugins.names("models")
D = 7
SMALL = {  # options that make a large model small enough for a test, in each form to be tested
    "Wav2Vec2AASIST": {
        "pretrained": lambda folder: {"ssl_path": folder()},
        "random": lambda folder: {"ssl_path": folder(), "ssl_init": "random"},
    },
    "SSLPooling": {
        "linear": lambda folder: {"ssl_path": folder(), "ssl_layers": "1-2"},
        "hidden": lambda folder: {"ssl_path": folder("wavlm", "like_base"), "ssl_layers": "2", "hidden": 5},
    },
}
FORMS = {"": lambda _: {}}
CASES = {f"{name} {form}".strip(): (name, make) for name in NAMES for form, make in SMALL.get(name, FORMS).items()}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request, folder):
    """Each model's name and the options that make it small."""
    name, make = request.param
    return name, make(folder)


@pytest.fixture
def build(case):
    """build(): the encoder with D dimensions, the same at every call; with `follow`, as where a checkpoint fills it."""
    name, options = case

    def encoder(follow=False):
        torch.manual_seed(1)
        entry = plugins.load("models", name)
        return entry(nOut=D, **options | (getattr(entry, "weights_follow", {}) if follow else {}))

    return encoder


def noise(*shape):
    return 0.1 * torch.randn(*shape)


@pytest.mark.parametrize("name", NAMES)
def test_options_are_keyword_only_typed_and_explained(name):
    entry = plugins.load("models", name)
    assert all(o.help for o in plugins.declared("models", name).options)
    own = [p for p in inspect.signature(entry).parameters.values() if p.name != "nOut"]
    assert all(p.kind is p.KEYWORD_ONLY for p in own)


@pytest.mark.parametrize("samples", [1_600, 32_240, 50_001])
def test_waveforms_of_any_length_become_embeddings(build, samples):
    encoder, x = build().eval(), noise(2, samples)
    with torch.inference_mode():
        embeddings = encoder(x)
        alone = torch.cat([encoder(x[:1]), encoder(x[1:])])
    assert embeddings.shape == (2, D) and embeddings.dtype == torch.float32 and embeddings.isfinite().all()
    torch.testing.assert_close(embeddings, alone, rtol=0, atol=1e-5)


def test_a_padded_batch_gives_what_one_at_a_time_gives(build):
    encoder, lengths = build().eval(), torch.tensor([16_000, 9_000, 1_600, 9_100])
    if "lengths" not in inspect.signature(encoder.forward).parameters:
        pytest.skip("takes utterances of one length at a time")
    batch = noise(4, 16_000) * (torch.arange(16_000) < lengths[:, None])
    with torch.inference_mode():
        alone = torch.cat([encoder(batch[i : i + 1, :n]) for i, n in enumerate(lengths)])
        torch.testing.assert_close(encoder(batch, lengths=lengths), alone, rtol=0, atol=1e-5)


def test_every_parameter_learns_and_silence_gives_finite_embeddings(build):
    encoder = build().train()
    encoder(noise(3, 16_000)).square().sum().backward()
    learns = [p for p in encoder.parameters() if p.requires_grad]
    assert learns and all(p.grad is not None and p.grad.isfinite().all() for p in learns)
    assert encoder.eval()(torch.zeros(1, 16_000)).isfinite().all()


def test_mixed_precision_is_close_to_full(build):
    encoder, x = build().eval(), noise(2, 32_240)
    with torch.inference_mode():
        full = encoder(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = encoder(x).float()
    assert torch.cosine_similarity(full, half).min() > 0.99


def test_a_state_carries_all_that_an_embedding_depends_on(build):
    """Also through `convert_state_dict`, which leaves a state of our own alone, and into a `weights_follow` build."""
    trained, x = build().train(), noise(2, 16_000)
    trained(noise(4, 16_000))  # batch statistics of its own
    with torch.no_grad():
        for p in trained.parameters():
            p.add_(0.01 * torch.randn_like(p))
    trained, restored = trained.eval(), build(follow=True).eval()
    assert not torch.allclose(restored(x), trained(x))
    state = getattr(restored, "convert_state_dict", dict)(trained.state_dict())
    restored.load_state_dict(state, strict=True)
    assert torch.equal(restored(x), trained(x))


def test_the_optimiser_gets_every_parameter_that_learns_once(build):
    encoder = build()
    if not hasattr(encoder, "parameter_groups"):
        pytest.skip("leaves its parameters to the trainer, all in one group")
    listed = [id(p) for group in encoder.parameter_groups() for p in group["params"]]
    assert len(listed) == len(set(listed)) and set(listed) == {id(p) for p in encoder.parameters() if p.requires_grad}


def test_a_run_trains_it_and_scores_it(case, options, capsys):
    """From the command line, and then from the checkpoint alone."""
    name, own = case
    assert main(command(options | own, "--model", name)) == 0
    assert "dev EER" in (text := capsys.readouterr().out) and "nan" not in text
    best = options["save_path"] / "model/best.model"
    assert main(["--eval", "--initial_model", str(best), "--test_list", str(options["dev_list"])]) == 0
    assert "EER" in capsys.readouterr().out
