"""Settings: where a value comes from, and what a wrong one says."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from store.errors import SettingsError
from store.settings import load


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "gaugebook.toml"
    monkeypatch.chdir(tmp_path)
    return path


def test_each_source_wins_over_the_one_before(config, monkeypatch):
    assert load().rabbitmq_interval_s == 15
    config.write_text("rabbitmq_interval_s = 20")
    assert load().rabbitmq_interval_s == 20
    monkeypatch.setenv("GAUGEBOOK_RABBITMQ_INTERVAL_S", "30")
    assert load().rabbitmq_interval_s == 30
    assert load(rabbitmq_interval_s=40).rabbitmq_interval_s == 40


def test_settings_never_change():
    with pytest.raises(ValueError, match="frozen"):
        load().team = "search"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rabbitmq_intervall_s = 5", r"'rabbitmq_intervall_s' \(gaugebook.toml\).*did you mean 'rabbitmq_interval_s'"),
        ("rabbitmq_interval_s = 'often'", r"'rabbitmq_interval_s' \(gaugebook.toml\): .*number"),
        ("rabbitmq_interval_s = -1", r"'rabbitmq_interval_s' \(gaugebook.toml\): .*greater than 0"),
        ("this is no toml", r"'config' \(gaugebook.toml\): is not TOML"),
        ("[team]\nname = 'a'", r"'team' \(gaugebook.toml\): .*string"),
    ],
)
def test_a_wrong_line_in_the_file_names_itself(config, text, says):
    config.write_text(text)
    with pytest.raises(SettingsError, match=says):
        load()


def test_a_wrong_variable_names_itself(monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSNN", "postgresql://x")
    with pytest.raises(SettingsError, match=r"'dsnn' \(GAUGEBOOK_DSNN\).*did you mean 'dsn'"):
        load()


def test_a_wrong_value_of_a_variable_names_the_variable(monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_METRICS_PORT", "99999")
    with pytest.raises(SettingsError, match=r"'metrics_port' \(GAUGEBOOK_METRICS_PORT\)"):
        load()


def test_a_named_file_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("GAUGEBOOK_CONFIG", str(tmp_path / "no.toml"))
    with pytest.raises(SettingsError, match=r"no\.toml"):
        load()


def test_the_password_does_not_print():
    settings = load(dsn="postgresql://me:geheim@db/x")
    assert "geheim" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_root_keeps_its_data_where_the_server_can_reach_it(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert load().home == Path("/var/lib/gaugebook")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert load().home == Path("/data/gaugebook")


def test_errors_pickle(config):
    config.write_text("nonsense = 1")
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_list_of_names_has_commas_between_them(monkeypatch, tmp_path):
    monkeypatch.setenv("GAUGEBOOK_SOURCE_PRECEDENCE", "otlp, tap")
    assert load().source_precedence == ("otlp", "tap")
    monkeypatch.delenv("GAUGEBOOK_SOURCE_PRECEDENCE")
    (tmp_path / "gaugebook.toml").write_text('source_precedence = ["litellm", "tap"]')
    monkeypatch.setenv("GAUGEBOOK_CONFIG", str(tmp_path / "gaugebook.toml"))
    assert load().source_precedence == ("litellm", "tap")
