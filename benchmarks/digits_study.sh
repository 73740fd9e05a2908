#!/usr/bin/env bash
# First- and second-order DARTS on digits, three seeds each, every found cell trained from scratch, against five random
# cells trained the same. Writes run folders and one page below the folder given; a folder that is done is skipped,
# one that was stopped is gone on with. Usage: benchmarks/digits_study.sh runs/digits-study
set -euo pipefail
out=${1:?give a folder for the runs}
threads=${THREADS:-1}
mkdir -p "$out"

once() { # once FOLDER COMMAND...: runs, resumes, or skips
    local folder=$1
    shift
    if [ -f "$folder/config.toml" ]; then dartboard resume "$folder"; else dartboard "$@" --out "$folder"; fi
}

for i in 0 1 2 3 4; do
    python -c "
import json, random
from dartboard.spaces.darts import SPACE
print(json.dumps(SPACE.sample(random.Random($i)).to_json()))" >"$out/random-$i.json"
    once "$out/train-random-$i" train "$out/random-$i.json" --data digits --threads "$threads"
done
for seed in 0 1 2; do
    for order in first second; do
        flag=--no-second-order
        if [ "$order" = second ]; then flag=--second-order; fi
        once "$out/search-$order-s$seed" search darts --data digits --seed "$seed" "$flag" --threads "$threads"
        once "$out/train-$order-s$seed" train "$out/search-$order-s$seed" --data digits --threads "$threads"
    done
done
dartboard report "$out"/search-* "$out"/train-* --out "$out/report.html"
python benchmarks/summary.py "$out"
