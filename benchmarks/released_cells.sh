#!/usr/bin/env bash
# Cells of public re-runs beside the released ones, DARTS' and ENAS': drawn side by side, counted, and trained with
# equal settings on a part of CIFAR-10, three seeds each. A folder that is done is skipped, one that was stopped is gone
# on with. Usage: DATA=DIR benchmarks/released_cells.sh runs/released-cells
set -euo pipefail
out=${1:?give a folder for the runs}
data=${DATA:?give the folder that holds cifar-10-batches-bin}
images=${IMAGES:-4000} epochs=${EPOCHS:-8} threads=${THREADS:-1}
python=${PYTHON:-python}
mkdir -p "$out"

"$python" -m dartboard show public_rerun_2023 --against DARTS_V2 --image "$out/darts.svg" >"$out/darts.txt"
for cell in ENAS_micro ENAS_micro_rerun_2023; do
    "$python" -m dartboard show "$cell" --image "$out/$cell.svg" >"$out/$cell.txt"
done
for seed in 0 1 2; do
    for cell in DARTS_V2 public_rerun_2023 ENAS_micro ENAS_micro_rerun_2023; do
        folder="$out/$cell-s$seed"
        if [ -f "$folder/config.toml" ]; then
            "$python" -m dartboard resume "$folder"
            continue
        fi
        "$python" -m dartboard train "$cell" --data cifar10 --data-dir "$data" --max-images "$images" \
            --channels 8 --cells 8 --epochs "$epochs" --batch-size 64 --lr 0.025 --lr-min 0 --weight-decay 3e-4 \
            --cutout 0 --drop-path 0 --no-auxiliary --seed "$seed" --threads "$threads" --out "$folder"
    done
done
"$python" benchmarks/summary.py "$out"
