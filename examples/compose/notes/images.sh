#!/usr/bin/env bash
# Make this example's four images from Debian packages and import them. Those that are there already are kept.
# Needs root and mmdebstrap on a Debian machine. The command to use is $COMPOSER, or composer.
set -euo pipefail
composer=${COMPOSER:-composer}
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -s "$file" ] && grep -qE '^(deb|Types:)' "$file" && sources+=("$file")
done

make_image() { # NAME PACKAGES [IMPORT OPTION…]
    local name=$1 packages=$2
    shift 2
    if "$composer" image ls -q "$name" 2>/dev/null | grep -q .; then
        echo "image $name is there"
        return
    fi
    echo "making image $name ($packages)"
    mmdebstrap --quiet --variant=minbase --include="$packages" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
        "$codename" "$work/$name.tar" "${sources[@]}"
    "$composer" image import "$work/$name.tar" "$name" "$@"
    rm "$work/$name.tar"
}

make_image notes-postgres postgresql --expose 5432
make_image notes-redis redis-server --expose 6379
make_image notes-nginx nginx-light --expose 80
make_image notes-app python3-psycopg2,python3-redis --expose 8000
