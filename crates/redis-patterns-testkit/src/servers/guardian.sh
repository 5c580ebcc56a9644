# Guards one group of servers: starts them, and ends them when its standard input ends.
# $1: the group's folder. Names in requests are relative to it and hold no spaces.
cd "$1" || exit 1
dir=$PWD
pids=
gentle=
# A signal ends the read below, and then everything is cleaned up. A closed standard output
# (our reader was killed) must not end this shell before that.
trap : HUP INT TERM PIPE

forget() {
  kept=
  for pid in $pids; do [ "$pid" = "$1" ] || kept="$kept $pid"; done
  pids=$kept
}

while read -r verb first second; do
  case $verb in
    # A server: killed at the end.
    spawn) sh "$first" </dev/null >>"$second" 2>&1 & pids="$pids $!"; echo "$!" ;;
    # A server that must tidy up itself (Postgres: shared memory): asked to quit, then killed.
    tend) sh "$first" </dev/null >>"$second" 2>&1 & gentle="$gentle $!"; echo "$!" ;;
    # A command that leads to an end of its own, such as `docker run -d`: awaited at the end, as
    # what it makes could otherwise appear after the clean-up.
    job) sh "$first" </dev/null >>"$second" 2>&1 & echo "$!" ;;
    join) wait "$first"; echo "$?" ;;
    signal) kill -s "$first" "$second" 2>/dev/null; echo "$?" ;;
    end) kill -s KILL "$first" 2>/dev/null; wait "$first" 2>/dev/null; forget "$first"; echo 0 ;;
    # The servers outlive us: `down` ends them.
    release) echo 0; exit 0 ;;
  esac
done

# Asked more than once, as it may not listen to signals yet.
insist() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -s QUIT "$1" 2>/dev/null || return
    sleep 0.25
  done
  kill -s KILL "$1" 2>/dev/null
}

for pid in $gentle; do
  insist "$pid" &
  insister=$!
  wait "$pid" 2>/dev/null
  kill "$insister" 2>/dev/null
done
for pid in $pids; do kill -s KILL "$pid" 2>/dev/null; done
wait
[ ! -f cleanup ] || sh cleanup >/dev/null 2>&1
cd /
rm -rf "$dir"
