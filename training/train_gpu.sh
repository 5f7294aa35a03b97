#!/usr/bin/env bash
# Pre-train, cross-validate, train and export in one go, for a quarter of an hour of a GPU. Killed, the same
# line goes on. DATA holds films_all.csv, second/expert_labels.csv, second/boxes.csv and unlabelled/.
#
#     DATA=data OUT=runs/gpu DEVICE=cuda training/train_gpu.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hilum=${HILUM:-hilum}
data=${DATA:?folder of the films} out=${OUT:-runs/gpu} device=${DEVICE:-cuda} folds=${FOLDS:-5}
read -r -a pretrain_set <<<"${PRETRAIN_SET:-}"
read -r -a train_set <<<"${TRAIN_SET:-}"

# the train films of the list, and those without labels
$hilum pretrain --folder "$data/unlabelled" --films "$data/films_all.csv" --out "$out/pretrain" \
    --config "$here/configs/gpu_pretrain.toml" "${pretrain_set[@]}" --device "$device"
labelled=(--films "$data/films_all.csv" --experts "$data/second/expert_labels.csv"
    --config "$here/configs/gpu.toml" --set "initial=$out/pretrain/best.pt" "${train_set[@]}" --device "$device")
$hilum cross-validate "${labelled[@]}" --folds "$folds" --out "$out/folds"
$hilum train "${labelled[@]}" --out "$out/final"
$hilum export "$out/final" --boxes "$data/second/boxes.csv" --out "$out/bundle" --device "$device"
