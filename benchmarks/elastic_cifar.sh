#!/bin/sh
# Supernets of elastic networks on a part of CIFAR-10: what their shared weights say of networks, and what those learn
# alone in as many steps.
#
# Usage: DATA=DIR [IMAGES=4000] [EPOCHS=12] [TRIALS=12] [SEED=0] [THREADS=1] [METHODS="bignas ofa"] [FRONT=yes]
#        elastic_cifar.sh OUT
# DATA: the folder of CIFAR-10. For each method, in OUT/METHOD: `supernet`, the search; `alone`, TRIALS networks drawn
# uniformly and trained by themselves for the same epochs, which is random search, too; `rank`, the scores by shared
# weights (recalibrated) against those of the trainings; `front`, unless FRONT is another word than yes. A step that has
# finished is not made again, one that was stopped is resumed.
set -eu
OUT=${1:?give the folder of the results}
DARTBOARD=${DARTBOARD:-dartboard}
DATA_FLAGS="--data cifar10 --data-dir ${DATA:?give the folder of CIFAR-10} --max-images ${IMAGES:-4000} --seed ${SEED:-0} --threads ${THREADS:-1}"
EPOCHS=${EPOCHS:-12}

made() { # the folder of a run, then its command
    folder=$1
    shift
    if [ -e "$folder/config.toml" ]; then $DARTBOARD resume "$folder"; else $DARTBOARD "$@" --out "$folder"; fi
}

for method in ${METHODS:-bignas ofa}; do
    space=$method-32
    own=""
    # the constant ending is reached after four fifths of the epochs: 0.97^98 is a twentieth
    if [ "$method" = bignas ]; then own="--lr-decay-epochs $(awk "BEGIN { print 0.8 * $EPOCHS / 98 }")"; fi
    # shellcheck disable=SC2086
    made "$OUT/$method/supernet" search "$method" --space "$space" $DATA_FLAGS --epochs "$EPOCHS" --val-images 1000 $own
    # shellcheck disable=SC2086
    made "$OUT/$method/alone" search random_search --space "$space" $DATA_FLAGS --epochs "$EPOCHS" \
        --trials "${TRIALS:-12}"
    $DARTBOARD rank "$OUT/$method/supernet" --scores "$OUT/$method/alone" --out "$OUT/$method/rank"
    [ "${FRONT:-yes}" != yes ] ||
        $DARTBOARD front "$OUT/$method/supernet" --samples 24 --targets 5 --scorings 20 --val-images 1000
done
