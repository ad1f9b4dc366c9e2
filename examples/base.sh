#!/usr/bin/env bash
# Print the base image for the examples, and get it first where it is missing: BASE=$(examples/base.sh) composer up
#
# The first of these that can be had:
#   debian:bookworm-slim   from a registry
#   examples-base          made from the packages of a Debian mirror (as root, with mmdebstrap)
#   host                   the programs of this machine: then it must have what the examples install
# The command to use is $COMPOSER, or composer.
set -euo pipefail
composer=${COMPOSER:-composer}
public=debian:bookworm-slim
made=examples-base

for name in "$public" "$made"; do
    if "$composer" --backend namespace image ls -q "$name" 2>/dev/null | grep -q .; then
        echo "$name"
        exit
    fi
done
if timeout 60 "$composer" --progress quiet --backend namespace image pull "$public" >/dev/null 2>&1; then
    echo "$public"
elif [ "$(id -u)" = 0 ] && command -v mmdebstrap >/dev/null; then
    echo "no registry can be reached: making image $made from Debian packages" >&2
    COMPOSER=$composer "$(dirname "$0")/debian.sh" "$made" >&2
    echo "$made"
else
    echo "neither a registry nor mmdebstrap: the base is this machine" >&2
    echo host
fi
