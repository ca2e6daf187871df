# pinned-npm.sh: what the install-* scripts share that put npm packages into a folder of the tests' cache.
# Sourced, never run. What is installed is said to the byte by a package-lock.json in the sources: npm checks
# every package against it. npm's own settings decide where packages come from; no package's install script
# is run.
#
#   pinned_begin DIR PINNED FILE…   ends the script if DIR is complete already; else $tmp is a new folder for
#                                   what is to become DIR. PINNED is the folder of package.json and
#                                   package-lock.json; when it or a FILE changes, DIR is made anew
#   pinned_fetch FOLDER PINNED      installs what PINNED says into FOLDER/node_modules
#   pinned_finish                   makes $tmp into DIR
#
# Two runs at once wait for each other; DIR appears whole or not at all. Failure: `fail`, nothing is left.
umask 022

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

pinned_begin() {
  dir=$(realpath -m -- "$1")
  local pinned=$2
  shift 2
  stamp=$(cat -- "$@" "$pinned/package-lock.json" | sha256sum)
  ! pinned_complete || exit 0
  command -v node >/dev/null && command -v npm >/dev/null ||
    fail "node or npm is missing (tools/install-dependencies installs them)"
  mkdir -p -- "$(dirname -- "$dir")" || fail "cannot make the folder of $dir"
  exec 9>"$dir.lock" || fail "cannot write $dir.lock"
  flock 9
  ! pinned_complete || exit 0
  tmp=$dir.new.$$
  trap 'rm -rf -- "$tmp"' EXIT
  trap 'exit 130' HUP INT TERM
  pinned_fetch "$tmp" "$pinned"
}

pinned_complete() { [[ -f $dir/.complete && $(<"$dir/.complete") == "$stamp" ]]; }

pinned_fetch() {
  mkdir -p -- "$1"
  cp -- "$2/package.json" "$2/package-lock.json" "$1/"
  (cd -- "$1" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error) \
    >"$1/npm.log" 2>&1 </dev/null ||
    fail "npm ci failed: $(grep -v '^npm warn' "$1/npm.log" | tail -n 3 | xargs -d '\n')"
}

pinned_finish() {
  echo "$stamp" >"$tmp/.complete"
  chmod -R u+w,a+rX "$tmp"
  [[ -e $dir ]] && rm -rf -- "$dir"
  mv -T -- "$tmp" "$dir"
}
