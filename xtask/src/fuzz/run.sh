#!/bin/sh
# Runs all fuzz targets of this folder at the same time: sh run.sh [SECONDS] [PROCESSES OF EACH TARGET]
# Logs are in logs/, new inputs in found/, what breaks a target in findings/. Ends with 1 where there is a finding.
cd "$(dirname "$0")" || exit 2
here=$(pwd)
seconds=${1:-600}
processes=${2:-2}
export ASAN_OPTIONS=@ASAN_OPTIONS@
for target in @TARGETS@; do
    mkdir -p "logs/$target" "found/$target" "findings/$target"
    (
        cd "logs/$target" || exit 2
        DERATE_FUZZ_TARGET=$target "$here/importers" @LIMITS@ -print_final_stats=1 "-max_total_time=$seconds" \
            "-jobs=$processes" "-workers=$processes" "-artifact_prefix=$here/findings/$target/" \
            "$here/found/$target" "$here/corpus/$target" >all.log 2>&1
    ) &
done
wait
found=0
for target in @TARGETS@; do
    executions=$(cat "logs/$target"/fuzz-*.log | awk '/^stat::number_of_executed_units/ { sum += $2 } END { print sum + 0 }')
    coverage=$(cat "logs/$target"/fuzz-*.log | awk '{ for (i = 1; i < NF; i++) if ($i == "cov:" && $(i + 1) > most) most = $(i + 1) } END { print most + 0 }')
    findings=$(find "findings/$target" -type f | wc -l)
    echo "$target: $executions executions, coverage $coverage, $findings findings"
    [ "$findings" -eq 0 ] || found=1
done
exit $found
