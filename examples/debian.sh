#!/usr/bin/env bash
# Make a base image from Debian packages, without a registry: examples/debian.sh NAME [PACKAGE…]
# Needs root, mmdebstrap and a mirror of Debian. The command to use is $COMPOSER, or composer.
set -euo pipefail
composer=${COMPOSER:-composer}
name=$1
shift
packages=$(IFS=,; echo "$*")
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

# The mirrors of this machine. Those of other vendors are left out: the image does not have their keys.
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -s "$file" ] || continue
    if grep -qE "^(deb|Suites:).*[[:space:]]$codename([[:space:]/-]|$)" "$file" &&
        grep -qE '^(deb|Components:).*[[:space:]]main([[:space:]]|$)' "$file"; then
        sources+=("$file")
    fi
done

mmdebstrap --quiet --variant=minbase ${packages:+--include="$packages"} \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    "$codename" "$work/base.tar" "${sources[@]}"
"$composer" --backend namespace image import -c 'CMD ["bash"]' "$work/base.tar" "$name"
