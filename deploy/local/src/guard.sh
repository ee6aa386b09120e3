#!/bin/sh
# Runs one server or service and ends it when the launcher is gone.
#
#   guard.sh PIDFILE ORPHAN_DELAY_S GRACE_S COMMAND [ARGUMENT…]
#
# File descriptor 3 is a pipe whose other end only the launcher holds. When the launcher dies, however it dies, the pipe
# ends; the child then gets SIGTERM after ORPHAN_DELAY_S and SIGKILL after another GRACE_S. SIGTERM to this script is
# passed on. The exit code is the child's. A shell and not Node: eight of these are always there.
pidfile=$1
delay=$2
grace=$3
shift 3

# The trap comes after the child: a fork copies it, and a signal that reached the child before its exec would be swallowed there. The
# PID file comes after the trap: once it is there, a signal is passed on.
"$@" 3<&- &
child=$!
signalled=
trap 'signalled=yes; kill -TERM "$child" 2>/dev/null' TERM INT HUP
echo "$child $$" >"$pidfile"

(
  trap '' TERM INT HUP
  while read -r _ <&3; do :; done
  sleep "$delay"
  kill -TERM "$child" 2>/dev/null
  while [ "$grace" -gt 0 ] && kill -0 "$child" 2>/dev/null; do
    sleep 1
    grace=$((grace - 1))
  done
  kill -KILL "$child" 2>/dev/null
) &
watcher=$!
exec 3<&-

wait "$child"
code=$?
# A trapped signal interrupts `wait`: ask again, also when the child has ended meanwhile. 127: its end was told before the signal came.
while [ -n "$signalled" ]; do
  signalled=
  wait "$child"
  again=$?
  [ "$again" -eq 127 ] || code=$again
done
kill -KILL "$watcher" 2>/dev/null
rm -f "$pidfile"
exit "$code"
