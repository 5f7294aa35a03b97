#!/bin/sh
# Installs what requirements.lock names into an environment: install.sh ENVIRONMENT [CPU_INDEX]
#
# With CPU_INDEX, torch and torchvision come from that index, in the locked versions, and CUDA stays
# away. Their hashes are not in the lock: they are other files than those of the package index.
set -eu
environment=$1 cpu_index=${2:-}
pip() { python -m pip --python "$environment" install --quiet --no-deps "$@"; }

if [ -z "$cpu_index" ]; then
    pip --require-hashes --requirement requirements.lock
else
    awk '/^[^ #]/ { left = /^(torch|torchvision|triton|nvidia-|cuda-)/ } !left' requirements.lock >cpu.lock
    pip --require-hashes --requirement cpu.lock
    sed -n 's/^\(torch\(vision\)\?==[^ ]*\).*/\1/p' requirements.lock >torch.txt
    pip --index-url "$cpu_index" --requirement torch.txt
fi

# what only those need who build or test
packages=$(echo "$environment"/lib/python3*/site-packages)
find "$packages" -type d -name tests -prune -exec rm -rf {} +
rm -rf "$packages/pydicom/data/test_files" "$packages/pydicom/data/charset_files" \
    "$packages/torch/include" "$packages/torch/share"
