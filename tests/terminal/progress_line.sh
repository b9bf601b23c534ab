#!/usr/bin/env bash
# progress_line.sh TMUX TARN: trains in a terminal of tmux that is resized meanwhile, and reads its
# screen: there must be one progress line, as wide as fits.
set -euo pipefail
tmux=$1 tarn=$2
folder=$(mktemp -d)
t() { TERM=xterm "$tmux" -S "$folder/socket" -f /dev/null "$@"; }
trap 't kill-server 2>/dev/null; until rm -rf "$folder" 2>/dev/null; do sleep 0.1; done' EXIT

cat >"$folder/config.toml" <<END
[task]
sequence_length = 16
[model]
layers = 1
heads = 2
head_dim = 8
[train]
batch_size = 4
steps = 100000000
eval_every = 100000000
checkpoint_every = 100000000
log_every = 100000000
END

screen() { t capture-pane -p | sed '/^ *$/d'; }
step() { screen | sed -n 's|^step \([0-9]*\)/.*|\1|p' | tail -1; }

fail() {
  echo "$*; the screen:" >&2
  screen >&2
  exit 1
}

# Until this many states were shown one after another, for at most a minute.
wait_for_states() {
  local shown seen='' i count=0
  for ((i = 0; i < 600; ++i)); do
    shown=$(step)
    [[ ! $shown || $shown == "$seen" ]] || ((++count <= $1)) || return 0
    seen=$shown
    sleep 0.1
  done
  fail "no progress"
}

# The last line of the screen is the progress, and no other line is, or is a piece of one.
check() {
  local width=$1 text last
  wait_for_states 2
  text=$(screen)
  last=${text##*$'\n'}
  [[ $last == step\ *loss* ]] || fail "width $width: the last line is no progress"
  ((${#last} < width)) || fail "width $width: the progress has ${#last} columns"
  (($(grep -cE '^step |loss |tokens/s|lr [0-9]|memory ' <<<"$text") == 1)) ||
    fail "width $width: more than one line of progress"
  ((width < 120)) || [[ $last == *memory*MB ]] || fail "width $width: fields are missing"
}

t new-session -d -x 120 -y 24 \
  "OMP_NUM_THREADS=1 '$tarn' train '$folder/config.toml' --out '$folder/run'; sleep 60"
wait_for_states 1
for width in 120 80 40 120 40 80; do
  t resize-window -x "$width" -y 24
  check "$width"
done
for width in 110 100 90 80 70 60 50 40; do # dragged smaller, faster than the line is written
  t resize-window -x "$width" -y 24
done
check 40
echo "one line at every width"
