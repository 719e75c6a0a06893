"""Generations of banks: noise from a file in turn, new signals, shapes that never change."""

import itertools
import logging
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from filelock import FileLock
from tiny import tiny

from ligo_cpc_snn.config.data_schema import Storage
from ligo_cpc_snn.dataset import build, noise_cache
from ligo_cpc_snn.dataset.banks import Transients, build_noise_bank, no_transients
from ligo_cpc_snn.dataset.build import build_banks, build_signals, plan_banks
from ligo_cpc_snn.dataset.decision import Decision, keep_decision
from ligo_cpc_snn.dataset.generations import Generations, stream_noise
from ligo_cpc_snn.dataset.load import Noise
from ligo_cpc_snn.dataset.negatives import Shares, draw_negatives, place_transients
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.noise_cache import cache_noise, piece_samples
from ligo_cpc_snn.dataset.padding import TRANSIENTS, padded_noise, padded_transients
from ligo_cpc_snn.dataset.plan import BankError, BankPlan
from ligo_cpc_snn.dataset.sampling import build_sampler, draw_noise_windows
from ligo_cpc_snn.dataset.storage import storage_type, stored
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.wiring.data import _streamed

RATE = 512
REFRESHED = ("data.signals.refresh_steps=4", "data.signals.bank_size=70")


@pytest.fixture(autouse=True)
def cheap_signals(monkeypatch):
    """Noise stands for signals: where banks come from is no matter here."""

    def signals(key, cfg, *, count, detectors, samples_before, samples_after, **rest):
        shape = (count, len(detectors), samples_before + samples_after)
        return np.asarray(jax.random.normal(key, shape)), {"network_snr": np.ones(count)}

    monkeypatch.setattr(build, "whitened_signals", signals)


def blocks_of(*seconds: float, seed: int = 0) -> list[NoiseBlock]:
    """Blocks whose samples are never 0; a block of two stretches where 100 s are reached."""
    rng = np.random.default_rng(seed)

    def stretch(s: float) -> dict[str, StrainSegment]:
        strain = rng.uniform(0.5, 1.5, (2, round(s * RATE)))
        return {n: StrainSegment(n, 0.0, RATE, x, n) for n, x in zip(("H1", "L1"), strain)}  # noqa: B905

    return [NoiseBlock((), [stretch(s / 2)] * 2 if s > 100 else [stretch(s)]) for s in seconds]


def data_of(*more: str):
    return tiny(*REFRESHED, *more).data


def generations(tmp_path, blocks, data, budget_noise_pieces: float = 3, seed: int = 0):
    plan = plan_banks(data, blocks, [])
    size = piece_samples(data, sum(b.seconds for b in blocks))
    room = round(budget_noise_pieces * size) * 2 * storage_type(data.storage).itemsize
    budget = plan.total - plan.training_noise + 2 * room
    assert plan.streams(budget)
    return Generations(data, seed, [], stream_noise(tmp_path, blocks, data, plan, budget))


def test_a_cache_holds_the_noise_and_is_written_once(tmp_path, caplog):
    blocks, data = blocks_of(40.0, 64.0, 120.0), data_of()
    with caplog.at_level(logging.INFO):
        cache = cache_noise(tmp_path, blocks, data)
        again = cache_noise(tmp_path, blocks, data)
    assert again.path == cache.path
    assert sum("noise to stream" in r.message for r in caplog.records) == 1
    for number, block in enumerate(blocks):
        for d, name in enumerate(data.detectors):
            pieces = [cache.read(i)[d] for i, p in enumerate(cache.pieces) if p.block == number]
            whole = np.concatenate([s[name].strain for s in block.stretches])
            np.testing.assert_array_equal(np.concatenate(pieces), whole.astype(np.float32))
    longest = piece_samples(data, 224.0)
    assert max(p.size for p in cache.pieces) <= longest
    assert min(p.size for p in cache.pieces) > longest / 2
    other = cache_noise(tmp_path, blocks_of(40.0, 64.0, 120.0, seed=1), data)
    assert other.path != cache.path


def flip(path):
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "of"),
    [
        (flip, ".bin"),
        (lambda path: path.write_bytes(path.read_bytes()[:-8]), ".bin"),
        (lambda path: path.unlink(), ".bin"),
        (lambda path: path.unlink(), ".json"),
        (lambda path: path.write_text("<html>"), ".json"),
        (lambda path: path.write_text('{"format": 1}'), ".json"),
        (lambda path: path.write_text('{"format": 99}'), ".json"),
    ],
)
def test_a_broken_cache_is_found_and_written_again(tmp_path, caplog, damage, of):
    blocks, data = blocks_of(40.0), data_of()
    cache = cache_noise(tmp_path, blocks, data)
    sound, piece = cache.path.read_bytes(), cache.read(0)
    damage(cache.path.with_suffix(of))
    again = cache_noise(tmp_path, blocks, data)
    assert any("is broken" in r.message for r in caplog.records)
    assert again.path.read_bytes() == sound
    np.testing.assert_array_equal(again.read(0), piece)
    assert not list(tmp_path.glob("*.partial"))


def test_noise_not_used_for_longest_goes_beyond_the_limit(tmp_path, monkeypatch, caplog):
    data = data_of()
    old, used, held = (cache_noise(tmp_path, blocks_of(40.0, seed=s), data) for s in range(3))
    for age, cache in enumerate((used, old, held)):
        os.utime(cache.path, (1000 - age, 1000 - age))
    cache_noise(tmp_path, blocks_of(40.0, seed=1), data)  # used now
    monkeypatch.setattr(noise_cache, "MOST_BYTES", 3 * old.path.stat().st_size)
    with caplog.at_level(logging.INFO), FileLock(held.path.with_suffix(".lock")):
        new = cache_noise(tmp_path, blocks_of(40.0, seed=3), data)
    found = {path.name for path in tmp_path.glob("*.bin")}
    assert found == {cache.path.name for cache in (used, held, new)}
    assert {p.stem for p in tmp_path.glob("*.json")} == {Path(name).stem for name in found}
    assert any(f"{old.path} deleted" in r.message for r in caplog.records)
    assert any(f"{held.path} is in use" in r.message for r in caplog.records)


def test_loud_noise_is_finite_in_half_numbers(tmp_path):
    data = replace(data_of(), storage=Storage.float16)
    blocks = blocks_of(20.0)
    blocks[0].stretches[0]["H1"].strain[3:5] = 1e6, -1e6
    banks = build_banks(blocks, data, signals=64, seed=0, name="t")
    cached = cache_noise(tmp_path, blocks, data).read(0)
    for strain in (banks.noise.strain, cached):
        assert strain.dtype == np.float16
        assert strain[0, 3:5].tolist() == [65504.0, -65504.0]
    exact = blocks[0].stretches[0]["L1"].strain.astype(np.float32).astype(np.float16)
    np.testing.assert_array_equal(banks.noise.strain[1], exact)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(BankError, match=r"noise to stream needs .* MB are free"):
        cache_noise(tmp_path, blocks_of(40.0), data_of())
    assert not list(tmp_path.glob("*.bin"))


@pytest.mark.parametrize("seconds", [(40.0, 64.0, 120.0), (64.0,)])
def test_an_epoch_takes_every_piece_once(tmp_path, seconds):
    streamed = generations(tmp_path, blocks_of(*seconds), data_of(), 3).streamed
    total = len(streamed.cache.pieces)
    assert 1 < streamed.at_a_time < total
    used = np.concatenate([streamed.pieces(7, g) for g in range(6 * total)])
    for epoch in used[: used.size // total * total].reshape(-1, total):
        assert sorted(epoch) == list(range(total))
    assert set(Counter(used.tolist()).values()) <= {
        6 * streamed.at_a_time - 1,
        6 * streamed.at_a_time,
    }
    assert not np.array_equal(used[:total], used[total : 2 * total])  # another order
    assert not np.array_equal(used, np.concatenate([streamed.pieces(8, g) for g in range(total)]))


def shapes(banks):
    return jax.tree.map(lambda x: (x.shape, x.dtype, getattr(x, "weak_type", False)), banks)


@pytest.mark.parametrize("storage", Storage)
def test_generations_differ_in_content_and_never_in_shape(tmp_path, storage):
    """Blocks of unequal length: other numbers of PSDs, stretches and samples in each."""
    data = replace(data_of(), storage=storage)
    made = generations(tmp_path, blocks_of(9.0, 40.0, 64.0, 120.0), data, 4)
    banks = [made.make(g) for g in range(6)]
    assert all(shapes(b) == shapes(banks[0]) for b in banks)
    assert banks[0].noise.strain.dtype == banks[0].signals.strain.dtype == storage_type(storage)
    assert len({int((b.noise.bounds[0, 1:] > b.noise.bounds[0, :-1]).sum()) for b in banks}) > 1
    for one, other in itertools.pairwise(banks):
        assert not np.array_equal(one.noise.strain, other.noise.strain)
        pairs = np.asarray(one.signals.strain) == np.asarray(other.signals.strain)
        assert pairs.mean() < 0.01
    again = generations(tmp_path, blocks_of(9.0, 40.0, 64.0, 120.0), data, 4).make(3)
    jax.tree.map(np.testing.assert_array_equal, again, banks[3])  # of (seed, generation) alone


def test_what_is_drawn_is_noise_of_the_signals_psd_and_never_padding(tmp_path):
    """Samples of block n lie around 10 n + 10; padding is 0."""
    blocks = [
        NoiseBlock((), [{n: replace(x, strain=x.strain + 10 * i + 9.0) for n, x in s.items()}
                        for s in block.stretches])
        for i, block in enumerate(blocks_of(9.0, 40.0, 64.0))
    ]  # fmt: skip
    data = data_of("data.signals.signal_fraction=0")
    made = generations(tmp_path, blocks, data, 4)
    sample = jax.jit(build_sampler(data, 200))
    draw = jax.jit(draw_noise_windows, static_argnums=(2, 3))
    for generation in range(4):
        banks = made.make(generation)
        batches = [sample(banks, jax.random.key(0), 5.0, 9.0).strain]
        batches.append(draw(banks.noise, jax.random.key(1), data.window_samples, 200)[0])
        for strain in map(np.asarray, batches):
            number = np.round(strain.mean(axis=-1) / 10)
            np.testing.assert_array_equal(number[:, 0], number[:, 1])
            assert np.all(np.abs(strain / 10 - number[..., None]) <= 0.05001)
            assert set(np.unique(number)) <= {1.0, 2.0, 3.0}


def test_signals_fill_the_bank_in_proportion_and_in_no_order_of_the_psd():
    data = data_of()
    bank = build_signals(blocks_of(30.0, 90.0), data, signals=400, seed=3, name="t")
    assert np.all(np.abs(bank.strain).max(axis=(1, 2)) > 0)
    share = (bank.psd[:, 0] == 0).mean()
    assert share == pytest.approx(0.25, abs=0.01)
    assert (bank.psd[:100, 0] == 0).mean() == pytest.approx(share, abs=0.15)
    rows = bank.strain.reshape(400, -1)
    assert np.unique(rows, axis=0).shape == rows.shape


def test_few_signals_are_made_in_vain_for_many_psds(monkeypatch):
    made, plain = [], build.whitened_signals

    def counted(key, cfg, *, count, **rest):
        made.append(count)
        return plain(key, cfg, count=count, **rest)

    monkeypatch.setattr(build, "whitened_signals", counted)
    build_signals(blocks_of(*[9.0] * 6), data_of(), signals=96, seed=3, name="t")
    assert sum(made) <= 2 * 96


def test_noise_that_fits_stays_on_the_device_and_only_signals_change():
    made = Generations(data_of(), 0, blocks_of(20.0))
    first, second = made.make(0), made.make(1)
    assert first.noise.strain is second.noise.strain
    assert not np.array_equal(first.signals.strain, second.signals.strain)
    assert shapes(first) == shapes(second)


def test_a_bank_in_the_making_tells_how_far_it_is():
    told: list[float] = []
    Generations(data_of(), 0, blocks_of(20.0, 20.0)).make(1, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_padding_refuses_what_does_not_fit():
    bank = build_noise_bank([[build.Stretch(np.ones(20, np.float32), 0)]] * 2, 8)
    with pytest.raises(ValueError, match="20 columns do not fit into 19"):
        padded_noise(bank, 19, 1, 1)


@pytest.mark.parametrize("found", [0, 3, TRANSIENTS + 500])
def test_a_padded_table_holds_transients_only_or_plain_crops(found):
    table = Transients(*(np.arange(found, dtype=np.int32) + i for i in range(3)))
    padded = padded_transients(table)
    assert padded.first.shape == (TRANSIENTS,)
    rows = set(zip(*(c.tolist() for c in padded), strict=True))
    known = set(zip(*(c.tolist() for c in table), strict=True)) or {(-1, 0, 0)}
    assert rows <= known
    assert len(rows) == min(len(known), TRANSIENTS)


def test_without_transients_padded_tables_leave_plain_noise():
    starts = jax.random.randint(jax.random.key(0), (64, 2), 5, 10**6)
    drawn = draw_negatives(jax.random.key(1), Shares(real=1.0), jax.numpy.ones(64, bool), 2)
    placed = place_transients(starts, drawn, padded_transients(no_transients()))
    np.testing.assert_array_equal(placed, starts)


def test_transients_are_counted_once_in_the_log(tmp_path, caplog):
    data = data_of("data.source=real", "data.strain_dir=.", "data.glitches.real_fraction=0.5")
    with caplog.at_level(logging.INFO):
        made = generations(tmp_path, blocks_of(40.0, 64.0), data, 3)
        made.make(0)
        made.make(1)
    assert sum("transients in the training noise" in r.message for r in caplog.records) == 1


def test_the_plan_counts_halves_and_what_is_in_the_making(tmp_path):
    blocks = blocks_of(20.0)
    static = plan_banks(replace(data_of(), storage=Storage.float32), blocks, blocks)
    half = plan_banks(replace(data_of(), storage=Storage.bfloat16), blocks, blocks)
    assert [2 * n for n in half] == list(static)
    assert static.next_generation == static.training_signals
    data = data_of("data.signals.refresh_steps=0", "data.storage=float16")
    banks = build_banks(blocks, data, signals=data.signals.bank_size, seed=0, name="train")
    plan = plan_banks(data, blocks, blocks)
    assert plan.next_generation == 0
    assert banks.noise.strain.nbytes == plan.training_noise
    assert banks.signals.strain.nbytes == plan.training_signals


def test_a_budget_error_names_the_remedies():
    plan = BankPlan(1000, 10, 10, 10)
    with pytest.raises(BankError, match=r"storage=float16.*refresh_steps.*memory_budget_gb"):
        plan.check(100)
    plan._replace(next_generation=10).check(100)  # streams
    with pytest.raises(BankError, match=r"storage=float16, or raise") as error:
        plan._replace(next_generation=10).check(30)
    assert "refresh_steps" not in str(error.value)


def test_a_budget_for_less_than_two_pieces_is_an_error(tmp_path):
    with pytest.raises(BankError, match="a piece of it takes"):
        generations(tmp_path, blocks_of(64.0), data_of(), 0.5)


@pytest.mark.parametrize("storage", [Storage.bfloat16, Storage.float16])
def test_batches_are_float32_and_lose_little_in_half_storage(storage):
    data = data_of()
    whole = build_banks(blocks_of(20.0), data, signals=64, seed=0, name="t")
    sample = build_sampler(data, 64)
    batches = [sample(b, jax.random.key(0), 5.0, 9.0) for b in (whole, stored(whole, storage))]
    exact, rounded = (np.asarray(b.strain, np.float64) for b in batches)
    assert batches[1].strain.dtype == np.float32
    error = np.sqrt(((exact - rounded) ** 2).sum() / (exact**2).sum())
    assert 0 < error < (4e-3 if storage is Storage.bfloat16 else 5e-4)


def budget_of(noise, pieces: float) -> int:
    data, plan = data_of(), noise.plan
    size = piece_samples(data, sum(b.seconds for b in noise.training))
    return plan.total - plan.training_noise + round(pieces * size * 16)


def streamed_noise(tmp_path, budget, record):
    """What a run makes of its noise: whether it streams, and how, is in its folder."""
    blocks = blocks_of(64.0, 120.0)
    noise = Noise(blocks, [], [], plan_banks(data_of(), blocks, []), None, None)
    return _streamed(data_of(), noise, tmp_path, budget(noise), record)


def test_a_run_goes_on_with_the_noise_it_began_with(tmp_path):
    record, plenty = tmp_path / "noise.json", 10**9
    first = streamed_noise(tmp_path, lambda n: budget_of(n, 4), record)
    assert first.at_a_time == 4
    for budget in (lambda n: plenty, lambda n: budget_of(n, 7), lambda n: budget_of(n, 4)):
        again = streamed_noise(tmp_path, budget, record)
        assert (again.at_a_time, again.cache.path) == (4, first.cache.path)
    with pytest.raises(BankError, match=r"4 pieces .* raise runtime\.memory_budget_gb"):
        streamed_noise(tmp_path, lambda n: budget_of(n, 3), record)
    assert streamed_noise(tmp_path, lambda n: budget_of(n, 3), None).at_a_time == 2
    record.unlink()
    assert streamed_noise(tmp_path, lambda n: plenty, record) is None
    assert streamed_noise(tmp_path, lambda n: plenty, record) is None
    with pytest.raises(BankError, match=r"in memory, .* raise runtime\.memory_budget_gb"):
        streamed_noise(tmp_path, lambda n: budget_of(n, 4), record)
    record.write_text("{")
    with pytest.raises(ValueError, match="begin anew by resume=never"):
        streamed_noise(tmp_path, lambda n: plenty, record)


def test_other_noise_than_at_the_beginning_is_told(tmp_path, caplog):
    keep_decision(None, Decision(4, "noise-a.bin"), Decision(4, "noise-b.bin"))
    assert "another than when it began (noise-a.bin, was noise-b.bin)" in caplog.text
