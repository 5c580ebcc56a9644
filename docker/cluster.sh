#!/bin/sh
# The `cluster` service of docker-compose.yml: three primaries and three replicas in one container.
#   cluster.sh          starts them and makes them one cluster
#   cluster.sh health   says whether all slots are served and every replica follows
set -eu

first=${CLUSTER_PORTS%-*}
ports=$(seq "$first" $((first + 5)))

# The same service runs Redis and Valkey.
if command -v redis-server >/dev/null; then server=redis-server cli=redis-cli
else server=valkey-server cli=valkey-cli
fi

ask() { port=$1; shift; "$cli" -p "$port" "$@" 2>/dev/null; }

health() {
  for port in $ports; do
    ask "$port" cluster info | grep -q '^cluster_state:ok' || return 1
    ask "$port" cluster info | grep -q '^cluster_slots_ok:16384' || return 1
    ask "$port" info replication | grep -Eq '^(master_link_status:up|slave0:.*state=online)' || return 1
  done
}

start() {
  for port in $ports; do
    mkdir -p "/data/$port"
    "$server" --port "$port" --dir "/data/$port" --protected-mode no --appendonly yes \
      --maxmemory-policy noeviction --repl-diskless-sync-delay 0 \
      --cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 2000 \
      --cluster-announce-ip 127.0.0.1 &
  done
  for port in $ports; do
    until ask "$port" ping | grep -q PONG; do sleep 0.1; done
  done
}

# Once: after a restart of the container the servers know each other from their files.
form() {
  ask "$first" cluster info | grep -q '^cluster_slots_assigned:0' || return 0
  addresses=$(for port in $ports; do echo "127.0.0.1:$port"; done)
  # shellcheck disable=SC2086
  "$cli" --cluster create $addresses --cluster-replicas 1 --cluster-yes
}

if [ "${1:-start}" = health ]; then health; exit; fi
# The first process of a container gets no default actions for signals.
trap 'kill 0; wait; exit 0' TERM INT
start
form
wait
