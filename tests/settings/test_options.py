"""What is declared of options: whose they are, what depends on them, and where those went that there are no more."""

import pytest

from settings.differences import differences
from settings.errors import ConfigError
from settings.options import Config, run_options
from settings.resolve import dump, from_values, recorded_values, resolve
from settings.retired import RETIRED
from settings.schema import COMMAND, LEARNING, MACHINE, RESULTS, SCOPES

TRAIN = {"train_list": "train.csv"}
OLD = {name: gone.default for name, gone in RETIRED.items()}  # what every run recorded when these were options
SCOPE = {o.name: o.scope for o in run_options()}


def of(scope: str) -> set[str]:
    return {name for name, found in SCOPE.items() if found == scope}


def fixed(before: dict, config: Config) -> list[str]:
    """What keeps a run from being resumed."""
    return differences(before, config, lambda o: not o.may_change, "in the checkpoint")


def test_options_that_every_run_has_stay_few():
    assert len([o for o in run_options() if o.owner == "run"]) <= 49
    assert not SCOPE.keys() & RETIRED.keys() and set(SCOPE.values()) == set(SCOPES)


def test_what_is_learned_depends_on_these_and_no_other():
    assert of(LEARNING) == {
        *("seed", "mixedprec", "sampler", "batch_size", "nPerSpeaker", "max_frames", "model", "nOut", "trainfunc"),
        *("max_epoch", "optimizer", "scheduler", "lr", "warmup_epochs", "lr_decay", "weight_decay", "sync_bn"),
        *("grad_clip", "test_interval", "ema"),
    }


def test_where_and_how_fast_a_run_computes_is_a_machines_matter():
    assert of(MACHINE) == {
        *("save_path", "restart", "device", "deterministic", "nDataLoaderThread", "audio_memory", "cache"),
        *("data_on_device", "compile", "cuda_graph", "save_interval", "keep"),
    }
    augmentation = {o.name for o in run_options() if o.owner == "augmentation"}  # its digest is the data's
    assert of(COMMAND) == augmentation | {"eval", "initial_model", "allow_outside", "save_embeddings", "backend"}


def test_what_scoring_reads_is_recorded_with_results():
    config = from_values(TRAIN | {"eval_frames": 300, "num_eval": 4})
    assert config.audio() == {"eval_frames": 300, "num_eval": 4}
    assert {"eval_frames", "num_eval", "dev_list", "dcf_p_target", "train_path"} <= of(RESULTS)


def test_a_resumed_run_may_change_what_nothing_learned_depends_on():
    before = from_values(TRAIN).flat()
    free = TRAIN | {"eval_frames": 200, "num_eval": 3, "keep": 9, "dev_list": "d", "cache": "c", "compile": True}
    assert fixed(before, from_values(free)) == []
    changed = from_values(TRAIN | {"lr": 0.1, "margin": 0.3})
    assert fixed(before, changed) == ["lr: 0.0001 in the checkpoint, 0.1 now", "margin: 0.2 in the checkpoint, 0.3 now"]


def test_an_option_newer_than_the_checkpoint_had_its_default():
    before = from_values(TRAIN).flat()
    for name in ("scale", "sync_bn"):
        del before[name]
    assert fixed(before, from_values(TRAIN)) == []
    assert fixed(before, from_values(TRAIN | {"scale": 15.0})) == ["scale: 30.0 in the checkpoint, 15.0 now"]


def test_an_old_run_resumes_unless_a_retired_option_changed_what_it_learned():
    before = from_values(TRAIN).flat() | OLD
    assert fixed(before, from_values(TRAIN)) == []
    assert fixed(before | {"cohort": "c.csv", "nClasses": 24, "dedup": True}, from_values(TRAIN)) == []
    (line,) = fixed(before | {"lowpass": 4000.0}, from_values(TRAIN))
    assert line.startswith("lowpass: 4000.0 in the checkpoint; moved to the cache: ")


def test_an_old_configuration_file_is_read_where_it_asks_for_nothing_that_is_gone(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(dump(from_values(TRAIN)) + "".join(f"{k}: {str(v).lower() or repr(v)}\n" for k, v in OLD.items()))
    assert resolve(["--config", str(path)]) == from_values(TRAIN)


@pytest.mark.parametrize("name", sorted(RETIRED.keys() - {"crop_cycle"}))
def test_who_asks_for_a_retired_option_reads_where_it_went(name, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(f"{name}: 7\n")
    for argv in (["--config", str(path)], [f"--{name}", str(RETIRED[name].default)]):
        with pytest.raises(ConfigError) as caught:
            resolve([*argv, "--train_list", "t.csv"])
        assert str(caught.value).endswith(f"{name}: {RETIRED[name].now}")


def test_crop_cycle_is_an_option_of_the_model_that_needs_it():
    values = TRAIN | {"model": "Wav2Vec2AASIST", "crop_cycle": 5}
    assert from_values(values).model_options["crop_cycle"] == 5
    assert fixed(from_values(values).flat() | {"dedup": False}, from_values(values)) == []
    with pytest.raises(ConfigError, match="belongs to models/Wav2Vec2AASIST"):
        from_values(TRAIN | {"crop_cycle": 5})
    assert from_values(TRAIN | {"crop_cycle": 0}) == from_values(TRAIN)


def test_eval_takes_from_an_old_checkpoint_what_there_is_and_says_what_there_is_not(caplog):
    recorded = from_values(TRAIN | {"nOut": 7, "keep": 3}).flat() | OLD | {"lowpass": 4000.0, "cohort": "c"}
    argv = ["--eval", "--initial_model", "m", "--test_list", "l"]
    config = resolve(argv, recorded=lambda path: recorded)  # noqa: ARG005
    assert (config.nOut, config.keep) == (7, Config().keep)
    assert [r.getMessage() for r in caplog.records] == [f"the checkpoint's config: cohort 'c': {RETIRED['cohort'].now}"]


def test_eval_takes_no_machines_matter_from_a_checkpoint():
    taken = recorded_values(from_values(TRAIN).flat())
    assert taken.keys() == from_values(TRAIN).flat().keys() - of(MACHINE) - of(COMMAND)
