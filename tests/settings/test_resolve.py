"""Options: where they come from, who wins, and what is said when they are wrong."""

import pytest

from settings.errors import ConfigError
from settings.resolve import dump, from_values, resolve, run_options

TRAIN = ["--train_list", "train.csv"]


def write(tmp_path, text, name="c.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def mistake(*argv):
    with pytest.raises(ConfigError) as caught:
        resolve(list(argv))
    return str(caught.value)


def test_command_line_wins_over_yaml_and_yaml_over_the_default(tmp_path):
    path = write(tmp_path, "lr: 1e-4\nbatch_size: 7\nmargin: 0.3\n")
    config = resolve(["--config", path, *TRAIN, "--batch_size", "9"])
    assert (config.lr, config.batch_size, config.max_frames) == (1e-4, 9, 200)
    assert config.loss_options["margin"] == 0.3


def test_an_unknown_yaml_key_is_named_with_file_line_and_the_nearest_known_one(tmp_path):
    path = write(tmp_path, "lr: 0.1\nmargn: 0.2\n")
    assert mistake("--config", path, *TRAIN) == f"{path} line 2: margn: no such option (did you mean margin?)"


def test_an_unknown_flag_is_named_with_the_nearest_known_one():
    assert "--batchsize: no such option (did you mean batch_size?)" in mistake(*TRAIN, "--batchsize", "3")
    assert "--batch: no such option" in mistake(*TRAIN, "--batch=3")  # no abbreviations


def test_an_option_of_another_loss_says_whose_it_is():
    found = mistake(*TRAIN, "--trainfunc", "softmax", "--margin", "0.1")
    assert "belongs to loss/aamsoftmax, " in found and "loss/softmax" not in found


def test_options_of_a_loss_that_the_command_line_replaces_are_left_out(tmp_path):
    path = write(tmp_path, "trainfunc: aamsoftmax\nmargin: 0.2\n")
    assert resolve(["--config", path, *TRAIN, "--trainfunc", "softmax"]).loss_options == {}
    kept = resolve(["--config", path, *TRAIN, "--trainfunc", "amsoftmax"]).loss_options
    assert kept == {"margin": 0.2, "scale": 30.0, "margin_from": 0.0, "margin_epochs": 0}


def test_all_mistakes_are_told_at_once(tmp_path):
    path = write(tmp_path, "lr: fast\nseed: 1.5\nmixedprec: 'False'\nsampler: balancd\n")
    said = mistake("--config", path, *TRAIN, "--nOut", "0", "--foo", "1").splitlines()
    assert len(said) == 6
    assert f"{path} line 4: sampler: 'balancd' is none of random, balanced (did you mean balanced?)" in said


@pytest.mark.parametrize(
    "line",
    [
        "nOut: '50'",
        "nOut: true",
        "nOut: 5.0",
        "nOut: -1",
        "lr: .nan",
        "lr: 0",
        "mixedprec: 1",
        "save_path: 5",
        "lr: [1]",
    ],
)
def test_types_are_checked_not_cast_and_ranges_kept(tmp_path, line):
    assert "line 1: " in mistake("--config", write(tmp_path, line), *TRAIN)


@pytest.mark.parametrize(
    "text", ["- a\n", "a: {b: 1}\n", "lr: 0.1\nlr: 0.2\n", "lr: [\n", "\tlr: 1\n", "[" * 5000, "1\n"]
)
def test_a_file_that_is_no_flat_yaml_is_one_error_that_names_it(tmp_path, text):
    path = write(tmp_path, text)
    assert path in mistake("--config", path, *TRAIN)


def test_aliases_cannot_explode(tmp_path):
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
    )
    assert "line 2" in mistake("--config", write(tmp_path, bomb), *TRAIN)


def test_a_config_that_is_missing_or_not_text_is_named(tmp_path):
    assert "nowhere.yaml: No such file" in mistake("--config", "nowhere.yaml")
    path = tmp_path / "b.yaml"
    path.write_bytes(b"lr: \xff")
    assert "not UTF-8" in mistake("--config", str(path))


def test_the_resolved_config_is_itself_a_valid_config(tmp_path):
    config = resolve(
        [*TRAIN, "--model", "ThinResNet34", "--encoder_type", "ASP", "--scale", "15", "--test_list", "a", "b"]
    )
    assert resolve(["--config", write(tmp_path, dump(config))]) == config
    assert from_values(config.flat()) == config


@pytest.mark.parametrize("loss", ["ge2e", "angleproto"])
def test_metric_losses_need_groups(loss):
    assert "needs --sampler balanced" in mistake(*TRAIN, "--trainfunc", loss, "--nPerSpeaker", "4")
    assert "needs --nPerSpeaker 2" in mistake(*TRAIN, "--trainfunc", loss, "--sampler", "balanced")


def test_eval_needs_a_model_and_a_list():
    said = mistake("--eval")
    assert "--initial_model" in said and "--test_list" in said


def test_training_needs_a_list_and_epochs_beyond_the_warm_up():
    assert "--train_list" in mistake()
    assert "--warmup_epochs 10" in mistake(*TRAIN, "--max_epoch", "10", "--warmup_epochs", "10")


def test_an_unknown_model_is_named_with_those_there_are():
    assert "did you mean ThinResNet34?" in mistake(*TRAIN, "--model", "thinresnet")


def test_eval_takes_from_the_checkpoint_how_it_was_trained_but_not_where():
    recorded = from_values(
        {"train_list": "t", "nOut": 7, "save_path": "there", "encoder_type": "ASP", "eval_frames": 300}
    )
    argv = ["--eval", "--initial_model", "m", "--test_list", "l", "--eval_frames", "0"]
    config = resolve(argv, recorded=lambda path: recorded.flat())  # noqa: ARG005
    assert (config.nOut, config.save_path, config.eval_frames) == (7, ".", 0)
    assert config.model_options["encoder_type"] == "ASP"


def test_help_shows_every_option_in_groups_with_those_of_the_chosen_plugins(capsys):
    with pytest.raises(SystemExit) as exit_status:
        resolve(["--help", "--model", "ThinResNet34", "--trainfunc", "ge2e"])
    shown = capsys.readouterr().out
    assert exit_status.value.code == 0
    assert all(f"--{o.name} " in shown for o in run_options())
    assert "model ThinResNet34" in shown and "--encoder_type SAP|ASP" in shown and "--init_w" in shown
    assert "Pooling over time" in shown


def test_every_option_has_a_help_text():
    assert all(len(o.help) > 5 for o in run_options())
