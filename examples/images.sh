#!/usr/bin/env bash
# Build the images of all examples, on one base.
set -euo pipefail
cd "$(dirname "$0")"
BASE=${BASE:-$(./base.sh)}
export BASE
echo "base: $BASE"
for example in notes registry registry/develop; do
    "${COMPOSER:-composer}" --backend namespace --project-directory "compose/$example" build -q
done
