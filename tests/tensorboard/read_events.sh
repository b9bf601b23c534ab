#!/usr/bin/env bash
# read_events.sh PYTHON TARN VENV: trains, is resumed and exports, and has the package tensorboard read
# both folders and compare them with metrics.jsonl. The package is installed into VENV, which is kept.
set -euo pipefail
python=$1 tarn=$2 venv=$3
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

if ! [[ -x $venv/bin/python ]] || ! "$venv/bin/python" -c 'import tensorboard' 2>/dev/null; then
  rm -rf "$venv"
  if ! "$python" -m venv "$venv" >"$folder/log" 2>&1 ||
    ! timeout 300 "$venv/bin/pip" install --quiet --retries 0 tensorboard >"$folder/log" 2>&1; then
    echo "skipped: the package tensorboard cannot be had here: $(tail -1 "$folder/log")"
    exit
  fi
fi

cat >"$folder/config.toml" <<END
[run]
tensorboard = true
[task]
sequence_length = 16
[model]
layers = 1
heads = 2
head_dim = 8
[train]
batch_size = 4
eval_every = 10
checkpoint_every = 10
log_every = 3
END

run=$folder/run
OMP_NUM_THREADS=1 "$tarn" train "$folder/config.toml" --out "$run" --set train.steps=20
OMP_NUM_THREADS=1 "$tarn" train "$folder/config.toml" --out "$run" --set train.steps=40 --resume
"$tarn" export "$run" --tensorboard "$folder/exported"
"$venv/bin/python" - "$run/metrics.jsonl" "$run/tensorboard" "$folder/exported" <<'END'
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

expected = {}
for line in map(json.loads, open(sys.argv[1], encoding="utf-8")):
    values = line.get("evaluation", line)
    for name, value in values.items():
        if name != "step":
            tag = f"evaluation/{name}" if "evaluation" in line else name if name == "lr" else f"train/{name}"
            expected.setdefault(tag, []).append((line["step"], value))
for folder in sys.argv[2:]:
    read = EventAccumulator(folder, size_guidance={"scalars": 0})
    read.Reload()
    tags = [tag for tag in read.Tags()["scalars"] if not tag.startswith("timing/")]
    assert sorted(tags) == sorted(expected), (folder, tags)
    for tag, values in expected.items():
        found = [(event.step, event.value) for event in read.Scalars(tag)]
        assert [step for step, _ in found] == [step for step, _ in values], (folder, tag, found)
        assert all(abs(a[1] - b[1]) <= 1e-6 * abs(b[1]) for a, b in zip(found, values)), (folder, tag)
    assert len(read.Scalars("timing/tokens_per_s")) == len(expected["train/loss"]), folder
print(f"{sum(map(len, expected.values()))} values of {len(expected)} tags, twice")
END
