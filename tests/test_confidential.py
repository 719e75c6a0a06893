"""Keys and passwords: refused in settings, hidden in logs and messages."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ligo_cpc_snn.confidential import HIDDEN, confided, hidden, known
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.runtime import logs

KEY = "5ec2e7a9" * 5
WORDS = st.text("abcdefghijklmnop0123456789._-", min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def key(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


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


MIX = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
FORMS = [
    f"run-local-{KEY}",
    f"local-{KEY}",
    f"ghp_{MIX}",
    f"gho_{MIX}",
    f"github_pat_{MIX}",
    f"x-hf_{MIX}",
    "AKIA" + "IOSFODNN7EXAMPLE",
    f"sk-{MIX}",
    f"https://{MIX}@gwosc.org",
    f"https://{MIX}:@gwosc.org",
    f"https://gwosc.org/x?a=1&api_key={MIX}",
    f"https://gwosc.org/x?token={MIX}&b=1",
    f"https://gwosc.org/x?key={MIX}#c",
]


@pytest.mark.parametrize("text", [KEY, f"run_{KEY}_1", *FORMS])
def test_a_setting_that_looks_like_one_is_refused_though_no_variable_is_set(text, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    name = "data.gwosc.host" if "://" in text else "name"
    with pytest.raises(ConfigError, match=f"^{name} holds a key or a password") as error:
        load([f"{name}='{text}'"])
    assert not any(part in str(error.value) for part in (KEY, MIX, "IOSFODNN7"))


@pytest.mark.parametrize("text", FORMS)
def test_what_looks_like_one_is_hidden_without_a_variable(text, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    shown = hidden(f"told '{text} twice")
    assert HIDDEN in shown
    assert not any(part in shown for part in (KEY, MIX, "IOSFODNN7"))
    assert hidden(shown) == shown


def test_the_passwords_of_netrc_are_known(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY")
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    assert hidden("first-password") == "first-password"
    file.write_text("machine api.wandb.ai login user password first-password\n")
    assert hidden("told first-password") == f"told {HIDDEN}"
    file.write_text("machine x.org login user password another-one\nmachine y.org password tiny\n")
    assert known() == ["another-one"]
    with pytest.raises(ConfigError, match="holds a key or a password"):
        load(["name=run-another-one"])
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("HOME", str(tmp_path))
    file.rename(tmp_path / ".netrc")
    assert known() == ["another-one"]


@pytest.mark.parametrize(
    "damaged", [b"machine x.org pass secret-word", b"\xff\xfe\x00", b"nonsense"]
)
def test_a_damaged_netrc_is_told_once_and_read_no_further(damaged, monkeypatch, tmp_path, caplog):
    file = tmp_path / "netrc"
    file.write_bytes(damaged)
    monkeypatch.setenv("NETRC", str(file))
    folder = tmp_path / "log"
    folder.mkdir()
    logs.setup(folder)
    try:
        with caplog.at_level(logging.DEBUG):
            assert known() == [KEY]
            assert hidden("secret-word") == "secret-word"
            file.write_bytes(damaged + b" more")
            assert known() == [KEY]
    finally:
        logs.close()
    told = [x for x in caplog.messages if "is not read for passwords" in x]
    assert len(told) == 1
    assert "secret-word" not in told[0]


def test_settings_without_one_are_as_they_were():
    cfg = load(["name=x", "data.gwosc.host=https://gwosc.org", "trackers.wandb.tags=[key,token]"])
    assert plain(cfg)["data"]["gwosc"]["host"] == "https://gwosc.org"


@given(user=WORDS, password=WORDS, host=WORDS)
def test_no_password_of_an_address_is_left(user, password, host):
    text = hidden(f"cannot reach https://{user}:{password}@{host}/x?y=1 twice")
    assert text == f"cannot reach https://{HIDDEN}@{host}/x?y=1 twice"


def test_what_is_no_secret_is_left():
    for text in (
        "git@github.com:x/y.git",
        "https://gwosc.org:443/a@b",
        "s3://bucket/key",
        "a:b@c",
        "ssh://user@host/x?page=2",
        "risk-of-a-long-name-with-1-number",
        "hf_models",
        "sk-learn-with-a-long-name-of-words",
        "0a1b2c3d" * 8,  # a SHA-256
        "/models/snapshots/" + "0a1b2c3d" * 5 + "/detector.safetensors",
    ):
        assert hidden(text) == text
        assert not confided(text)
    commit = "0a1b2c3d" * 5
    assert hidden(f"made by {commit}") == f"made by {commit}"  # in a log; a setting is none


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
