"""Damaged and hostile files are refused by one class of errors, and cost neither memory nor safety.

A file with a wrong checksum is refused before its JSON is parsed. Hostile files therefore get a new
checksum here. Everything runs in processes whose memory is limited, and in which an audit hook
ends the process if anything is imported, compiled, run or opened apart from the file itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile

import numpy as np
import pytest
from factories import classifier, regressor
from processes import run_script

import sknet
from sknet.exceptions import ModelFileError
from sknet.export.tensor_file import MAX_HEADER, PLACE, START, ZEROS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's"),
]

# Room for the sizes that a file of a few kilobytes may need, far below what hostile ones ask for.
EXTRA_MEMORY = 256 * 2**20

GUARD = f"""
import os, resource, sys, warnings
import numpy as np
import sknet
from sknet.estimators.known_parameters import defaults_of
from sknet.exceptions import ModelFileError

path, good = sys.argv[1:3]
sknet.load(good).predict(np.zeros((1, 64)))
defaults_of(sknet.MLPClassifier), defaults_of(sknet.MLPRegressor)

FORBIDDEN = ("exec", "compile", "import", "os.", "subprocess.", "ctypes.", "pickle.", "marshal.",
             "socket.", "shutil.", "tempfile.", "urllib.", "glob.", "code.")

def watch(event, arguments):
    is_file = event == "open" and arguments[0] != path
    if watch.is_on and (is_file or event.startswith(FORBIDDEN)):
        os.write(2, f"{{event}} {{arguments}}".encode())
        os._exit(3)

watch.is_on = False
sys.addaudithook(watch)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + {EXTRA_MEMORY},) * 2)

def refusal(content):
    with open(path, "wb") as file:
        file.write(content)
    watch.is_on = True
    try:
        model = sknet.load(path)
    except ModelFileError as error:
        message = str(error)
        assert len(message) < 1500, message[:1500]
        return message
    finally:
        watch.is_on = False
    return model
"""

MUTATE = (
    GUARD
    + """
content = open(good, "rb").read()
rng = np.random.default_rng(int(sys.argv[3]))

def flipped(data):
    data = bytearray(data)
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        data[place] ^= 1 << rng.integers(8)
    return bytes(data)

def truncated(data):
    return data[: rng.integers(len(data))]

def overwritten(data):
    start, n = rng.integers(len(data)), rng.integers(1, 64)
    return (data[:start] + rng.bytes(n) + data[start + n :])[: len(data)]

def lengthened(data):
    return data + rng.bytes(rng.integers(1, 64))

def inserted(data):
    start = rng.integers(len(data))
    return data[:start] + rng.bytes(rng.integers(1, 16)) + data[start:]

def cut(data):
    start, n = rng.integers(len(data)), rng.integers(1, 64)
    return data[:start] + data[start + n :]

def doubled(data):
    start, n = rng.integers(len(data)), rng.integers(1, 64)
    return data[: start + n] + data[start:]

def with_another_length(data):
    return (rng.bytes(rng.integers(1, 9)) + bytes(8))[:8] + data[8:]

def with_another_digit(data):
    digits = [i for i in range(len(data)) if 48 <= data[i] < 58]
    place = digits[rng.integers(len(digits))]
    return data[:place] + str(rng.integers(10)).encode() + data[place + 1 :]

KINDS = [flipped, truncated, overwritten, lengthened, inserted, cut, doubled,
         with_another_length, with_another_digit]
n = 0
while n < 10_000:
    mutant = KINDS[n % len(KINDS)](content)
    if mutant != content:
        answer = refusal(mutant)
        assert isinstance(answer, str), KINDS[n % len(KINDS)].__name__
        n += 1
print(n)
"""
)


@pytest.fixture(scope="module")
def good(digits, tmp_path_factory):
    """A file that has everything: strings, curves, a generator, moments, an average."""
    X, y = digits[0][:60], digits[1][:60]
    how = {"ema_decay": 0.9, "random_state": np.random.RandomState(0), "dropout": [0.1]}
    model = classifier(hidden_layer_sizes=(3,), max_iter=2, **how)
    model.fit(X, np.array(list("abcdefghij"))[y], X_val=X, y_val=np.array(list("abcdefghij"))[y])
    path = tmp_path_factory.mktemp("files") / "good.safetensors"
    sknet.save(model, path, training_state=True)
    return path


def test_ten_thousand_mutations_are_refused(good):
    # In memory, since opening a file on some disks takes ten times as long as refusing it.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        out = run_script(MUTATE, f"{folder}/mutant", good, 0, timeout=300)
    assert out.split() == ["10000"]


# Hostile files with the right checksum.


class Parts:
    """A file in parts that can be changed: header, document and data."""

    def __init__(self, content: bytes) -> None:
        n = int.from_bytes(content[:8], "little")
        self.header = json.loads(content[8 : 8 + n])
        self.document = json.loads(self.header["__metadata__"]["text"])
        self.data = content[8 + n :]

    def signed(self) -> bytes:
        self.header["__metadata__"]["text"] = json.dumps(self.document)
        return self.signed_header()

    def signed_header(self) -> bytes:
        return signed(json.dumps(self.header, separators=(",", ":")).encode(), self.data)


def signed(header: bytes, data: bytes = b"") -> bytes:
    """Return a file with the right checksum, whatever its header is."""
    if header.startswith(START):
        header = header[: len(START)] + ZEROS + header[len(START) + len(ZEROS) :]
    content = len(header).to_bytes(8, "little") + header + data
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[: PLACE.start] + digest + content[PLACE.stop :]


def changed(where, value):
    """Return what sets an entry of the document."""

    def change(parts):
        place = parts.document
        for key in where[:-1]:
            place = place[key]
        place[where[-1]] = value
        return parts.signed()

    return change


def entry(name, **values):
    """Return what changes the description of an array."""

    def change(parts):
        parts.header[name] = {**parts.header.get(name, {}), **values}
        return parts.signed_header()

    return change


def metadata(**values):
    def change(parts):
        parts.header["__metadata__"] |= values
        return parts.signed_header()

    return change


def text(value):
    """Return what replaces the document by any text."""
    return metadata(text=value)


def header(value):
    """Return what puts raw JSON behind the metadata."""

    def change(parts):
        own = json.dumps({"__metadata__": parts.header["__metadata__"]}, separators=(",", ":"))
        return signed(own[:-1].encode() + value, parts.data)

    return change


def renamed(old, new):
    def change(parts):
        parts.header[new] = parts.header.pop(old)
        return parts.signed_header()

    return change


PARAMETER, ATTRIBUTE = "parameters", "attributes"
DEEP = 100_000
HOSTILE = {
    # The container.
    "a newer format": metadata(format_version="2"),
    "an older format": metadata(format_version="0"),
    "no number as format": metadata(format_version="1e400"),
    "another program": metadata(format="pt"),
    "unknown metadata": metadata(author="me"),
    "metadata that are no texts": metadata(format_version=1),
    "no JSON": header(b""),
    "no UTF-8": header(b',"\xff":1}'),
    "deep lists": header(b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "deep objects": header(b',"x":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}"),
    "many lists": header(b',"x":[' + b"[]," * (MAX_HEADER // 3 - 2000) + b"1]}"),
    "a header that is too long": header(b',"x":"' + b"a" * MAX_HEADER + b'"}'),
    "a huge integer": header(b',"x":' + b"9" * 1_000_000 + b"}"),
    "a huge float": header(b',"x":1e999999}'),
    "NaN": header(b',"x":NaN}'),
    "Infinity": header(b',"x":-Infinity}'),
    "a duplicate name": header(b',"__metadata__":{}}'),
    "a duplicate array": header(b',"a":{"dtype":"U8","dtype":"F64"}}'),
    "an array that is none": header(b',"coefs_.0":7}'),
    "a huge shape": entry("coefs_.0", shape=[2**40, 2**20]),
    "a shape that overflows": entry("coefs_.0", shape=[2**33, 2**33]),
    "a shape of zeros": entry("coefs_.0", shape=[0, 2**62]),
    "a negative shape": entry("coefs_.0", shape=[-64, -3]),
    "a shape of bools": entry("coefs_.0", shape=[True, 192]),
    "a shape of floats": entry("coefs_.0", shape=[64.0, 3]),
    "too many dimensions": entry("coefs_.0", shape=[1] * 64 + [64, 3]),
    "another shape": entry("coefs_.0", shape=[3, 64]),
    "a flat shape": entry("coefs_.0", shape=[192]),
    "another dtype": entry("coefs_.0", dtype="I64"),
    "objects": entry("coefs_.0", dtype="O"),
    "a dtype that is a list": entry("coefs_.0", dtype=[]),
    "offsets outside": entry("coefs_.0", data_offsets=[2**60, 2**60 + 1536]),
    "offsets that overlap": entry("coefs_.0", data_offsets=[0, 1536]),
    "negative offsets": entry("coefs_.0", data_offsets=[-1536, 0]),
    "unknown entries": entry("coefs_.0", code="import os"),
    "a path as a name": renamed("coefs_.0", "../../../../etc/passwd"),
    "an absolute path": renamed("coefs_.0", "/etc/passwd"),
    "an unknown array": renamed("coefs_.0", "coefs_.7"),
    # The document.
    "no document": text(""),
    "a document that is a list": text("[]"),
    "a document that is deep": text("[" * DEEP + "]" * DEEP),
    "a document with duplicates": text('{"class":"MLPClassifier","class":"MLPRegressor"}'),
    "half a document": text('{"class":"MLPClassifier"}'),
    "an unknown class": changed(["class"], "os.system"),
    "a class that is a list": changed(["class"], ["MLPClassifier"]),
    "another class": changed(["class"], "MLPRegressor"),
    "parameters that are a list": changed([PARAMETER], []),
    "an unknown parameter": changed([PARAMETER, "code"], "import os"),
    "a private parameter": changed([PARAMETER, "__class__"], "object"),
    "an invalid parameter": changed([PARAMETER, "alpha"], -1),
    "a parameter of another type": changed([PARAMETER, "solver"], ["adam"]),
    "a parameter with an object": changed([PARAMETER, "alpha"], {"pickle": "gASV"}),
    "an empty object": changed([PARAMETER, "alpha"], {}),
    "a tuple that is none": changed([PARAMETER, "dropout"], {"tuple": 3}),
    "deep tuples": changed([PARAMETER, "dropout"], [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]),
    "a dict with a list as key": changed([PARAMETER, "class_weight"], {"dict": [[[1], 2]]}),
    "a dict without pairs": changed([PARAMETER, "class_weight"], {"dict": [[1]]}),
    "an unknown number": changed([PARAMETER, "alpha"], {"float": "__import__('os')"}),
    "an array that is missing": changed([PARAMETER, "alpha"], {"scalar": "nothing"}),
    "an array by a list": changed([PARAMETER, "alpha"], {"array": ["coefs_.0"]}),
    "a scalar that is none": changed([PARAMETER, "alpha"], {"scalar": "coefs_.0"}),
    "a generator that reads outside": changed([PARAMETER, "random_state", "position"], 2**40),
    "a generator before its state": changed([PARAMETER, "random_state", "position"], -1),
    "a generator without state": changed([PARAMETER, "random_state", "RandomState"], "coefs_.0"),
    "a generator with a text": changed([PARAMETER, "random_state", "gauss"], "1"),
    "an unknown attribute": changed([ATTRIBUTE, "__dict__"], {"dict": []}),
    "a method": changed([ATTRIBUTE, "predict"], 1),
    "rebuilt attributes": changed([ATTRIBUTE, "_cache"], {"dict": []}),
    "an unknown activation": changed([ATTRIBUTE, "_fitted_activations"], {"tuple": ["os.system"]}),
    "too many activations": changed([ATTRIBUTE, "_fitted_activations"], {"tuple": ["relu"] * 2}),
    "activations that are a list": changed([ATTRIBUTE, "_fitted_activations"], ["relu"]),
    "activations that are numbers": changed([ATTRIBUTE, "_fitted_activations"], {"tuple": [1]}),
    "an unknown loss": changed([ATTRIBUTE, "_fitted_loss"], {"tuple": ["exec", []]}),
    "a loss of numbers": changed([ATTRIBUTE, "_fitted_loss"], {"tuple": ["squared_error", []]}),
    "a loss of two classes": changed([ATTRIBUTE, "_fitted_loss"], {"tuple": ["binary_brier", []]}),
    "a loss without its setting": changed([ATTRIBUTE, "_fitted_loss"], {"tuple": ["log_loss", []]}),
    "a loss that is a text": changed([ATTRIBUTE, "_fitted_loss"], "log_loss"),
    "a loss with half a setting": changed(
        [ATTRIBUTE, "_fitted_loss"], {"tuple": ["log_loss", ["0"]]}
    ),
    "another output": changed([ATTRIBUTE, "out_activation_"], "identity"),
    "more features": changed([ATTRIBUTE, "n_features_in_"], 65),
    "features as a float": changed([ATTRIBUTE, "n_features_in_"], 64.0),
    "fewer outputs": changed([ATTRIBUTE, "n_outputs_"], 9),
    "more layers": changed([ATTRIBUTE, "n_layers_"], 4),
    "negative epochs": changed([ATTRIBUTE, "n_iter_"], -1),
    "samples as a bool": changed([ATTRIBUTE, "t_"], True),
    "a loss of None": changed([ATTRIBUTE, "loss_"], None),
    "a curve of texts": changed([ATTRIBUTE, "loss_curve_"], ["1"]),
    "a curve that is a matrix": changed([ATTRIBUTE, "loss_curve_"], {"floats": "coefs_.0"}),
    "no weights": changed([ATTRIBUTE, "coefs_"], []),
    "a layer too many": changed([ATTRIBUTE, "coefs_"], [{"array": "coefs_.0"}] * 3),
    "a layer that does not fit": changed([ATTRIBUTE, "coefs_"], [{"array": "coefs_.0"}] * 2),
    "biases that do not fit": changed([ATTRIBUTE, "intercepts_"], [{"array": "intercepts_.1"}] * 2),
    "weights that are integers": changed(
        [ATTRIBUTE, "intercepts_"], [{"array": "_label_binarizer.classes.ends"}] * 2
    ),
    "weights that are numbers": changed([ATTRIBUTE, "coefs_"], [1, 2]),
    "classes that are numbers": changed([ATTRIBUTE, "classes_"], 10),
    "classes that are a matrix": changed([ATTRIBUTE, "classes_"], {"array": "coefs_.0"}),
    "fewer classes": changed([ATTRIBUTE, "classes_"], {"array": "intercepts_.0"}),
    "unsorted classes": changed([ATTRIBUTE, "classes_"], {"array": "intercepts_.1"}),
    "strings of a huge dtype": changed([ATTRIBUTE, "classes_", "dtype"], "<U99999999"),
    "strings of a narrow dtype": changed([ATTRIBUTE, "classes_", "dtype"], "<U0"),
    "strings of an unknown dtype": changed([ATTRIBUTE, "classes_", "dtype"], "V8"),
    "strings of a list as dtype": changed([ATTRIBUTE, "classes_", "dtype"], []),
    "strings that are missing": changed([ATTRIBUTE, "classes_", "strings"], "coefs_"),
    "labels of another kind": changed([ATTRIBUTE, "_label_binarizer", "dict", 1, 1], "binary"),
    "labels of an unknown kind": changed([ATTRIBUTE, "_label_binarizer", "dict", 1, 1], "x"),
    "labels of no kind": changed([ATTRIBUTE, "_label_binarizer", "dict", 1, 1], [1]),
    "labels without entries": changed([ATTRIBUTE, "_label_binarizer"], {"dict": []}),
    "labels that are None": changed([ATTRIBUTE, "_label_binarizer"], None),
    "names of features that are none": changed([ATTRIBUTE, "feature_names_in_"], "abc"),
    "too few names of features": changed(
        [ATTRIBUTE, "feature_names_in_"], {"strings": "_label_binarizer.classes", "dtype": "object"}
    ),
    "an unknown optimiser": changed([ATTRIBUTE, "_optimizer", "dict", 0, 1], "eval"),
    "another optimiser": changed([ATTRIBUTE, "_optimizer", "dict", 0, 1], "sgd"),
    "an optimiser that is a list": changed([ATTRIBUTE, "_optimizer"], []),
    "an optimiser without moments": changed([ATTRIBUTE, "_optimizer", "dict", 6, 1], None),
    "moments that do not fit": changed(
        [ATTRIBUTE, "_optimizer", "dict", 6, 1], {"array": "intercepts_.0"}
    ),
    "an unknown hyperparameter": changed([ATTRIBUTE, "_optimizer", "dict", 1, 0], "step"),
    "a hyperparameter that is a text": changed([ATTRIBUTE, "_optimizer", "dict", 1, 1], "1"),
    "a hyperparameter that is NaN": changed(
        [ATTRIBUTE, "_optimizer", "dict", 1, 1], {"float": "nan"}
    ),
    "steps that are negative": changed([ATTRIBUTE, "_optimizer", "dict", 7, 1], -5),
    "an average that does not fit": changed(
        [ATTRIBUTE, "_averaging", "dict", 1, 1], {"array": "intercepts_.0"}
    ),
    "an average without decay": changed([ATTRIBUTE, "_averaging", "dict", 0, 1], 2.0),
    "an average that is a text": changed([ATTRIBUTE, "_averaging"], "mean"),
    "measures that are a text": changed([ATTRIBUTE, "_measured"], "loss"),
    "measures of a number": changed([ATTRIBUTE, "_measured", "dict", 1, 1], 5),
    "measures of a list": changed([ATTRIBUTE, "_measured", "dict", 0, 1], 5),
}

REFUSE = (
    GUARD
    + """
from pathlib import Path

for file in sorted(Path(sys.argv[3]).iterdir()):
    answer = refusal(file.read_bytes())
    print(file.name, "refused" if isinstance(answer, str) else "ACCEPTED", ascii(str(answer))[:300])
"""
)


@pytest.fixture(scope="module")
def answers(good, tmp_path_factory):
    """What happens to each hostile file, by its name."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, change in HOSTILE.items():
        (folder / name).write_bytes(change(Parts(good.read_bytes())))
    out = run_script(REFUSE, folder.parent / "mutant", good, folder, timeout=300)
    lines = out.splitlines()
    assert len(lines) == len(HOSTILE)
    found = {n: line for n in HOSTILE for line in lines if line.startswith(f"{n} refused ")}
    return folder, found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, answers):
    folder, found = answers
    assert name in found
    assert "checksum" not in found[name]
    # The process with a limit has shown that it is harmless to do so here, too.
    with pytest.raises(ModelFileError):
        sknet.load(folder / name)


def test_a_signed_file_is_accepted(good, tmp_path):
    """Otherwise the checksum alone could be what hostile files are refused for."""
    path = tmp_path / "model"
    path.write_bytes(Parts(good.read_bytes()).signed())
    assert path.read_bytes() != good.read_bytes()
    assert sknet.load(path).get_params().keys() == sknet.MLPClassifier().get_params().keys()


def test_parameters_that_came_later_have_defaults(good, tmp_path):
    parts = Parts(good.read_bytes())
    del parts.document["parameters"]["n_jobs"]
    path = tmp_path / "model"
    path.write_bytes(parts.signed())
    assert sknet.load(path).n_jobs is None


@pytest.mark.parametrize("name", ["coefs_", "n_iter_", "classes_", "_label_binarizer"])
def test_missing_attributes(name, good, tmp_path):
    parts = Parts(good.read_bytes())
    del parts.document["attributes"][name]
    path = tmp_path / "model"
    path.write_bytes(parts.signed())
    with pytest.raises(ModelFileError, match=f"'{name}'|does not know"):
        sknet.load(path)


FUZZ = (
    GUARD
    + """
import hashlib, json

content = open(good, "rb").read()
n = int.from_bytes(content[:8], "little")
header, data = json.loads(content[8 : 8 + n]), content[8 + n :]
text = header["__metadata__"]["text"]
rng = np.random.default_rng(int(sys.argv[3]))
VALUES = [None, True, -1, 0, 3, 2**62, 0.5, 1e300, "", "adam", "relu", "x" * 100, [], [[]],
          [1, "a"], {}, {"tuple": []}, {"dict": []}, {"array": "coefs_.0"}, {"scalar": "coefs_.0"},
          {"float": "nan"}, {"float": "inf"}, {"floats": "loss_curve_"}, {"numpy_string": "a"},
          {"strings": "_label_binarizer.classes", "dtype": "object"}]

def places(value, found):
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places(value[key], found)
    return found

X, outcomes = np.zeros((2, 64)), {"refused": 0, "accepted": 0}
for _ in range(3000):
    changed, document = json.loads(json.dumps(header)), json.loads(text)
    for _ in range(rng.integers(1, 3)):
        tree = changed if rng.random() < 0.2 else document
        found = places(tree, [])
        place, key = found[rng.integers(len(found))]
        place[key] = VALUES[rng.integers(len(VALUES))]
    metadata = changed.get("__metadata__")
    if isinstance(metadata, dict) and "text" in metadata:
        metadata["text"] = json.dumps(document)
    if isinstance(metadata, dict):
        metadata["sha256"] = "0" * 64
    raw = json.dumps(changed, separators=(",", ":")).encode()
    whole = len(raw).to_bytes(8, "little") + raw + data
    digest = hashlib.sha256(whole).hexdigest().encode()
    whole = whole[:35] + digest + whole[99:]
    answer = refusal(whole)
    outcomes["refused" if isinstance(answer, str) else "accepted"] += 1
    if not isinstance(answer, str):
        # Its parameters may be others, but it is a network.
        assert answer.predict(X).shape == (2,)
print(outcomes)
"""
)


def test_random_changes_of_signed_files(good, tmp_path):
    """Each is refused by the one class of errors, or is a network that predicts."""
    out = run_script(FUZZ, tmp_path / "mutant", good, 0, timeout=300)
    outcomes = eval(out)
    assert sum(outcomes.values()) == 3000
    assert outcomes["refused"] > 2000


def test_huge_files_take_no_memory(good, tmp_path):
    """A sparse file of 600 MB, more than the memory, is read in pieces for its checksum."""
    parts = Parts(good.read_bytes())
    path = tmp_path / "files" / "huge"
    path.parent.mkdir()
    path.write_bytes(parts.signed_header())
    with open(path, "r+b") as file:
        file.truncate(600 * 2**20)
    out = run_script(
        GUARD + "\ntry:\n    sknet.load(sys.argv[3])\nexcept ModelFileError as e:\n    print(e)",
        tmp_path / "mutant",
        good,
        path,
        timeout=300,
    )
    assert "damaged" in out


def test_two_quantiles_too_many(digits, tmp_path):
    """Kernels sort as many outputs at a time as there are quantiles."""
    X, y = digits[0][:60], digits[1][:60]
    model = regressor(loss="quantile", quantile=[0.1, 0.5], max_iter=2, non_crossing=True)
    path = tmp_path / "model"
    sknet.save(model.fit(X, y), path)
    parts = Parts(path.read_bytes())
    loss = parts.header["_fitted_loss.1"]
    for settings in ([0.0, 0.5, 0.1], [0.0, 0.1, 1.5], [1.0, 0.2, np.nan]):
        data = bytearray(parts.data)
        data[slice(*loss["data_offsets"])] = np.array(settings).tobytes()
        path.write_bytes(signed(json.dumps(parts.header, separators=(",", ":")).encode(), data))
        with pytest.raises(ModelFileError, match="_fitted_loss"):
            sknet.load(path)
