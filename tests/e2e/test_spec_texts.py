"""Texts in every style that YAML has, as PyYAML reads them: random ones, the same in every run."""
import json
import random

import yaml  # python3-yaml

DOCUMENTS, TEXTS = 25, 60
HEAD = "version: v1\ndeployment: abc\nservices:\n  a:\n    image: {name: x}\n    labels:\n"
BREAKS = ["\n          ", "\n\n          ", "\n            ", "\n\n\n          "]


def some(rng, pieces, most=8):
    return "".join(rng.choice(pieces) for _ in range(rng.randint(0, most)))


def single(rng):
    return "'" + some(rng, ["a", "b", " ", "  ", "''", "''''", "x''y", "\\n", "\\", '"', ":", "#", " #", "- ", "é", "日",
                            "\t", "{", "}", "[", ",", "%", "@", "0", "!", " : ", *BREAKS]) + "'"


def double(rng):
    return '"' + some(rng, ["a", " ", "  ", "\\n", "\\t", "\\\\", '\\"', "\\u00e9", "\\x41", "\\U0001f600", "\\N", "\\_",
                            "\\L", "\\P", "\\ ", "\\/", "\\e", "'", "''", ":", "#", "é", "{", *BREAKS,
                            *("\\" + b for b in BREAKS)]) + '"'


def plain(rng):
    return "p" + some(rng, ["a", "b", " ", "'", "''", '"', "\\", ":b", "#c", "-", "é", "0", ",", *BREAKS]).rstrip(":")


def block(rng):
    lines = ["z"] + [rng.choice(["a", "b c", "  in", "", "''x", '"q"', "# no", "é", "- x", "a  "])
                     for _ in range(rng.randint(0, 5))]
    return rng.choice("|>") + rng.choice(["", "-", "+"]) + "\n" + "\n".join(line and "        " + line for line in lines)


def is_one_text(text):
    """Whether PyYAML takes it for the text that it was meant to be."""
    try:
        found = yaml.load(f"a:\n  l: {text}\nz: end\n", Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return False
    return isinstance(found, dict) and list(found) == ["a", "z"] and isinstance(found["a"], dict) \
        and list(found["a"]) == ["l"] and isinstance(found["a"]["l"], str)


def test_texts_are_read_as_another_reader_reads_them(world):
    rng = random.Random(20260329)
    seen = 0
    for _ in range(DOCUMENTS):
        texts = [rng.choice([single, double, plain, block])(rng) for _ in range(TEXTS)]
        texts = [t for t in texts if is_one_text(t)]
        document = HEAD + "".join(f"      k{i}: {t}\n" for i, t in enumerate(texts))
        want = yaml.load(document, Loader=yaml.BaseLoader)["services"]["a"]["labels"]
        dump = world.zlayer("spec", "dump", "-", "-o", "json", input=document).stdout
        got = json.loads(dump)["services"]["a"]["labels"]
        assert {k: (texts[int(k[1:])], v) for k, v in want.items() if got[k] != v} == {}
        seen += len(texts)
    assert seen > DOCUMENTS * TEXTS / 2
