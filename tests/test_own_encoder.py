"""`model.encoder.kind=own`: a class of the user's own, in a detector, a file and a search."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from search_detector import small_detector
from tiny import TINY

from ligo_cpc_snn.config.model_schema import EncoderKind, ModelConfig
from ligo_cpc_snn.config.own_encoder import place_of
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.search.detector_files import WeightsError
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import load_detector, save_detector

SOURCE = '''
import jax.numpy as jnp
from flax import nnx

from ligo_cpc_snn.models.causal import StridedConv


class Power(nnx.Module):
    """Power of learned filters."""

    def __init__(self, cfg, *, channels, sample_rate_hz, rngs, kernels):
        self.frame_samples = cfg.stride
        self.filters = StridedConv(
            channels, cfg.features, 4 * cfg.stride, cfg.stride, rngs=rngs, kernels=kernels
        )

    def initial_state(self, batch):
        return self.filters.initial_state(batch)

    def __call__(self, strain, state):
        x, state = self.filters(strain, state)
        return jnp.log(x**2 + 1e-3), state


class Slow(Power):
    def __init__(self, cfg, **others):
        super().__init__(cfg, **others)
        self.frame_samples = 2 * cfg.stride


class Narrow(Power):
    def __call__(self, strain, state):
        x, state = super().__call__(strain, state)
        return x[..., 1:], state


class Forgetful(Power):
    def __call__(self, strain, state):
        x, state = super().__call__(strain, state)
        return x, jnp.zeros((1,))


class Stateless(nnx.Module):
    def __init__(self, cfg, *, channels, sample_rate_hz, rngs, kernels):
        self.frame_samples = cfg.stride


def function(cfg):
    return cfg
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "encoder_of_mine.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "encoder_of_mine"
    sys.modules.pop("encoder_of_mine", None)


def settings(own: str) -> ModelConfig:
    cfg = ModelConfig()
    cfg.encoder = replace(cfg.encoder, kind=EncoderKind.own, own=own, features=8, stride=16)
    cfg.context.features = 8
    cfg.snn.widths = [8]
    return cfg


def build(own: str) -> Detector:
    return Detector(settings(own), detectors=2, sample_rate_hz=512, rngs=nnx.Rngs(0))


def test_chunked_equals_whole(module):
    """What a search relies on: an own encoder's state goes from chunk to chunk."""
    detector = build(f"{module}:Power")
    strain = jax.random.normal(jax.random.key(1), (1, 2, 512))
    state = detector.initial_state(1)
    whole, _ = detector.encode(strain, state)
    first, state = detector.encode(strain[..., :128], state)
    second, _ = detector.encode(strain[..., 128:], state)
    parts = jnp.concatenate([first.latents, second.latents], axis=1)
    np.testing.assert_allclose(parts, whole.latents, atol=1e-5)


def saved(module: str, file: Path) -> tuple[TrainedDetector, Path]:
    made = small_detector(
        encoder__kind=EncoderKind.own, encoder__own=f"{module}:Power", encoder__stride=16
    )
    return made, save_detector(file, made)


def test_a_file_names_the_class_and_has_its_parameters(module, tmp_path, monkeypatch):
    """Saved, read and searched with; without the module the file says what is missing."""
    made, file = saved(module, tmp_path / "mine.safetensors")
    noise = jax.random.normal(jax.random.key(2), (2, 2048))
    statistics = []
    for detector in (made, load_detector(file)):
        network = detector.network
        statistics.append(network(noise[None])[0].frame_logits)
    np.testing.assert_array_equal(*statistics)
    sys.modules.pop(module)
    Path(tmp_path / f"{module}.py").unlink()
    monkeypatch.setenv("LIGO_OWN_ENCODER", f"{module}:Power")
    with pytest.raises(UserError, match="no module encoder_of_mine"):
        load_detector(file).network  # noqa: B018


def test_a_file_has_nothing_imported_unless_its_encoder_is_allowed(module, tmp_path, monkeypatch):
    _, file = saved(module, tmp_path / "detector.safetensors")
    sys.modules.pop(module, None)
    told = (
        f"{file} names an encoder of its own, {module}:Power, whose module would be imported: if "
        f"you trust it, set LIGO_OWN_ENCODER={module}:Power"
    )
    for other in ("", module, f"{module}:Slow", "1"):
        monkeypatch.setenv("LIGO_OWN_ENCODER", other)
        with pytest.raises(WeightsError) as error:
            load_detector(file)
        assert str(error.value) == told
        assert module not in sys.modules
    monkeypatch.setenv("LIGO_OWN_ENCODER", f"{module}:Power")
    assert load_detector(file).model.encoder.own == f"{module}:Power"
    assert module in sys.modules


def test_a_run_folder_is_the_users_own(module, tmp_path, monkeypatch):
    monkeypatch.delenv("LIGO_OWN_ENCODER", raising=False)
    _, file = saved(module, tmp_path / "detector.safetensors")
    sys.modules.pop(module, None)
    assert load_detector(file.parent).network.frame_samples == 16
    assert module in sys.modules
    assert load_detector(file).network.frame_samples == 16  # imported already


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Slow", r"frame_samples=32, expected model.encoder.stride=16"),
        ("Narrow", r"latents \(2, 2, 7\) .* expected \(2, 2, 8\)"),
        ("Forgetful", r"state .* before and .* after"),
        ("Stateless", r"no initial_state"),
        ("function", r"no flax.nnx.Module"),
        ("Absent", r"has no Absent"),
    ],
)
def test_what_is_no_encoder_is_told(module, name, told):
    with pytest.raises(UserError, match=told):
        build(f"{module}:{name}")


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("", "expected module:Class"),
        ("my encoder", "expected module:Class"),
        ("../evil:Encoder", "expected module:Class"),
        ("os:system", "part of Python"),
        ("subprocess:Popen", "part of Python"),
        ("no_such_module_anywhere:Encoder", "PYTHONPATH"),
    ],
)
def test_a_name_is_refused_before_anything_is_imported(own, told):
    before = set(sys.modules)
    with pytest.raises(ValueError, match=told):
        place_of(own)
    assert set(sys.modules) == before


def test_a_module_that_lacks_another(tmp_path, monkeypatch):
    (tmp_path / "encoder_in_need.py").write_text("import not_there_at_all\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="no module not_there_at_all"):
        build("encoder_in_need:Encoder")


BROKEN = {
    "syntax": ("class Mine(nnx.Module)\n    pass\n", r"importing .* SyntaxError: .*\.py:1\)"),
    "import": ("1 / 0\n", r"importing .* ZeroDivisionError: division by zero \(.*\.py:1\)"),
    "exit": ("import sys\nsys.exit('bye')\n", r"importing .* SystemExit: bye \(.*\.py:2\)"),
    "signature": (
        "from flax import nnx\nclass Mine(nnx.Module):\n    def __init__(self, cfg): pass\n",
        r"making it .* TypeError: .*unexpected keyword argument 'channels' \(.*\.py:3\)",
    ),
    "call": (
        "from flax import nnx\nclass Mine(nnx.Module):\n"
        "    def __init__(self, cfg, **others): self.frame_samples = cfg.stride\n"
        "    def initial_state(self, batch): return ()\n"
        "    def __call__(self, strain, state): return strain.nothing, state\n",
        r"giving it strain .* AttributeError: .*nothing.*\.py:5\)",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_code_that_raises_is_told_in_one_line(kind, tmp_path, monkeypatch):
    """What the user's own code raises is named with its file and line, and kept as the cause."""
    source, told = BROKEN[kind]
    (tmp_path / f"broken_by_{kind}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=told) as caught:
        build(f"broken_by_{kind}:Mine")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"model.encoder.own=broken_by_{kind}:Mine: ")
    assert caught.value.__cause__ is not None
    sys.modules.pop(f"broken_by_{kind}", None)


def test_training_tells_it_before_any_data_is_made(tmp_path):
    """Through the command: one line, and neither noise nor a bank was made for it."""
    (tmp_path / "encoder_of_mine.py").write_text(SOURCE, encoding="utf-8")
    run_dir = tmp_path / "run"
    own = ["model.encoder.kind=own", "model.encoder.own=encoder_of_mine:Narrow"]
    done = subprocess.run(
        [sys.executable, "-m", "ligo_cpc_snn.train", *TINY, *own, f"run_dir={run_dir}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "LIGO_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "error:" in line]
    assert len(lines) == 1
    assert "model.encoder.own=encoder_of_mine:Narrow: latents (2, 2, 7)" in lines[0]
    assert done.stderr.strip().endswith(lines[0])
    assert "Traceback" not in done.stderr
    logged = (run_dir / "run.log").read_text(encoding="utf-8")
    assert "bank" not in logged
    assert "noise" not in logged
    assert not list(run_dir.glob("*.npz"))
