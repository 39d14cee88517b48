#!/usr/bin/env bash
# The launcher, in a tree with a program of one file.
set -u -o pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

mkdir -p "$tree"/{tools,cmake,runtime,scheduler,rl,cli,bench/micro}
cp "$root/mobula" "$tree/"
cp "$root/tools/build" "$tree/tools/"
printf '#!/bin/sh\nexit 0\n' >"$tree/tools/setup"
chmod +x "$tree/tools/setup"
cp "$root/CMakePresets.json" "$tree/"
cat >"$tree/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(Small LANGUAGES CXX)
add_executable(mobula cli/main.cc)
set_target_properties(mobula PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/cli)
END
program() { # TEXT
  cat >"$tree/cli/main.cc" <<END
#include <cstdio>
#include <unistd.h>
int main(int argc, char** argv) {
  std::printf("$1 %d", getpid());
  for (int i = 1; i < argc; ++i) std::printf(" [%s]", argv[i]);
  std::printf("\n");
  return argc;
}
END
}
program first

# Two first calls at once, through a link and from elsewhere: one builds, both run.
ln -s tree/mobula "$work/link"
cd /
"$work/link" 'a b' '' >"$work/one" 2>"$work/one.log" &
one=$!
"$tree/mobula" >"$work/two" 2>"$work/two.log" &
two=$!
wait "$one"; status_one=$?
wait "$two"; status_two=$?
[[ $status_one == 3 && $status_two == 1 ]] || fail "exit statuses $status_one and $status_two: $(cat "$work"/*.log)"
[[ $(<"$work/one") == "first $one [a b] []" ]] || fail "not the same pid, or other arguments: $(<"$work/one"), pid $one"
[[ $(<"$work/two") == "first $two" ]] || fail "not the same pid: $(<"$work/two"), pid $two"
cat "$work"/*.log | grep -q 'configuring release' || fail "no progress: $(cat "$work"/*.log)"

# Called by a relative path, from the tree, from inside it and by PATH.
cd "$tree"; [[ $(./mobula 2>&1) == first* ]] || fail "./mobula"
cd "$tree/cli"; [[ $(../mobula 2>&1) == first* ]] || fail "../mobula"
cd /; [[ $(PATH=$tree:$PATH mobula 2>&1) == first* ]] || fail "mobula on the PATH"

# When nothing changed it says nothing and costs little. (The best of ten: others use this machine.)
[[ $("$tree/mobula" 2>&1 | wc -l) == 1 ]] || fail "a second call is not quiet"
best=1000000
for _ in {1..10}; do
  begun=${EPOCHREALTIME/./}
  "$tree/mobula" >"$work/one" 2>&1
  took=$((${EPOCHREALTIME/./} - begun))
  if ((took < best)); then best=$took; fi
done
((best < 100000)) || fail "a second call took $best us"

# An edit is built.
program second
[[ $("$tree/mobula" 2>"$work/log") == second* ]] || fail "an edit was not built: $(<"$work/log")"

# A mistake is shown, with the log; nothing is run; mending it helps.
program $'third" + nonsense + "'
"$tree/mobula" >"$work/one" 2>"$work/log"
status=$?
[[ $status == 1 && ! -s $work/one ]] || fail "a failed build: exit status $status, output $(<"$work/one")"
grep -q "nonsense" "$work/log" || fail "the compiler's message is missing: $(<"$work/log")"
grep -q "build/release/build.log" "$work/log" || fail "the log is not named: $(<"$work/log")"
program fourth
[[ $("$tree/mobula" 2>"$work/log") == fourth* ]] || fail "a mended mistake was not built: $(<"$work/log")"

# A copy of the tree, with its build folder, builds for itself.
cp -r "$tree" "$work/copy"
[[ $("$work/copy/mobula" 2>"$work/log") == fourth* ]] || fail "a copied tree: $(<"$work/log")"
echo "int extra;" >>"$work/copy/cli/main.cc"
[[ $("$work/copy/mobula" 2>"$work/log") == fourth* ]] || fail "a copied and changed tree: $(<"$work/log")"

# Ctrl-C during a build ends everything. The compiler waits for a fifo that nobody writes. (A background job of a script
# ignores SIGINT; env gives it back, as a terminal's foreground job has it.)
mkfifo "$tree/cli/never.h"
program fifth
sed -i '1i #include "never.h"' "$tree/cli/main.cc"
env --default-signal=INT setsid "$tree/mobula" >"$work/one" 2>"$work/log" &
launcher=$!
# Opening the fifo for writing succeeds when the compiler has opened it for reading: no need to sleep.
exec 8>"$tree/cli/never.h"
kill -INT -- "-$launcher"
wait "$launcher"
status=$?
exec 8>&-
[[ $status == 130 ]] || fail "interrupted: exit status $status: $(<"$work/log")"
[[ ! -s $work/one ]] || fail "interrupted: $(<"$work/one")"

if ((failures > 0)); then exit 1; fi
echo "the launcher passed; a second call takes $best us with a program that does nothing"
