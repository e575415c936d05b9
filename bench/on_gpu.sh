#!/usr/bin/env bash
# Everything that needs a card, in under nine minutes: the tests marked gpu, parity with NumPy, the benchmark beside
# PyTorch and JAX in float32 and in TF32. From a checkout, offline, with what python3 has installed:
#
#     bash bench/on_gpu.sh [FOLDER]          default: bench/results/<date>-<card>/
#     PYTHON=…/bin/python bash bench/on_gpu.sh
#
# It writes one folder of results; bench/results/README.md says what is in it. Every stage has a time limit, and the
# next one runs whatever came of the one before; what was written stays.
# Exit codes: 0 everything passed, 1 a stage failed, 2 no usable GPU (nothing is written), 130 interrupted.
set -uo pipefail

python=${PYTHON:-python3}
folder=${1:+$(realpath -m -- "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export PYTHONUNBUFFERED=1

# Seconds: of the whole, the most for the tests and for parity, and what is kept for TF32 at the end.
whole=520 tests=165 parity=45 kept=95
named=mlp-3b1b,mlp-nielsen,mlp-512,cnn-nielsen,rnn-char,lstm-char,gpt-nano,names-mlp,moons
large=mlp:4096-4096-4096-4096@4096,gpt:256-768-12-4x256@16 # whose matrix products are large enough to decide

if ! found=$("$python" -m tinynet.bench.card 2>&1); then
    printf '%s\n' "$found" | tail -n 1 >&2
    echo "Nothing was run or written. $python is the Python that was asked; PYTHON=… names another." >&2
    exit 2
fi
echo "$found"
read -r card shares < <("$python" -m tinynet.bench.card --plan) || exit 1

if [ -z "$folder" ]; then
    first=bench/results/$(date -u +%F)-$card
    folder=$first
    for ((number = 2; ; number++)); do
        [ -e "$folder" ] || break
        folder=$first-$number
    done
fi
mkdir -p "$folder" || exit 1
echo "results    $folder"

names=() verdicts=() times=() failed=0

summary() { # what was found, what came of each stage, and the README's tables
    {
        printf '# tinynet on %s\n\n' "$(sed -n 's/^card *//p' <<<"$found")"
        printf 'bash bench/on_gpu.sh, %s, commit %s.\n\n' "$(date -u +%FT%TZ)" \
            "$(git describe --always --dirty 2>/dev/null || echo unknown)"
        sed 's/^/    /' <<<"$found"
        printf '\n| stage | came of it | seconds |\n| --- | --- | ---: |\n'
        for i in "${!names[@]}"; do
            printf '| %s | %s | %s |\n' "${names[i]}" "${verdicts[i]}" "${times[i]}"
        done
        for log in tests parity; do
            [ -e "$folder/$log.log" ] && printf '\n%s: %s\n' "$log" "$(tail -n 1 "$folder/$log.log")"
        done
        for file in "$folder"/bench-*.json; do
            [ -e "$file" ] && printf '\n' && "$python" -m tinynet bench --read "$file" 2>&1
        done
    } >"$folder/summary.md"
}

stage() { # NAME SECONDS LOG COMMAND…: run it for so long at most, keep what it prints, and note what came of it
    local name=$1 limit=$2 log=$folder/$3 began=$SECONDS code
    shift 3
    [ "$limit" -ge 5 ] || limit=5
    printf '\n== %s: %s s so far, at most %s s more\n' "$name" "$SECONDS" "$limit"
    timeout --foreground --signal=INT --kill-after=15 "$limit" "$@" 2>&1 | tee -i "$log"
    code=${PIPESTATUS[0]}
    names+=("$name")
    times+=($((SECONDS - began)))
    case $code in
        0) verdicts+=(PASS) ;;
        124 | 137) verdicts+=("FAIL: not done within $limit s") ;;
        *) verdicts+=("FAIL: exit code $code") ;;
    esac
    [ "$code" = 0 ] || failed=1
    summary
}

interrupted() {
    trap '' INT TERM
    summary
    printf '\nInterrupted; what was written stays in %s.\n' "$folder"
    exit 130
}
trap interrupted INT TERM

benchmark() { # PRECISION SECONDS WORKLOADS OPTION…
    local precision=$1 limit=$2 workloads=$3
    shift 3
    stage "benchmark, $precision" "$limit" "bench-$precision.log" \
        "$python" -m tinynet bench --backends cupy --peers torch,jax --precision "$precision" \
        --workloads "$workloads" --seconds 6 --patience 75 "$@" --json "$folder/bench-$precision.json" \
        --markdown "$folder/bench-$precision.md" --report "$folder/bench-$precision.html"
}

stage "tests on the card" $tests tests.log bash bench/gpu_tests.sh "$python" "$shares"
stage "parity with NumPy" $parity parity.log "$python" -m tinynet.bench.gpu_parity --json "$folder/parity.json"
benchmark float32 $((whole - SECONDS - kept)) "$named,$large" --crossovers
benchmark tf32 $((whole - SECONDS)) "mlp-512,cnn-nielsen,gpt-nano,$large" --no-crossovers

printf '\n'
for i in "${!names[@]}"; do
    printf '%-20s %4s s  %s\n' "${names[i]}" "${times[i]}" "${verdicts[i]}"
done
printf '%s s in all; everything is in %s\n' "$SECONDS" "$folder"
exit $failed
