#!/usr/bin/env bash
# First-order DARTS on 10,000 CIFAR-10 images, small enough for two CPU cores: two seeds; the found cells, three random
# cells and DARTS_V2 trained alike. Skips and resumes as digits_study.sh does.
# Usage: benchmarks/cifar10_study.sh runs/cifar10-study DATA_DIR
set -euo pipefail
out=${1:?give a folder for the runs}
data=(--data cifar10 --data-dir "${2:?give the folder that holds cifar-10-batches-bin}" --max-images 10000)
threads=${THREADS:-1}
size=(--channels 8 --cells 5 --epochs "${TRAIN_EPOCHS:-10}" --no-auxiliary --drop-path 0 --cutout 0)
mkdir -p "$out"

once() { # once FOLDER COMMAND...: runs, resumes, or skips
    local folder=$1
    shift
    if [ -f "$folder/config.toml" ]; then dartboard resume "$folder"; else dartboard "$@" --out "$folder"; fi
}

for seed in 0 1; do
    once "$out/search-s$seed" search darts "${data[@]}" --seed "$seed" --threads "$threads" \
        --channels 4 --cells 4 --epochs 10 --alpha-lr 0.003
    once "$out/train-found-s$seed" train "$out/search-s$seed" "${data[@]}" --threads "$threads" "${size[@]}"
done
for i in 0 1 2; do
    python -c "
import json, random
from dartboard.spaces.darts import SPACE
print(json.dumps(SPACE.sample(random.Random($i)).to_json()))" >"$out/random-$i.json"
    once "$out/train-random-$i" train "$out/random-$i.json" "${data[@]}" --threads "$threads" "${size[@]}"
done
once "$out/train-DARTS_V2" train DARTS_V2 "${data[@]}" --threads "$threads" "${size[@]}"
dartboard report "$out"/search-* "$out"/train-* --out "$out/report.html"
python benchmarks/summary.py "$out"
