"""The loop: limits, schedule, early stopping, the running average, the log, interruption, and what it refuses."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import tinydl
from tests.training import toys
from tinydl.errors import CheckpointError, ConfigError, DataError
from tinydl.training import Diverged, Interrupted, Progress, Silent, Trainer, evaluate, fit, load_model, read_config
from tinydl.training.log import Log, read
from tinydl.training.progress import LiveProgress, clock


def run(out, *, splits=None, seed=3, model=None, progress=None, options=None, **limits):
    model = model or toys.build(**(options or {}))
    return model, fit(model, splits or toys.splits(), out, seed=seed, progress=progress or Silent(), **limits)


def test_a_run_leaves_its_four_files_and_the_best_weights(tmp_path):
    model, result = run(tmp_path / "run", log_every=5)
    assert sorted(os.listdir(tmp_path / "run")) == ["best.safetensors", "config.json", "last.safetensors", "log.jsonl"]
    rows = read(tmp_path / "run" / "log.jsonl")
    assert [row["step"] for row in rows if "loss" in row] == [1, 5, 10]
    valid = {row["step"]: row["valid"] for row in rows if "valid" in row}
    assert list(valid) == [3, 6, 9, 12]
    assert result.valid == min(valid.values()) == valid[result.best_step]
    assert (result.step, result.reason) == (12, "steps")
    assert model.prepared == 1
    assert not model.training

    loaded, card = load_model(tmp_path / "run")
    assert (card.step, card.valid, card.seed, card.model) == (result.best_step, result.valid, 3, "toy")
    assert card.representation == {"name": "roll", "step": 1.0}
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name].array, tensor.array)
    assert evaluate(loaded, toys.splits().valid, "valid")["nll_per_frame"] == result.valid
    config = read_config(tmp_path / "run")
    assert config["config"]["hidden"] == 4
    assert config["train_seconds"] > 0


def test_training_learns(tmp_path):
    pattern = np.tile(np.array([[1, 0, 0, 0, 1], [0, 1, 0, 1, 0]], bool), (6, 1))
    data = toys.splits()
    data.train, data.valid = [pattern] * 4, [pattern]
    _, result = run(
        tmp_path / "run",
        splits=data,
        options={"hidden": 8, "dropout": 0.0, "steps": 150, "eval_every": 10, "weight_decay": 0.0},
    )
    assert result.valid < 0.3  # of 5 ln 2 = 3.47: all but the first frame is certain


def test_the_log_holds_the_mean_loss_since_the_row_before(tmp_path):
    trainer_losses = []
    model = toys.build()

    class Watch(Silent):
        def tick(self, step, loss, grad_norm, lr, rate, eta):
            trainer_losses.append(loss)

    run(tmp_path / "run", model=model, progress=Watch(), log_every=4)
    rows = [row for row in read(tmp_path / "run" / "log.jsonl") if "loss" in row]
    assert [row["step"] for row in rows] == [1, 4, 8, 12]
    for row, start in zip(rows, (0, 1, 4, 8)):
        assert math.isclose(row["loss"], np.mean(trainer_losses[start : row["step"]]), rel_tol=1e-12)
    assert [row["epoch"] for row in rows] == [
        (row["step"] - 1) // Trainer(model, toys.splits().train, [], seed=3).epoch_length for row in rows
    ]


@pytest.mark.parametrize(
    ("limits", "step", "reason"),
    [
        ({"steps": 5}, 5, "steps"),
        ({"epochs": 2}, 8, "steps"),
        ({"epochs": 2, "steps": 3}, 3, "steps"),
        ({"minutes": 1e-9}, 0, "minutes"),
    ],
)
def test_limits(tmp_path, limits, step, reason):
    data = toys.splits()
    data.train = [np.ones((4, toys.PITCHES), bool)] * 11  # 4 batches of 3
    _, result = run(tmp_path / "run", splits=data, **limits)
    assert (result.step, result.reason) == (step, reason)
    load_model(tmp_path / "run")  # there is always something to listen to


def test_the_first_step_which_compiles_is_not_counted(tmp_path, monkeypatch):
    now = 0.0
    advance = Trainer.advance

    def slow_at_first(trainer):
        nonlocal now
        now += 100.0 if trainer.step == 0 else 1.0
        return advance(trainer)

    monkeypatch.setattr(Trainer, "advance", slow_at_first)
    monkeypatch.setattr("tinydl.training.loop.time.monotonic", lambda: now)
    _, result = run(tmp_path / "run", minutes=2.5 / 60)
    assert (result.step, result.reason, result.seconds) == (1 + 3, "minutes", 103.0)


def test_the_last_step_is_validated(tmp_path):
    run(tmp_path / "run", steps=4)
    assert [row["step"] for row in read(tmp_path / "run" / "log.jsonl") if "valid" in row] == [3, 4]


def test_early_stopping_gives_the_best_weights_back(tmp_path):
    data = toys.splits()
    data.valid = [~np.ones((6, toys.PITCHES), bool)]
    data.train = [np.ones((6, toys.PITCHES), bool)] * 3  # the more it learns of these, the less it likes the silent one
    model, result = run(
        tmp_path / "run", splits=data, options={"patience": 2, "eval_every": 1, "steps": 50, "average": 0.0}
    )
    assert (result.step, result.best_step, result.reason) == (3, 1, "patience")
    assert evaluate(model, data.valid)["nll_per_frame"] == result.valid
    again = fit(
        toys.build(patience=2, eval_every=1, steps=50, average=0.0),
        data,
        tmp_path / "run",
        seed=3,
        resume=True,
        progress=Silent(),
    )
    assert (again.step, again.best_step, again.reason) == (3, 1, "patience")


def test_validation_sees_the_running_average(tmp_path):
    data = toys.splits()
    trainer = Trainer(toys.build(average=0.5), data.train, data.valid, seed=0)
    raw = [trainer.average["output.bias"].copy()]
    expected = raw[0].astype(np.float64)
    for n in range(1, 5):
        trainer.advance()
        d = min(0.5, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * trainer.model.output.bias.array
    np.testing.assert_allclose(trainer.average["output.bias"], expected, rtol=1e-5)
    current = trainer.model.output.bias.array.copy()
    with trainer.averaged():
        np.testing.assert_array_equal(trainer.model.output.bias.array, trainer.average["output.bias"])
    np.testing.assert_array_equal(trainer.model.output.bias.array, current)
    trainer.validate()
    np.testing.assert_array_equal(trainer.best["weights"]["output.bias"], trainer.average["output.bias"])


def test_cosine_ends_at_zero_and_plateau_halves(tmp_path):
    data = toys.splits()
    trainer = Trainer(toys.build(schedule="cosine"), data.train, data.valid, seed=0, steps=8)
    rates = []
    for _ in range(8):
        rates.append(trainer.lr)
        trainer.advance()
    np.testing.assert_allclose(rates, [0.05 * (1 + math.cos(math.pi * n / 8)) / 2 for n in range(8)], rtol=1e-6)
    plateau = Trainer(toys.build(schedule="plateau", patience=4, lr=0.04), data.train, data.valid, seed=0)
    plateau.model.score = lambda batch: toys.Score(np.zeros(batch.data.shape[:2]), batch.data, batch.mask)
    rates = []
    for _ in range(5):
        plateau.validate()
        rates.append(plateau.lr)
    assert rates == [0.04, 0.04, 0.02, 0.02, 0.01]


def test_biases_do_not_decay():
    trainer = Trainer(toys.build(weight_decay=0.5), toys.splits().train, [], seed=0)
    decays = {group["weight_decay"]: [p.ndim for p in group["params"]] for group in trainer.optimizer.param_groups}
    assert decays == {0.5: [2, 2], 0.0: [1, 1]}


def test_every_epoch_visits_every_chunk_once_in_another_order():
    trainer = Trainer(toys.build(), toys.splits().train, [], seed=0)
    epochs = []
    for epoch in range(3):
        batches = [trainer.batch(epoch * trainer.epoch_length + i) for i in range(trainer.epoch_length)]
        assert sum(int(b.mask.sum()) for b in batches) == sum(map(len, trainer.train))
        epochs.append([b.lengths.tolist() for b in batches])
    assert epochs[0] != epochs[1] != epochs[2]
    again = Trainer(toys.build(), toys.splits().train, [], seed=0)
    assert again.batch(1).lengths.tolist() == epochs[0][1]  # whatever was asked for before


def test_a_corpus_smaller_than_a_batch_trains(tmp_path):
    _, result = run(tmp_path / "run", splits=toys.splits(train=1, valid=1), options={"batch": 64, "chunk": 512})
    assert result.step == 12


def test_without_validation_pieces_the_newest_weights_are_kept(tmp_path):
    _, result = run(tmp_path / "run", splits=toys.splits(valid=0))
    assert (result.best_step, result.valid) == (12, None)
    assert load_model(tmp_path / "run")[1].step == 12


def test_an_empty_corpus_is_refused(tmp_path):
    with pytest.raises(DataError, match="train split is empty"):
        run(tmp_path / "run", splits=toys.splits(train=0))


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_divergence_names_the_step_and_keeps_the_checkpoint(tmp_path, bad):
    model = toys.build()
    honest = model.loss

    def loss(batch):
        value = honest(batch)
        if model.batches_seen.item() == 5:
            # sqrt has an infinite slope at 0, and 0 * inf is not a number
            value = value * math.inf if bad == "loss" else value + (model.output.bias * 0.0).sum().sqrt()
        return value

    model.loss = loss
    with pytest.raises(Diverged, match="diverged at step 5: the " + bad) as caught:
        run(tmp_path / "run", model=model, checkpoint_every=2)
    assert "\n" not in str(caught.value)
    _, card = load_model(tmp_path / "run")
    assert card.step == 3
    for name, p in model.named_parameters():
        assert np.isfinite(p.array).all(), name


class StopAt(Silent):
    """Sends a signal to this process at a step."""

    def __init__(self, step, number):
        self.step, self.number = step, number

    def tick(self, step, *rest):
        if step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_resume_goes_on_to_the_same_bits(tmp_path, number):
    run(tmp_path / "whole")
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="interrupted at step 5 and saved.*--resume"):
        run(tmp_path / "cut", progress=StopAt(5, number))
    assert signal.getsignal(number) is before
    _, result = run(tmp_path / "cut", resume=True)
    assert result.step == 12
    for name in ("last.safetensors", "best.safetensors", "log.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_interrupt_before_the_first_validation_leaves_a_model(tmp_path):
    with pytest.raises(Interrupted):
        run(tmp_path / "run", progress=StopAt(1, signal.SIGINT))
    assert load_model(tmp_path / "run")[1].step == 1
    run(tmp_path / "run", resume=True)
    assert load_model(tmp_path / "run")[1].step >= 3


def test_training_works_outside_the_main_thread(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path / "run")[1]))
    thread.start()
    thread.join()
    assert results[0].step == 12


def test_folders_that_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("Once")
    with pytest.raises(ConfigError, match="is not empty"):
        run(tmp_path / "mine")
    with pytest.raises(ConfigError, match="nothing to resume"):
        run(tmp_path / "mine", resume=True)
    assert os.listdir(tmp_path / "mine") == ["novel.txt"]
    run(tmp_path / "run", steps=1)
    with pytest.raises(ConfigError, match="holds a run already: --resume"):
        run(tmp_path / "run", steps=1)
    with pytest.raises(ConfigError, match="is a file"):
        run(tmp_path / "mine" / "novel.txt")
    with pytest.raises(ConfigError, match="cannot make the folder"):
        run(tmp_path / "mine" / "novel.txt" / "deeper")


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    run(tmp_path / "run", steps=1)
    log = Log(tmp_path / "run" / "log.jsonl")
    try:
        with pytest.raises(ConfigError, match="another process is training in"):
            run(tmp_path / "run", resume=True)
    finally:
        log.close()


@pytest.mark.parametrize(
    "limit",
    [{"steps": 0}, {"epochs": 0}, {"minutes": 0}, {"minutes": math.nan}, {"checkpoint_every": 0}, {"log_every": 0}],
)
def test_limits_that_mean_nothing(tmp_path, limit):
    with pytest.raises(ConfigError, match=next(iter(limit))):
        run(tmp_path / "run", **limit)


def test_plain_lines(tmp_path, capsys):
    run(tmp_path / "run", progress=Progress(), log_every=6)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:3:2] for line in lines] == [
        ["step", w] for w in ("loss", "valid", "loss", "valid", "valid", "loss", "valid")
    ]
    assert lines[0].startswith("step 1 loss ")
    assert "ETA" not in lines[0]  # the first step compiles kernels: it says nothing about the others
    assert "ETA" in lines[2]


def test_live_line(tmp_path):
    import io

    stream = io.StringIO()
    run(tmp_path / "run", progress=LiveProgress(stream))
    assert "step 12 valid" in stream.getvalue()
    assert clock(125) == "2:05"
    assert clock(3725.2) == "1:02:05"


def test_log_that_was_cut_short_is_read(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read(path) == [{"step": 1, "loss": 2.0}]


def test_a_full_disk_while_logging_is_one_sentence(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    log.append({"step": 1})
    os.close(log._file.fileno())
    full = os.open("/dev/full", os.O_WRONLY) if os.path.exists("/dev/full") else pytest.skip("needs /dev/full")
    os.dup2(full, log._file.fileno()) if full != log._file.fileno() else None
    with pytest.raises(CheckpointError, match="log.jsonl: No space left on device; the last checkpoint is kept"):
        log.append({"step": 2})
    log.close()


def test_the_training_package_imports_nothing_heavy():
    code = (
        "import sys, tinydl.training; heavy = 'numba rich mido scipy pooch safetensors tinydl.models'.split(); "
        "print([m for m in heavy if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_rows_are_json(tmp_path):
    run(tmp_path / "run")
    for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines():
        assert json.loads(line)["step"] >= 1
    assert tinydl.default_generator is not None


def test_a_validation_loss_that_is_no_number_stops(tmp_path):
    model = toys.build()
    model.score = lambda batch: toys.Score(np.full(batch.data.shape[:2], np.nan), batch.data, batch.mask)
    with pytest.raises(Diverged, match="at step 3 the validation loss is nan"):
        run(tmp_path / "run", model=model)
