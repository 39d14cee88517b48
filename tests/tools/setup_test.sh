#!/usr/bin/env bash
# tools/setup installs what is missing, or lists it, on systems that are made up of a few stand-ins on the PATH.
set -u -o pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
failures=0

fail() { echo "FAILED: $1"; sed 's/^/    /' "$work/output"; failures=$((failures + 1)); }
expect_status() { [[ $status == "$1" ]] || fail "$case: exit status $status, expected $1"; }
expect_output() { grep -qF -- "$1" "$work/output" || fail "$case: no '$1' in the output"; }
expect_no_output() { if grep -qF -- "$1" "$work/output"; then fail "$case: '$1' in the output"; fi; }

# A tree with a short list, a system with only the named commands, and headers in $work/system.
prepare() {
  case=$1
  rm -rf "$work/tree" "$work/bin" "$work/system"
  mkdir -p "$work/tree/build" "$work/bin" "$work/system/there"
  cp -r "$root/tools" "$work/tree/tools"
  touch "$work/system/there/a.h"
  printf '%s\n' '# a comment' 'liba-dev  header there/a.h' 'libb-dev  header missing/b.h' 'toolc  command toolc' \
    >"$work/tree/tools/packages-train.txt"
  local name
  for name in bash env cat mkdir tr tail tee rm; do ln -s "$(command -v "$name")" "$work/bin/$name"; done
}
stand_in() { # NAME, its text on stdin
  { echo '#!/usr/bin/env bash'; cat; } >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
setup() { # COMMAND PREFIX...
  "$@" env PATH="$work/bin" CPATH="$work/system" WORK="$work" "$work/tree/tools/setup" train >"$work/output" 2>&1 </dev/null
  status=$?
}
# What apt-get does: writes down how it was called and puts the headers there.
fake_apt() {
  stand_in apt-get <<<'echo "$*" >>"$WORK/calls"
    if [[ $* == *" install "* ]]; then
      echo "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded."
      echo "Unpacking libb-dev"; mkdir -p "$CPATH/missing"; : >"$CPATH/missing/b.h"
      echo "Setting up libb-dev"; echo "#!/bin/sh" >"$WORK/bin/toolc"; env chmod +x "$WORK/bin/toolc"
    fi'
  ln -s "$(command -v chmod)" "$work/bin/chmod"
  stand_in sudo <<<'shift; exec "$@"'
}

prepare "without apt-get, what is missing is listed"
setup
expect_status 1
expect_output 'libb-dev toolc'
expect_output 'no apt-get'
expect_no_output 'liba-dev'

prepare "without apt-get, it goes on when nothing is missing"
mkdir "$work/system/missing"
touch "$work/system/missing/b.h"
stand_in toolc <<<''
setup
expect_status 0
[[ ! -s $work/output ]] || fail "$case: it is not quiet"

prepare "what dpkg knows is not looked for"
stand_in dpkg-query <<<'printf "installed=libb-dev installed=toolc config-files=liba-dev "'
setup
expect_status 0

prepare "a package whose files only remain as configuration is missing"
rm "$work/system/there/a.h"
stand_in dpkg-query <<<'printf "installed=libb-dev installed=toolc config-files=liba-dev "'
setup
expect_status 1
expect_output 'liba-dev'

prepare "missing packages are installed, and none is removed"
fake_apt
rm -f "$work/calls"
setup
expect_status 0
grep -q 'install --no-install-recommends --no-remove libb-dev toolc' "$work/calls" || fail "$case: $(<"$work/calls")"
rm -f "$work/calls"
setup
expect_status 0
[[ ! -e $work/calls && ! -s $work/output ]] || fail "$case: a second call is not quiet"
echo 'libd-dev  header d.h' >>"$work/tree/tools/packages-train.txt"
touch -d '+1 hour' "$work/tree/tools/packages-train.txt"
setup
expect_status 1
expect_output 'still missing: libd-dev'

prepare "an apt-get that fails is shown"
stand_in apt-get <<<'echo "E: Unable to locate package libb-dev"; exit 100'
stand_in sudo <<<'shift; exec "$@"'
setup
expect_status 1
expect_output 'E: Unable to locate package libb-dev'

prepare "without rights, what to run as root is said"
fake_apt
stand_in sudo <<<'exit 1'
rm -f "$work/calls"
as_nobody=()
if ((EUID == 0)); then
  chmod -R a+rX "$work"
  as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
fi
setup "${as_nobody[@]}"
expect_status 1
expect_output 'apt-get install --no-install-recommends libb-dev toolc'
[[ ! -e $work/calls ]] || fail "$case: apt-get was called"

case="the real lists name each package once, with a way to see it"
: >"$work/output"
while read -r package kind name rest; do
  [[ -z $package || $package == '#'* ]] && continue
  [[ ($kind == command || $kind == header) && -n $name && -z $rest ]] || fail "$case: $package"
done < <(cat "$root"/tools/packages-*.txt)
doubled=$(grep -ohE '^[a-z][^ ]*' "$root"/tools/packages-*.txt | sort | uniq -d)
[[ -z $doubled ]] || fail "$case: twice: $doubled"

if ((failures > 0)); then exit 1; fi
echo "all cases passed"
