#!/usr/bin/env bash
# The tests marked gpu in several processes side by side: most of their time goes into compiling kernels, on one core.
#
#     bash bench/gpu_tests.sh PYTHON PROCESSES
#
# Says when a part is done, prints the output of all parts at the end, and fails where one of them fails.
set -umo pipefail # m: each in a process group of its own, so that an interrupt reaches it once, from here

python=$1 count=$2
logs=$(mktemp -d)
pids=()

finish() {
    local passed=0 failed=0 words
    for ((i = 1; i <= count; i++)); do
        printf '\n-- part %s of %s\n' "$i" "$count"
        cat "$logs/$i"
        words=$(tail -n 1 "$logs/$i")
        [[ $words =~ ([0-9]+)\ passed ]] && passed=$((passed + BASH_REMATCH[1]))
        [[ $words =~ ([0-9]+)\ failed ]] && failed=$((failed + BASH_REMATCH[1]))
        [[ $words =~ ([0-9]+)\ error ]] && failed=$((failed + BASH_REMATCH[1]))
    done
    printf '\n%s tests passed, %s failed or broke, %s\n' "$passed" "$failed" "$2"
    rm -rf "$logs"
    [ $passed -gt 0 ] || exit 1
    exit "$1"
}

stop() {
    trap '' INT TERM # one is enough
    kill -INT "${pids[@]}" 2>/dev/null # each sums up what it has
    (sleep 8 && kill -KILL "${pids[@]}") >/dev/null 2>&1 &
    local guard=$!
    wait "${pids[@]}"
    { kill -KILL -- "-$guard" && wait "$guard"; } 2>/dev/null # nobody is left to end
    finish 130 "and not all were run"
}
trap stop INT TERM

# The processor is shared, and JAX leaves memory to the others; newer libraries' warnings are not looked for here.
export OPENBLAS_NUM_THREADS=2 OMP_NUM_THREADS=2 XLA_PYTHON_CLIENT_PREALLOCATE=false
for ((i = 1; i <= count; i++)); do
    "$python" -m pytest -m gpu --share "$i/$count" -q --maxfail=30 --durations=5 -p no:cacheprovider \
        -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning >"$logs/$i" 2>&1 &
    pids+=($!)
done
worst=0
for ((i = 1; i <= count; i++)); do
    wait "${pids[i - 1]}"
    code=$?
    [ $code = 0 ] || [ $code = 5 ] || worst=1 # 5: no test fell to that part
    printf 'part %s of %s: %s\n' "$i" "$count" "$(tail -n 1 "$logs/$i")"
done
finish $worst "in $count parts"
