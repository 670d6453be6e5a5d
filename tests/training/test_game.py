"""Games: several players, each with its own optimizer, that move in turn; and models that have no likelihood."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest

import tinydl
from tests.training import toys
from tinydl import nn
from tinydl.registry import register_model
from tinydl.training import Diverged, Game, Interrupted, Player, Recipe, Silent, Trainer, fit, load_model
from tinydl.training.log import read
from tinydl.training.progress import Progress

FILES = ("best.safetensors", "last.safetensors", "log.jsonl")


@register_model("toy-blind")
class Blind(nn.Module):
    """A critic and a generator of frames, with what resume must restore: noise, dropout, a buffer."""

    @dataclass(frozen=True)
    class Config(Recipe):
        updates: int = 3
        batch: int = 2
        chunk: int = 8
        context: int = 0
        lr: float = 0.02
        weight_decay: float = 0.01
        clip: float = 0.5
        average: float = 0.9
        eval_every: int = 3
        steps: int = 12
        patience: int = 4

    density = "none"
    representation = {"name": "roll", "step": 1.0}

    def __init__(self, config=None):
        super().__init__()
        self.config = config or self.Config()
        P = toys.PITCHES
        self.generator = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.2), nn.Tanh(), nn.Linear(4, P), nn.Sigmoid())
        self.critic = nn.Sequential(nn.Linear(P, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 1))
        self.frozen = nn.Parameter(tinydl.ones(1), requires_grad=False)
        self.register_buffer("seen", tinydl.zeros(1))
        self.asked = []

    def prepare(self, pieces):
        pass

    def players(self):
        lr = self.config.lr
        return {
            "critic": Player([*self.critic.parameters(), self.frozen], lr / 2, (0.5, 0.9), self.config.updates),
            "generator": Player(list(self.generator.parameters()), lr),
        }

    def loss(self, batch, player):
        self.asked.append((player, batch))
        with tinydl.no_grad():
            self.seen.add_(1)
        fake = self.generator(tinydl.randn(4, 2))
        if player == "generator":
            return -self.critic(fake).mean()
        real = tinydl.from_numpy(batch.data[batch.mask].astype(np.float32))
        return self.critic(fake).mean() - self.critic(real).mean()

    def score(self, batch):
        raise NotImplementedError


@register_model("toy-game")
class Duel(Blind):
    """The same, with a figure to choose weights by."""

    def criterion(self, pieces):
        assert not self.training
        with tinydl.no_grad():
            made = self.generator(tinydl.ones(1, 2)).numpy()
        return float(np.abs(made - np.concatenate(pieces).mean(0)).mean())


def build(cls=Duel, **options):
    tinydl.manual_seed(5)
    return cls(cls.Config(**options))


def trainer(model, **more):
    data = toys.splits(train=9)
    return Trainer(model, data.train, data.valid, seed=3, **more)


def values(module):
    return [p.array.copy() for p in module.parameters()]


class StopAt(Silent):
    def __init__(self, step):
        self.step = step

    def tick(self, step, *rest):
        if step == self.step:
            os.kill(os.getpid(), 2)


OPTIONS = {
    "constant": {},
    "cosine": {"schedule": "cosine"},
    "plateau": {"schedule": "plateau", "patience": 4, "eval_every": 1},
    "no average, one update": {"average": 0.0, "updates": 1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_resume_at_every_step(tmp_path, options):
    data = toys.splits(train=9)
    fit(build(**options), data, tmp_path / "whole", seed=3, log_every=5, progress=Silent())
    expected = [(tmp_path / "whole" / name).read_bytes() for name in FILES]
    steps = [row["step"] for row in read(tmp_path / "whole" / "log.jsonl")]
    run = tmp_path / "run"
    for step in range(1, max(steps)):
        with pytest.raises(Interrupted, match=f"at step {step} "):
            fit(build(**options), data, run, seed=3, log_every=5, resume=step > 1, progress=StopAt(step))
    fit(build(**options), data, run, seed=3, log_every=5, resume=True, progress=Silent())
    assert [(run / name).read_bytes() for name in FILES] == expected


def test_the_players_move_in_turn_each_update_on_a_batch_of_its_own():
    model = build(updates=3)
    training = trainer(model)
    assert isinstance(model, Game) and not isinstance(toys.build(), Game)
    for _ in range(4):
        training.advance()
    assert [player for player, _ in model.asked] == ["critic", "critic", "critic", "generator"] * 4
    for n, (_, batch) in enumerate(b for b in model.asked if b[0] == "critic"):
        np.testing.assert_array_equal(batch.data, training.batch(n).data)
    assert training.batches == 3
    assert training.epoch_length == -(-len(training.sampler) // 3)
    assert training.log_row(1.0, 0.1)["epoch"] == (4 * 3 - 1) // len(training.sampler)


def test_a_player_moves_its_own_parameters_and_no_others():
    model = build(updates=1)
    training = trainer(model)
    for name, mover, still in (
        ("critic", model.critic, model.generator),
        ("generator", model.generator, model.critic),
    ):
        for p in model.parameters():
            p.grad = None
        before, others = values(mover), values(still)
        with training._others_still(name):
            assert not any(p.requires_grad for p in still.parameters())
            training._update(name, training.batch(0))
        assert all(p.grad is None for p in still.parameters())
        for now, then in zip(values(still), others):
            np.testing.assert_array_equal(now, then)
        assert any((now != then).any() for now, then in zip(values(mover), before))
    assert all(p.requires_grad for m in (model.critic, model.generator) for p in m.parameters())
    assert not model.frozen.requires_grad and model.frozen.item() == 1


def test_every_player_has_its_own_rate_and_betas_and_schedule():
    training = trainer(build(schedule="cosine"), steps=8)
    groups = {name: optimizer.param_groups for name, optimizer in training.optimizers.items()}
    assert {(g["lr"], g["betas"]) for g in groups["critic"]} == {(0.01, (0.5, 0.9))}
    assert {(g["lr"], g["betas"]) for g in groups["generator"]} == {(0.02, (0.9, 0.999))}
    assert training.lr == 0.02
    for _ in range(4):
        training.advance()
    assert training.optimizers["critic"].param_groups[0]["lr"] == pytest.approx(0.005, rel=1e-6)
    assert training.lr == pytest.approx(0.01, rel=1e-6)


def test_every_gradient_is_clipped_by_itself(monkeypatch):
    model = build(clip=0.01, updates=1)
    training = trainer(model)
    model.critic[0].weight.register_hook(lambda g: 1000 * g)
    norms = {}
    for name, player in training.players.items():
        with training._others_still(name):
            training._update(name, training.batch(0))
        norms[name] = sum(float((p.grad**2).sum().item()) for p in player.parameters if p.grad is not None) ** 0.5
    assert norms == {"critic": pytest.approx(0.01, rel=1e-3), "generator": pytest.approx(0.01, rel=1e-3)}


def test_the_log_has_the_mean_loss_of_every_player(tmp_path, capsys):
    model, said = build(updates=2), []
    loss = model.loss

    def heard(batch, player):
        value = loss(batch, player)
        said.append((player, value.item()))
        return value

    model.loss = heard
    fit(model, toys.splits(train=9), tmp_path / "run", seed=3, log_every=4, steps=8, progress=Progress())
    rows = [row for row in read(tmp_path / "run" / "log.jsonl") if "loss" in row]
    assert [row["step"] for row in rows] == [1, 4, 8]
    for row, start in zip(rows, (0, 1, 4)):
        since = said[3 * start : 3 * row["step"]]
        for name in ("critic", "generator"):
            assert row["players"][name] == pytest.approx(np.mean([v for p, v in since if p == name]), rel=1e-12)
        assert row["loss"] == pytest.approx(row["players"]["generator"], rel=1e-12)
    last = rows[-1]["players"]
    assert f"step 8 loss critic {last['critic']:.4f} generator {last['generator']:.4f} grad" in capsys.readouterr().err


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_divergence_names_the_player(player):
    model = build()
    training = trainer(model)
    training.advance()
    loss = model.loss
    model.loss = lambda batch, name: loss(batch, name) * (np.inf if name == player else 1)
    before = values(getattr(model, player))
    with pytest.raises(Diverged, match=f"diverged at step 2: the loss of the {player} is "):
        training.advance()
    for now, then in zip(values(getattr(model, player)), before):
        np.testing.assert_array_equal(now, then)
    assert all(p.requires_grad for p in model.critic[0].parameters())


def test_a_player_may_sit_out():
    model = build()
    training = trainer(model)
    loss = model.loss
    model.loss = lambda batch, name: None if name == "critic" else loss(batch, name)
    before = values(model.critic)
    training.advance()
    for now, then in zip(values(model.critic), before):
        np.testing.assert_array_equal(now, then)
    assert training.log_row(1.0, 0.1)["players"]["critic"] is None
    losses = training.advance()[0], training.newest["generator"][0]
    model.loss = lambda batch, name: None if name == "generator" else loss(batch, name)
    reported = training.advance()  # the last player's, still
    assert losses == (reported[0], reported[0]) and training.newest["critic"][0] != reported[0]
    assert training.losses == [reported[0]]  # and counted once
    row = training.log_row(*reported)
    assert row["loss"] == row["players"]["generator"] == reported[0]
    training.advance()
    row = training.log_row(*reported)
    assert row["loss"] is row["players"]["generator"] is None and row["players"]["critic"] is not None
    model.loss = lambda batch, name: None
    with pytest.raises(RuntimeError, match="every player of 'toy-game' sat step 5 out"):
        training.advance()


def test_a_game_whose_last_player_sat_out_from_the_start_resumes_and_its_log_has_no_loss(tmp_path, capsys):
    class Late(Duel):
        def loss(self, batch, player):
            waits = player == "generator" and batch.step % 4 < 2
            return None if waits else super().loss(batch, player)

    def run(folder, progress, resume=False):
        data = toys.splits(train=9)
        fit(build(Late), data, folder, seed=3, log_every=1, steps=9, resume=resume, progress=progress)

    run(tmp_path / "whole", Progress())
    assert "step 1 loss critic " in capsys.readouterr().err
    rows = [row for row in read(tmp_path / "whole" / "log.jsonl") if "epoch" in row]
    assert [row["loss"] is None for row in rows] == [step % 4 < 2 for step in range(9)]
    assert [row["grad_norm"] is None for row in rows] == [step < 2 for step in range(9)]
    for step in (1, 5, 6):
        with pytest.raises(Interrupted):
            run(tmp_path / "cut", StopAt(step), resume=step > 1)
    run(tmp_path / "cut", Silent(), resume=True)
    for name in FILES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_weights_are_chosen_by_the_criterion_that_the_model_states(tmp_path):
    data = toys.splits(train=9)
    model = build()
    result = fit(model, data, tmp_path / "run", seed=3, progress=Silent())
    rows = {row["step"]: row["valid"] for row in read(tmp_path / "run" / "log.jsonl") if "valid" in row}
    assert result.valid == min(rows.values()) == rows[result.best_step]
    assert load_model(tmp_path / "run")[0].criterion(data.valid) == result.valid


def test_without_a_criterion_the_newest_average_is_kept(tmp_path):
    model = build(Blind)
    result = fit(model, toys.splits(train=9), tmp_path / "run", seed=3, progress=Silent())
    assert (result.step, result.best_step, result.valid) == (12, 12, None)
    training = Trainer(build(Blind), toys.splits(train=9).train, [], seed=3)
    for _ in range(12):
        training.advance()
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.array, training.average[name])
