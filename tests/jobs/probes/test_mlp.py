"""The batched perceptrons against a plain ``nn.Module`` loop, and against themselves alone."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from threadpoolctl import threadpool_limits
from torch import nn

from jobs.probes import MlpSettings, mlp, training
from jobs.probes.ridge import inner_folds
from jobs.protocol.folds import Fold


@pytest.fixture(autouse=True)
def one_thread():
    """As a probe task runs; products this small only lose by more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


def problem(n_rows=150, width=24, n_targets=2, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n_rows, width)) * 3 + 1).astype(np.float32)
    signal = np.tanh(X[:, :n_targets]) * 3 + X[:, n_targets : 2 * n_targets]
    Y = 12 + signal + 0.5 * rng.standard_normal((n_rows, n_targets))
    speaker = np.arange(n_rows) % 15
    parts = [np.flatnonzero(part) for part in (speaker < 8, (speaker // 4) == 2, speaker >= 12)]
    return X, Y, Fold(*parts), np.array([f"s{i:02d}" for i in speaker])


def plain_loop(settings, X, y, fitted, watched, test, seed):
    """A perceptron as anyone would write it, in float64: (predictions, epochs, best epoch)."""
    X, y = torch.tensor(X, dtype=torch.float64), torch.tensor(y)
    x_mean, x_sd, y_mean, y_sd = torch.zeros(X.shape[1]), torch.ones(X.shape[1]), 0.0, 1.0
    if settings.standardise:
        x_mean, x_sd = X[fitted].mean(dim=0), X[fitted].std(dim=0, correction=0)
        y_mean, y_sd = y[fitted].mean(), y[fitted].std(correction=0)
    X, y = (X - x_mean) / x_sd, (y - y_mean) / y_sd
    torch.manual_seed(seed)
    layers = []
    for n_in, n_out in zip((X.shape[1], *settings.hidden), settings.hidden, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(settings.dropout)]
    model = nn.Sequential(*layers, nn.Linear((X.shape[1], *settings.hidden)[-1], 1)).double()
    adam = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best_loss, best_epoch, best = float("inf"), 0, None
    for epoch in range(1, settings.epochs + 1):
        model.train()
        for rows in torch.randperm(len(fitted)).split(settings.batch_size):
            adam.zero_grad()
            output = model(X[fitted][rows]).squeeze(1)
            nn.functional.mse_loss(output, y[fitted][rows]).backward()
            adam.step()
        model.eval()
        with torch.no_grad():
            now = model(X[test]).squeeze(1) * y_sd + y_mean
            if not settings.early_stopping:
                best, best_epoch = now, epoch
                continue
            loss = nn.functional.mse_loss(model(X[watched]).squeeze(1), y[watched])
        if loss < best_loss:
            best_loss, best_epoch, best = loss, epoch, now
        if epoch - best_epoch >= settings.patience:
            break
    return best.numpy(), epoch, best_epoch


SETTINGS = {
    "default": MlpSettings(),
    "stops early": MlpSettings(hidden=(16,), learning_rate=0.03, patience=3),
    "two layers, decay": MlpSettings(hidden=(20, 9), weight_decay=0.01, epochs=12, batch_size=7),
    "dropout": MlpSettings(hidden=(20, 9), dropout=0.3, learning_rate=0.01, patience=4),
    "linear": MlpSettings(hidden=(), epochs=20),
    "study": MlpSettings(preset="study"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_all_networks_are_those_of_a_plain_loop_in_float64(name):
    X, Y, fold, groups = problem()
    columns, seeds = [0, 1, 0, 1, 0], [0, 0, 1, 2, 3]
    settings = SETTINGS[name]
    result = mlp.fit_predict(settings, X, Y[:, columns], fold, groups, seeds, dtype=torch.float64)
    for k, (column, seed) in enumerate(zip(columns, seeds, strict=True)):
        expected, epochs, best_epoch = plain_loop(
            settings, X, Y[:, column], fold.train, fold.validation, fold.test, seed
        )
        assert result.details[k] == {"epochs": epochs, "best_epoch": best_epoch}
        np.testing.assert_allclose(result.predictions[:, k], expected, rtol=1e-12)
    if name == "stops early":
        assert len({entry["epochs"] for entry in result.details}) > 1


def test_without_a_validation_part_an_inner_fold_of_speakers_is_watched():
    X, Y, fold, groups = problem()
    fold = Fold(fold.train, fold.train[:0], fold.test)
    settings = MlpSettings(hidden=(16,), learning_rate=0.03, patience=3)
    result = mlp.fit_predict(settings, X, Y[:, :1], fold, groups, [0], dtype=torch.float64)
    fitted, watched = next(inner_folds(fold.train, groups))
    assert not set(groups[fitted]) & set(groups[watched])
    expected, _, _ = plain_loop(settings, X, Y[:, 0], fitted, watched, fold.test, 0)
    np.testing.assert_allclose(result.predictions[:, 0], expected, rtol=1e-12)


def test_the_best_weights_are_kept_not_the_last():
    X, Y, fold, groups = problem()
    settings = MlpSettings(learning_rate=0.05, patience=10)
    found = mlp.fit_predict(settings, X, Y[:, :1], fold, groups, [0])
    best = int(found.details[0]["best_epoch"])
    assert best < found.details[0]["epochs"]
    cut = MlpSettings(learning_rate=0.05, epochs=best, early_stopping=False)
    expected = mlp.fit_predict(cut, X, Y[:, :1], fold, groups, [0])
    np.testing.assert_array_equal(found.predictions, expected.predictions)


def test_networks_that_exceed_the_cache_are_trained_in_turn_with_the_same_result(monkeypatch):
    X, Y, fold, groups = problem()
    together = mlp.fit_predict(MlpSettings(), X, Y[:, [0, 1, 0]], fold, groups, [0, 1, 2])
    monkeypatch.setattr(training, "CACHE_BYTES", 1)
    in_turn = mlp.fit_predict(MlpSettings(), X, Y[:, [0, 1, 0]], fold, groups, [0, 1, 2])
    np.testing.assert_array_equal(in_turn.predictions, together.predictions)


@pytest.mark.parametrize("hidden", [(), (16,), (12, 5)])
def test_weights_alone_predict_the_same(hidden):
    X, Y, fold, groups = problem()
    X[:, 3] = 0.1  # constant: its scale is infinite
    settings = MlpSettings(hidden=hidden, epochs=4)
    result = mlp.fit_predict(settings, X, Y, fold, groups, [0, 1])
    for k, weights in enumerate(result.weights):
        assert weights["layers.0.weight"].dtype == np.float32
        alone = mlp.apply(settings, weights, X[fold.test])
        np.testing.assert_array_equal(alone, result.predictions[:, k])


def test_dropout_of_one_network_does_not_depend_on_its_neighbours():
    X, Y, fold, groups = problem()
    settings = MlpSettings(hidden=(16, 8), dropout=0.5, learning_rate=0.03, patience=3)
    together = mlp.fit_predict(settings, X, Y[:, [0, 1, 0]], fold, groups, [0, 1, 2])
    alone = mlp.fit_predict(settings, X, Y[:, [0]], fold, groups, [2])
    np.testing.assert_array_equal(together.predictions[:, [2]], alone.predictions)


def test_a_network_that_diverges_predicts_nan_and_harms_no_other():
    X, Y, fold, groups = problem()
    both = np.stack([Y[:, 0], Y[:, 1] * 1e30], axis=1)
    settings = MlpSettings(standardise=False, epochs=5)
    result = mlp.fit_predict(settings, X, both, fold, groups, [0, 0])
    assert np.isnan(result.predictions[:, 1]).all()
    alone = mlp.fit_predict(settings, X, both[:, :1], fold, groups, [0])
    np.testing.assert_array_equal(result.predictions[:, :1], alone.predictions)


def test_a_constant_target_is_not_divided_by_its_spread():
    X, _, fold, groups = problem()
    result = mlp.fit_predict(MlpSettings(), X, np.full((len(X), 1), 3.0), fold, groups, [0])
    np.testing.assert_allclose(result.predictions, 3.0, atol=0.5)


def test_the_study_preset_gives_way_to_fields_given_beside_it():
    study = MlpSettings(preset="study")
    assert (study.learning_rate, study.epochs, study.batch_size) == (3e-4, 3, 32)
    assert not study.standardise and not study.early_stopping
    embeddings = MlpSettings(preset="study", epochs=10)
    assert embeddings.epochs == 10 and embeddings.learning_rate == 3e-4
    assert MlpSettings.model_validate(embeddings.model_dump()) == embeddings


def test_identity_knows_the_values_but_neither_preset_nor_number_of_seeds():
    spelled_out = MlpSettings(
        learning_rate=3e-4, epochs=3, standardise=False, early_stopping=False, seeds=7, name="x"
    )
    assert spelled_out.identity() == MlpSettings(preset="study").identity()
    assert spelled_out.identity() != MlpSettings().identity()


def test_a_hidden_layer_of_no_width_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        MlpSettings(hidden=(0,))


@pytest.mark.parametrize("typo", [{"hidden": [10_000_000_000]}, {"seeds": 10_000_000}])
def test_a_size_that_no_memory_holds_is_an_error_of_form(typo):
    with pytest.raises(ValidationError, match="less than or equal to"):
        MlpSettings(**typo)
