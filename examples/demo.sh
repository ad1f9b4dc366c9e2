#!/usr/bin/env bash
# The main job from nothing: images built, a real stack up, used, down, up again, and gone.
set -euo pipefail
cd "$(dirname "$0")/compose/notes"
export NOTES_PORT=${NOTES_PORT:-8080}
page=http://127.0.0.1:$NOTES_PORT/

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

cleanup() { composer --progress quiet down -v >/dev/null 2>&1 || true; }
trap cleanup EXIT

say "The base image: from a registry, or made from Debian packages (the first time takes half a minute)"
BASE=${BASE:-$(../../base.sh)}
export BASE
run printenv BASE

say "Four images, built at the same time (the first time takes another half a minute)"
run composer build -q

say "What up would do"
run composer plan

say "Up: PostgreSQL and Redis, then the migration, then the application, then nginx"
run composer up -d --wait

say "The page, through the published port"
run curl -fsS -d "buy milk" "$page"
run curl -fsS -d "water the plants" "$page"
run curl -fsS "$page"

say "What runs, and what it said"
run composer ps
run composer logs --tail 3

say "Up again does nothing"
run composer up -d

say "Down and up: the notes are still there"
run composer --progress quiet down
run composer --progress quiet up -d --wait
run curl -fsS "$page" | tee /tmp/composer-demo-page.$$
grep -q "2 notes" /tmp/composer-demo-page.$$ || { echo "the notes are gone" >&2; exit 1; }
rm -f /tmp/composer-demo-page.$$

say "Down with its volumes: nothing is left"
run composer down -v
run composer ps -a
left=$(pgrep -fa 'composer: (keeper|supervisor) notes' || true)
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }

say "Done. To use it yourself: cd examples/compose/notes && BASE=$BASE composer up"
