#!/bin/sh
# Plants bugs into a copy of the engine, builds the tests over it once, and says of each bug whether who should find it does:
# in which world the simulation, or which test. plants.txt names them.
# run.sh [NAME...]; SEEDS=n looks at so many worlds (20000). A bug that is not found ends it with 1, when all were looked for.
set -eu
cd "$(dirname "$0")/../../.."
root=$PWD patch=$PWD/tests/simulate/planted/engine.patch list=$PWD/tests/simulate/planted/plants.txt
copy=${CARGO_TARGET_DIR:-$root/target}/planted
rm -rf "$copy" && mkdir -p "$copy"
cp -R Cargo.toml Cargo.lock benches config deploy docs schemas src tests "$copy"
cp ./*.md "$copy"
(cd "$copy" && patch -s -F0 -p1 <"$patch")
# Another version, so that Cargo takes nothing that is built here for the real thing, which shares the directory.
for file in Cargo.toml Cargo.lock; do
    awk '/^name = "order-sync"$/ { ours = 1 } ours && /^version = / { $0 = "version = \"0.0.0-planted\""; ours = 0 } { print }' \
        "$file" >"$copy/$file"
done
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} CARGO_PROFILE_DEV_OPT_LEVEL=1
export CARGO_TARGET_DIR CARGO_PROFILE_DEV_OPT_LEVEL
cd "$copy"

# The targets that the named bugs need, and one test of them: run_in lib sync::restore::tests::name
run_in() {
    case $1 in
    simulation) SEEDS=${SEEDS:-20000} cargo test --quiet --locked --test simulate every_promise -- --nocapture ;;
    lib) cargo test --quiet --locked --lib -- --nocapture --exact "$2" ;;
    it) cargo test --quiet --locked --test it -- --nocapture --exact "$2" ;;
    esac
}

all=$#
names=${*:-$(awk '/^[a-z]/ { print $1 }' "$list")}
missed=0 healthy=""
for name in $names; do
    finder=$(awk -v name="$name" '$1 == name { print $2, $3 }' "$list")
    [ -n "$finder" ] || { echo "$name: plants.txt does not have it" && exit 2; }
    # shellcheck disable=SC2086 # two words
    set -- $finder
    # A test proves something only where it passes without the bug, and was run.
    if [ "$1" != simulation ] && ! echo "$healthy" | grep -qx "$2"; then
        said=$(PLANT="" run_in "$1" "$2" 2>&1) || { echo "$name: $2 fails without it, too" && missed=1 && continue; }
        echo "$said" | grep -q SKIPPED && echo "$name: LEFT OUT, there is no real Kafka here" && continue
        echo "$said" | grep -q '1 passed' || { echo "$name: there is no test $2" && missed=1 && continue; }
        healthy="$healthy
$2"
    fi
    if said=$(PLANT=$name run_in "$1" "${2:-}" 2>&1); then
        echo "$name: NOT FOUND" && missed=1
    elif [ "$1" = simulation ]; then
        seed=$(echo "$said" | grep -o 'SEED=[0-9]*' | cut -d = -f 2)
        echo "$name: $((${seed:?the simulation did not run: $said} + 1)) worlds"
    else
        echo "$said" | grep -q '1 failed' || { echo "$name: the test did not run: $said" && missed=1 && continue; }
        echo "$name: $2"
    fi
done
# Those of the fakes, with all the others.
if [ "$all" = 0 ]; then
    if said=$(PLANT="" SEEDS=${SEEDS:-20000} cargo test --quiet --locked --test simulate every_planted -- --nocapture 2>&1); then
        echo "$said" | grep worlds
    else
        echo "$said" | grep -e worlds -e 'not found' && missed=1
    fi
fi
exit $missed
