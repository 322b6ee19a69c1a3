#!/usr/bin/env bash
# All that needs a GPU, in one go: bash tests/gpu/first_run.sh OUT [--dry]
#
# Each step has its own time limit and writes into the folder OUT as it goes, so that a cut leaves what came before:
# OUT/steps.log has the status and the seconds of each, OUT/STEP.log what it said. --dry runs all of it on NumPy at tiny
# sizes, where there is no GPU. PYTHON names the interpreter, WORKERS how many test at once (8), ONLY the steps (all of
# them: doctor tests bench launches train world), WORK a folder for runs and drawn scenes (the world of DSRSID's size
# takes 13 GB).
set -u
out=${1:?a folder for the results}
dry=${2:-}
cd "$(dirname "$0")/../.." || exit 2
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
only=" ${ONLY:-doctor tests bench launches train world} "
python=${PYTHON:-python3}
work=${WORK:-$(mktemp -d)}
export CMIR_CACHE=$work/scenes CMIR_MAY_LACK="librosa soundfile nbformat jupytext nbclient ipykernel yaml" PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}. PYTHONUNBUFFERED=1 CUPY_TF32=0
began=$(date +%s)
status=0

step() { # step NAME SECONDS COMMAND…
    local name=$1 limit=$2 start code
    shift 2
    [[ $only == *" $name "* ]] || return 0
    start=$(date +%s)
    echo "== $*" >>"$out/$name.log"
    timeout -s INT -k 5 "$limit" "$@" >>"$out/$name.log" 2>&1
    code=$?
    [ $code = 0 ] || status=1
    echo "$((start - began)) s: $name ended with $code after $(($(date +%s) - start)) of $limit s: $*" |
        tee -a "$out/steps.log"
}

run() { # run NAME SECONDS SCENES SETTING…: both stages on the simulated world; queries are searched in the training part
    local name=$1 limit=$2 to=$work/$1 settings=(dataset=scenes "scenes=$3" "${@:4}")
    step "$name" "$limit" env OMP_NUM_THREADS=1 "$python" -m cmir_ref train pan-mul "${settings[@]/#/--set=}" \
        --device "$device" --out "$to" # one thread in each of the processes that draw scenes
    step "$name" 20 "$python" tests/gpu/first_run.py seconds "$to"
    step "$name" 60 "$python" -m cmir_ref evaluate "$to" --gallery train --device "$device"
}

if [ "$dry" ]; then
    device=cpu testing=400 # two busy cores may collect for minutes
else
    device=cuda testing=120
    step doctor 10 nvidia-smi
fi
step doctor 20 "$python" -m cmir_ref doctor
step doctor 40 "$python" tests/gpu/first_run.py one $dry
step tests $testing "$python" -m pytest -m gpu -q -n "${WORKERS:-8}" -p no:cacheprovider --durations=10 tests
for part in machine:20 numbers:60 calls:20 memory:30 conv:100 latent:30 epoch:60; do
    step bench "${part##*:}" "$python" tests/gpu/first_run.py bench "${part%%:*}" $dry
done
step launches 60 "$python" tests/gpu/first_run.py launches $dry
if [ "$dry" ]; then
    run train 120 32 stage1.epochs=1 stage2.epochs=2
    run world 120 48 stage1.epochs=1 stage2.epochs=2 test_share=0.0625
else
    run train 150 4000
    run world 300 80000 stage1.epochs=2 stage2.epochs=3 test_share=0.0625 # DSRSID's 5 000 of 80 000
fi
exit $status
