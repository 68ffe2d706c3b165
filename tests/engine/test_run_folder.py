"""An experiment folder is read as the trainer wrote it, and whatever else lies there is named by file and line."""

import pytest

from engine.run_folder import checkpoint_of, config_lists, read_config, read_metrics, read_results, result_names
from settings.errors import ConfigError
from settings.options import Config

GOOD = {
    "config.yaml": "nOut: 8\ntest_list: [t.csv]\n",
    "result/metrics.jsonl": '{"epoch": 1, "loss": 2.5, "dev_eer": null}\n{"epoch": 2, "dev_eer": 0.25}\n',
    "result/eval_t.json": '{"eer": 0.5, "macro_eer": null, "list": "t.csv"}',
}
READERS = {
    "config.yaml": read_config,
    "result/metrics.jsonl": read_metrics,
    "result/eval_t.json": lambda folder: read_results(folder, "t"),
}
DAMAGED = [
    ("config.yaml", "[1, 2]", "config is 'option: value'"),
    ("config.yaml", "nOut: many", "nOut is 'many', which no run has"),
    ("config.yaml", "test_list: x", "test_list is 'x'"),
    ("config.yaml", "test_list: [{a: b}]", "test_list is"),
    ("config.yaml", "mixedprec: 1", "mixedprec is 1"),
    ("config.yaml", "a: !!python/name:os.system", "line 1"),
    ("result/metrics.jsonl", '{"epoch": 1}\n{"epoch": 2, "loss"', r"metrics\.jsonl line 2"),
    ("result/metrics.jsonl", '{"loss": 1}', "row 1: no epoch in it"),
    ("result/metrics.jsonl", '{"epoch": "1"}', "epoch is '1'"),
    ("result/metrics.jsonl", '{"epoch": 1, "dev_eer": 1.5}', "dev_eer is 1.5"),
    ("result/metrics.jsonl", '{"epoch": 1, "dev_eer": NaN}', "NaN is no finite number"),
    ("result/metrics.jsonl", '{"epoch": 1, "seconds": true}', "seconds is True"),
    ("result/eval_t.json", "[]", "expected an object"),
    ("result/eval_t.json", '{"eer": "low"}', "eer is 'low'"),
    ("result/eval_t.json", '{"eer": [0.1]}', "eer is"),
]


def fill(folder, **changed):
    for name, text in (GOOD | changed).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_what_the_trainer_wrote_is_read(tmp_path):
    fill(tmp_path)
    config = read_config(tmp_path)
    assert (config["nOut"], config["batch_size"], config["test_list"]) == (8, Config().batch_size, ["t.csv"])
    assert [row["epoch"] for row in read_metrics(tmp_path)] == [1, 2]
    assert read_results(tmp_path, "t")["eer"] == 0.5
    assert read_results(tmp_path, "other") == {}
    with pytest.raises(ConfigError, match="neither best.model nor last.model"):
        checkpoint_of(tmp_path)
    (tmp_path / "model").mkdir()
    for name in ("last", "best"):
        (tmp_path / "model" / f"{name}.model").touch()
        assert checkpoint_of(tmp_path).stem == name


@pytest.mark.parametrize(("name", "text", "said"), DAMAGED)
def test_damage_is_named_with_its_file(tmp_path, name, text, said):
    fill(tmp_path, **{name: text})
    with pytest.raises(ConfigError, match=said) as refused:
        READERS[name](tmp_path)
    assert str(tmp_path / name) in str(refused.value)


def test_a_folder_that_holds_no_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no experiment .* no config\.yaml"):
        read_config(tmp_path)
    assert read_metrics(tmp_path) == []


def test_lists_of_one_name_get_names_of_their_own():
    assert result_names(["a/dev.csv", "a/test.csv"]) == {"a/dev.csv": "dev", "a/test.csv": "test"}
    assert list(result_names(["a/test.csv", "b/test.csv"]).values()) == ["a_test", "b_test"]
    assert len(set(result_names(["a/test.csv", "x/a/test.csv"]).values())) == 2
    # one file is one list, however its path is spelled
    assert set(result_names(["a/dev.csv", "./a/dev.csv", "b/../a/dev.csv"]).values()) == {"dev"}


def test_dev_and_test_lists_are_named_together():
    config = Config(dev_list="dev/list.csv", test_list=["test/list.csv"])
    assert config_lists(config) == config_lists(config.flat()) == ["dev/list.csv", "test/list.csv"]
    assert result_names(config_lists(config)) == {"dev/list.csv": "dev_list", "test/list.csv": "test_list"}
