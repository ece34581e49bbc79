"""Settings: a flag beats a variable, a variable beats a default, and what cannot be is refused with the remedy."""

from pathlib import Path

import pytest

from gateway.errors import ConfigError, UsageError
from gateway.loopback import is_loopback
from gateway.settings import Settings, check_address, default_policy, load_settings


def test_defaults() -> None:
    settings = load_settings({})
    assert settings == Settings(policy=default_policy())
    assert settings.url == "http://127.0.0.1:8080"
    assert settings.ledger == Path(".turnout/ledger.db")


def test_variables_beat_defaults() -> None:
    env = {"TURNOUT_POLICY": "p.yaml", "TURNOUT_HOST": "::1", "TURNOUT_PORT": "9000", "TURNOUT_DATA_DIR": "/d"}
    settings = load_settings({**env, "TURNOUT_CACHE_MB": "0.5"})
    assert (settings.policy, settings.host, settings.port) == (Path("p.yaml"), "::1", 9000)
    assert (settings.data_dir, settings.ledger) == (Path("/d"), Path("/d/ledger.db"))
    assert settings.cache_bytes_max == 512 * 1024


def test_flags_beat_variables() -> None:
    env = {"TURNOUT_POLICY": "p.yaml", "TURNOUT_HOST": "::1", "TURNOUT_PORT": "9000"}
    settings = load_settings(env, policy="q.yaml", host="localhost", port=7000)
    assert (settings.policy, settings.host, settings.port) == (Path("q.yaml"), "localhost", 7000)


@pytest.mark.parametrize("name", ["TURNOUT_POLICY", "TURNOUT_HOST", "TURNOUT_PORT", "TURNOUT_DATA_DIR", "TURNOUT_LEDGER_URL"])
def test_empty_variable_counts_as_none(name: str) -> None:
    assert load_settings({name: ""}) == load_settings({})


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80.5"])
def test_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ConfigError, match=rf"port '{port}' is not a number from 1 to 65535; set --port or TURNOUT_PORT"):
        load_settings({"TURNOUT_PORT": port})


def test_port_flag_of_zero_is_refused_and_not_taken_for_unset() -> None:
    with pytest.raises(ConfigError, match="port 0 is not"):
        load_settings({}, port=0)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "many"])
@pytest.mark.parametrize("name", ["TURNOUT_MAX_BODY_MB", "TURNOUT_CACHE_MB"])
def test_size_that_is_none_is_refused(name: str, size: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is '{size}'; give a number of megabytes, such as"):
        load_settings({name: size})


@pytest.mark.parametrize("count", ["0", "-1", "257", "many", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(count: str) -> None:
    with pytest.raises(UsageError, match=f"workers '{count}' is not a number from 1 to 256; set --workers or TURNOUT_WORKERS"):
        load_settings({"TURNOUT_WORKERS": count})


def test_workers_are_those_of_the_flag_before_those_of_the_variable() -> None:
    assert load_settings({}).workers == 1
    assert load_settings({"TURNOUT_WORKERS": "4"}).workers == 4
    assert load_settings({"TURNOUT_WORKERS": "4"}, workers=2).workers == 2


@pytest.mark.parametrize("grace", ["-1", "3601", "nan", "inf", "soon"])
def test_a_grace_time_that_is_none_is_refused(grace: str) -> None:
    with pytest.raises(ConfigError, match=f"TURNOUT_GRACE_S is '{grace}'; give a number of seconds from 0 to 3600, such as 30"):
        load_settings({"TURNOUT_GRACE_S": grace})


def test_the_grace_time_may_be_none_at_all() -> None:
    assert load_settings({}).grace_s == 30
    assert load_settings({"TURNOUT_GRACE_S": "0"}).grace_s == 0
    assert load_settings({"TURNOUT_GRACE_S": "2.5"}).grace_s == 2.5


@pytest.mark.parametrize(
    ("url", "path"), [("sqlite:///rel/l.db", "rel/l.db"), ("sqlite:////abs/l.db", "/abs/l.db"), ("", ".turnout/ledger.db")]
)
def test_ledger_has_an_address(url: str, path: str) -> None:
    assert load_settings({"TURNOUT_LEDGER_URL": url}).ledger == Path(path)


@pytest.mark.parametrize("url", ["postgresql://u:secret@h/db", "postgres://h/db"])
def test_a_shared_ledger_has_an_address_that_is_not_shown(url: str) -> None:
    settings = load_settings({"TURNOUT_LEDGER_URL": url})
    assert settings.ledger_url == url
    assert "secret" not in repr(settings)
    assert load_settings({"TURNOUT_LEDGER_URL": "sqlite:///l.db"}).ledger_url is None


@pytest.mark.parametrize(("text", "seconds"), [("400d", 400 * 86_400.0), ("", None), ("24h", 86_400.0)])
def test_the_ledger_is_kept_as_long_as_is_said(text: str, seconds: float | None) -> None:
    assert load_settings({"TURNOUT_LEDGER_RETENTION": text}).retention_s == seconds


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"TURNOUT_LEDGER_URL": "sqlite:///"}, "is not a ledger's address"),
        ({"TURNOUT_LEDGER_URL": "/tmp/l.db"}, "is not a ledger's address"),
        ({"TURNOUT_LEDGER_URL": "mysql://u:secret@h/d"}, "begins with 'mysql'"),
        ({"TURNOUT_LEDGER_RETENTION": "1h"}, "give at least 1d"),
        ({"TURNOUT_LEDGER_RETENTION": "a year"}, "TURNOUT_LEDGER_RETENTION: a duration"),
        ({"TURNOUT_PROMPT_IDS": "maybe"}, "TURNOUT_PROMPT_IDS is 'maybe'; give on or off"),
    ],
)
def test_what_cannot_be_used_is_refused_not_ignored(env: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(env)
    assert "secret" not in str(caught.value)


def test_the_cache_is_in_the_redis_named_for_it_else_in_the_one_there_is() -> None:
    assert load_settings({}).redis_url is None
    assert load_settings({"REDIS_URL": "redis://any"}).redis_url == "redis://any"
    assert load_settings({"REDIS_URL": "redis://any", "TURNOUT_REDIS_URL": "redis://ours"}).redis_url == "redis://ours"
    assert load_settings({"REDIS_URL": "redis://any", "TURNOUT_REDIS_URL": ""}).redis_url == "redis://any"


def test_a_password_in_an_address_is_not_shown() -> None:
    assert "secret" not in repr(load_settings({"REDIS_URL": "redis://:secret@h"}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    check_address(load_settings({}, host=host), has_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "127.0.0.1.example.com"])
def test_other_addresses_are_refused_until_a_key_exists_or_they_are_insisted_on(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match=f"refusing to listen on {host}: there is no virtual key, .*`turnout keys create`"):
        check_address(load_settings({}, host=host), has_keys=False)
    check_address(load_settings({}, host=host), has_keys=True)
    check_address(load_settings({}, host=host, is_insecure=True), has_keys=False)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8080"), ("::", "http://127.0.0.1:8080"), ("::1", "http://[::1]:8080"), ("h", "http://h:8080")],
)
def test_shown_address_can_be_clicked(host: str, url: str) -> None:
    assert load_settings({}, host=host).url == url


def test_policy_of_the_current_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = default_policy()
    assert shipped.is_absolute()
    assert shipped.is_file()
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "default.yaml").write_text("version: 1\n")
    assert default_policy() == Path("policies/default.yaml")
