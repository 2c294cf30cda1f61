"""scikit-learn's fitted linear models and multilayer perceptrons as Heads (`sklearn_heads.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    HuberRegressor,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import LinearSVC, LinearSVR
from torch import Tensor, nn

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.signature import Array
from .sklearn_heads import Classes, Head, Link, methods_of
from .sklearn_preprocess import Linear


def head(estimator: Any) -> Head:
    """The Head of a fitted estimator that is not made of trees. Raises UnsupportedError for one without a lowering."""
    if lower := ESTIMATORS.get(type(estimator)):
        return lower(estimator)
    known = ", ".join(sorted(kind.__name__ for kind in ESTIMATORS))
    raise UnsupportedError(f"{type(estimator).__name__} has no lowering of Portside's own", expected=known)


def _regressor(estimator: Any) -> Head:
    weight, bias = _coefficients(estimator)
    return Head(Linear(weight, bias), "value", has=methods_of(estimator))


def _classifier(estimator: Any) -> Head:
    weight, bias = _coefficients(estimator)
    classes = Classes.of(estimator.classes_)
    return Head(Linear(weight, bias), _link(estimator, classes), classes, methods_of(estimator))


def _link(estimator: Any, classes: Classes) -> Link:
    if isinstance(estimator, LogisticRegression):
        one_by_one = estimator.solver == "liblinear" or getattr(estimator, "multi_class", None) == "ovr"  # before scikit-learn 1.8
        return "sigmoid" if classes.count <= 2 else "ovr" if one_by_one else "softmax"
    if isinstance(estimator, SGDClassifier):
        return {"log_loss": "ovr", "modified_huber": "huber"}.get(estimator.loss, "margin")  # type: ignore[return-value]
    return "margin"


def _coefficients(estimator: Any) -> tuple[Array, Array]:
    """(features, outputs) and (outputs,) in float64."""
    weight = np.atleast_2d(np.asarray(estimator.coef_, np.float64)).T
    bias = np.broadcast_to(np.asarray(estimator.intercept_, np.float64).reshape(-1), (weight.shape[1],))
    return weight, bias


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x, "logistic": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu,
}  # fmt: skip


class Perceptrons(nn.Module):
    """Fully connected layers, without the last activation."""

    def __init__(self, weights: Sequence[Array], biases: Sequence[Array], activation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Linear(weight, bias) for weight, bias in zip(weights, biases, strict=True)])
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = ACTIVATIONS[self.activation](layer(x))
        return self.layers[-1](x)


def _perceptron(estimator: Any) -> Head:
    score = Perceptrons(estimator.coefs_, estimator.intercepts_, estimator.activation)
    if not isinstance(estimator, MLPClassifier):
        return Head(score, "exp" if estimator.out_activation_ == "exp" else "value", has=methods_of(estimator))
    classes = Classes.of(estimator.classes_)
    if estimator.out_activation_ == "logistic" and estimator.n_outputs_ > 1:
        raise UnsupportedError("A multilabel MLPClassifier has no lowering", fix="Pack one model per label.")
    return Head(score, "softmax" if estimator.out_activation_ == "softmax" else "sigmoid", classes, methods_of(estimator))


REGRESSORS = (
    LinearRegression, Ridge, RidgeCV, Lasso, LassoCV, ElasticNet, ElasticNetCV, BayesianRidge, ARDRegression, HuberRegressor,
    SGDRegressor, LinearSVR,
)  # fmt: skip
CLASSIFIERS = (LogisticRegression, LogisticRegressionCV, SGDClassifier, Perceptron, RidgeClassifier, RidgeClassifierCV, LinearSVC)
ESTIMATORS: dict[type, Callable[[Any], Head]] = {
    **dict.fromkeys(REGRESSORS, _regressor), **dict.fromkeys(CLASSIFIERS, _classifier),
    MLPClassifier: _perceptron, MLPRegressor: _perceptron,
}  # fmt: skip
