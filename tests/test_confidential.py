"""Keys and passwords: refused in settings, hidden in logs and messages."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ligo_cpc_snn.confidential import HIDDEN, hidden, known
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.runtime import logs

KEY = "5ec2e7a9" * 5
WORDS = st.text("abcdefghijklmnop0123456789._-", min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", f"run-{KEY}"),
        ("trackers.wandb.entity", KEY),
        ("trackers.wandb.tags", f"[a,{KEY}]"),
        ("trackers.wandb.entity", "wandb_v1_Abcdefghijklmnopqrstuvwxyz0123"),
        ("data.gwosc.host", "'https://user:pass-5ec2e7a9@gwosc.org'"),
        ("data.strain_dir", "'s3://id:5ec2e7a9@bucket/x'"),
    ],
)
def test_a_setting_that_holds_one_is_refused_by_name_alone(name, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="holds a key or a password") as error:
        load([f"{name}={value}"])
    assert str(error.value).startswith(name)
    assert "5ec2e7a9" not in str(error.value)
    assert "wandb_v1" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_settings_without_one_are_as_they_were():
    cfg = load(["name=x", "data.gwosc.host=https://gwosc.org", "trackers.wandb.tags=[key,token]"])
    assert plain(cfg)["data"]["gwosc"]["host"] == "https://gwosc.org"


@given(user=WORDS, password=WORDS, host=WORDS)
def test_no_password_of_an_address_is_left(user, password, host):
    text = hidden(f"cannot reach https://{user}:{password}@{host}/x?y=1 twice")
    assert text == f"cannot reach https://{HIDDEN}@{host}/x?y=1 twice"


def test_what_is_no_secret_is_left():
    for text in ("git@github.com:x/y.git", "https://gwosc.org:443/a@b", "s3://bucket/key", "a:b@c"):
        assert hidden(text) == text


def test_variables_are_known_by_their_names(monkeypatch):
    monkeypatch.setenv("MY_SECRET", "a longer one 12345")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    monkeypatch.setenv("MONKEY", "no key at all")
    assert KEY in known()
    assert "a longer one 12345" in known()
    assert not {"abc", "no key at all"} & set(known())


def test_the_log_hides_them_in_text_arguments_and_tracebacks(tmp_path, capsys):
    file = logs.setup(tmp_path)
    log = logging.getLogger("ligo_cpc_snn.test")
    try:
        log.info("the key %s, and %d more", KEY, 3)
        try:
            raise ValueError(f"refused {KEY}")
        except ValueError:
            log.exception("failed at https://user:%s@host", "pass-5ec2e7a9")
    finally:
        logs.close()
    text = file.read_text() + capsys.readouterr().err
    assert "5ec2e7a9" not in text
    assert f"the key {HIDDEN}, and 3 more" in text
    assert "Traceback" in text
    assert f"ValueError: refused {HIDDEN}" in text
