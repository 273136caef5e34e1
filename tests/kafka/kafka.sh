#!/usr/bin/env bash
# A real Apache Kafka for the tests: brings it from Maven Central once, starts it on free loopback ports, stops it.
#
#   kafka.sh up [--nodes 1|3] [--name NAME] [--until-exit PID] [--secure]
#                                              prints the bootstrap address, and writes it to the cluster's directory;
#                                              with a PID the cluster is stopped when that process has ended; --secure
#                                              adds SASL_SSL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; user order-sync,
#                                              password right-password), and prints its address and the file of the
#                                              certificate to trust in two more lines
#   kafka.sh down [--name NAME]                stops that cluster by its pids; its logs stay in .cache/logs
#   kafka.sh stop-node N [--name NAME]         stops node N (1..)
#   kafka.sh restart-node N [--name NAME]      stops node N and starts it again
#   kafka.sh deny|allow --topic T [--name NAME]  takes from that user the right to write the topic, or gives it back
#   kafka.sh status [--name NAME]
#   kafka.sh check                             says whether java and mvn are there (exit 3: they are not)
#
# Each NAME is a directory of its own under .cache/clusters, so that runs do not meet; the default is "dev".
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${ORDER_SYNC_KAFKA_CACHE:-$here/.cache}
libs=$cache/libs
nodes=1
name=dev
node=
parent=
secure=
topic=
action=${1:-}
[ $# -gt 0 ] && shift
while [ $# -gt 0 ]; do
  case $1 in
    --nodes) nodes=$2; shift 2 ;;
    --name) name=$2; shift 2 ;;
    --until-exit) parent=$2; shift 2 ;;
    --secure) secure=yes; shift ;;
    --topic) topic=$2; shift 2 ;;
    [0-9]*) node=$1; shift ;;
    *) echo "kafka.sh: unknown argument $1" >&2; exit 2 ;;
  esac
done
case $nodes in 1 | 3) ;; *) echo "kafka.sh: --nodes is 1 or 3" >&2; exit 2 ;; esac
case $name in *[!A-Za-z0-9._-]* | "" | .*) echo "kafka.sh: a name is letters, digits, dots and dashes" >&2; exit 2 ;; esac
cluster=$cache/clusters/$name
user=order-sync
password=right-password
keys_password=for-tests-only

check() {
  local missing=
  command -v java >/dev/null 2>&1 || missing="java (17 or later)"
  [ -f "$libs/.complete" ] || command -v mvn >/dev/null 2>&1 || missing="${missing:+$missing and }mvn"
  [ -z "$missing" ] || { echo "kafka.sh: no $missing on this machine" >&2; return 3; }
}

# One process fetches; the others wait for it.
fetch() {
  mkdir -p "$cache"
  exec 8>"$cache/fetch.lock"
  flock 8
  local wanted
  wanted=$(cksum <"$here/pom.xml")
  if [ "$(cat "$libs/.complete" 2>/dev/null)" != "$wanted" ]; then
    echo "kafka.sh: fetching Apache Kafka from Maven Central" >&2
    rm -rf "$libs"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$libs" >&2
    echo "$wanted" >"$libs/.complete"
  fi
  exec 8>&-
}

# Ports are handed out under a lock and remembered until their cluster goes, so that parallel runs do not share one.
ports() {
  local wanted=$1 port found=()
  exec 7>"$cache/ports.lock"
  flock 7
  mkdir -p "$cache/ports"
  port=$((20000 + RANDOM % 10000))
  while [ ${#found[@]} -lt "$wanted" ]; do
    port=$((port + 1))
    [ -e "$cache/ports/$port" ] && continue
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
    echo "$name" >"$cache/ports/$port"
    found+=("$port")
  done
  exec 7>&-
  echo "${found[@]}"
}

# Of a process that we started: its id and its start time, so that a number used again is never taken for it.
alive() {
  local file=$1 pid born
  read -r pid born <"$file" 2>/dev/null || return 1
  [ "$(awk '{print $22}' "/proc/$pid/stat" 2>/dev/null)" = "$born" ]
}

start_node() {
  local n=$1 dir=$cluster/$1
  KAFKA_HEAP=${ORDER_SYNC_KAFKA_HEAP:-512m}
  # Closed descriptors: a broker must not hold the caller's pipes or locks.
  nohup java -Xmx"$KAFKA_HEAP" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/log4j2.properties" \
    -cp "$libs/*" kafka.Kafka "$dir/server.properties" </dev/null >>"$dir/broker.log" 2>&1 7>&- 8>&- 9>&- &
  local pid=$!
  echo "$pid $(awk '{print $22}' "/proc/$pid/stat")" >"$dir/pid"
}

stop_node() {
  local file=$1/pid pid rest
  alive "$file" || return 0
  read -r pid rest <"$file"
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 150); do
    alive "$file" || return 0
    read -r -t 0.1 <> <(:) || true
  done
  kill -9 "$pid" 2>/dev/null || true
}

write_properties() {
  local n=$1 client=$2 controller=$3 voters=$4 replicas=$nodes isr=1
  [ "$nodes" = 3 ] && isr=2
  mkdir -p "$cluster/$n"
  cat >"$cluster/$n/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$n
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$client,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$client
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$cluster/$n/data
default.replication.factor=$replicas
min.insync.replicas=$isr
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$replicas
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=$isr
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.retention.check.interval.ms=1000
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
PROPERTIES
}

# One user and one certificate for every node: they are for tests on loopback alone.
write_certificate() {
  keytool -genkeypair -alias broker -keyalg EC -groupname secp256r1 -validity 3650 -dname CN=127.0.0.1 \
    -ext san=ip:127.0.0.1,dns:localhost -ext bc=ca:true -storetype PKCS12 -keystore "$cluster/keys.p12" \
    -storepass "$keys_password" >"$cluster/keytool.log" 2>&1
  keytool -exportcert -rfc -alias broker -keystore "$cluster/keys.p12" -storepass "$keys_password" >"$cluster/ca.pem" \
    2>>"$cluster/keytool.log"
}

# Adds the listener to a node's properties.
secure_node() {
  local n=$1 port=$2 file=$cluster/$1/server.properties login=org.apache.kafka.common.security
  sed -i -e "s|^listeners=.*|&,SASL_SSL://127.0.0.1:$port|" -e "s|^advertised.listeners=.*|&,SASL_SSL://127.0.0.1:$port|" \
    -e "s|^listener.security.protocol.map=.*|&,SASL_SSL:SASL_SSL|" "$file"
  cat >>"$file" <<PROPERTIES
ssl.keystore.type=PKCS12
ssl.keystore.location=$cluster/keys.p12
ssl.keystore.password=$keys_password
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_$user="$password";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$login.scram.ScramLoginModule required;
PROPERTIES
}

# Asks node by node for its API versions: an answer is an answer of the broker, not a line in a log.
answers() {
  java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.level=error -cp "$libs/*" \
    org.apache.kafka.tools.TopicCommand --bootstrap-server "$1" --list >/dev/null 2>&1
}

up() {
  check
  fetch
  exec 9>"$cache/$name.lock"
  flock 9
  if [ -f "$cluster/bootstrap" ] && alive "$cluster/1/pid"; then
    cat "$cluster/bootstrap"
    return
  fi
  discard
  mkdir -p "$cluster"
  local all id voters="" bootstrap="" secured="" scram=() n
  read -r -a all <<<"$(ports $((nodes * 3)))"
  for n in $(seq "$nodes"); do
    voters+=${voters:+,}$n@127.0.0.1:${all[$((nodes + n - 1))]}
    bootstrap+=${bootstrap:+,}127.0.0.1:${all[$((n - 1))]}
  done
  # The first letter is fixed: an id that began with `-` would be read as an option, one start in 64.
  id=M$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c2-22)
  if [ -n "$secure" ]; then
    write_certificate
    for n in 256 512; do scram+=(--add-scram "SCRAM-SHA-$n=[name=$user,password=$password]"); done
  fi
  for n in $(seq "$nodes"); do
    write_properties "$n" "${all[$((n - 1))]}" "${all[$((nodes + n - 1))]}" "$voters"
    if [ -n "$secure" ]; then
      secure_node "$n" "${all[$((2 * nodes + n - 1))]}"
      secured+=${secured:+,}127.0.0.1:${all[$((2 * nodes + n - 1))]}
    fi
    java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$libs/*" kafka.tools.StorageTool format -t "$id" \
      -c "$cluster/$n/server.properties" ${scram[@]+"${scram[@]}"} >"$cluster/$n/format.log" 2>&1 &
    eval "format_$n=\$!"
  done
  for n in $(seq "$nodes"); do
    eval "wait \$format_$n" || { cat "$cluster/$n/format.log" >&2; exit 1; }
  done
  for n in $(seq "$nodes"); do start_node "$n"; done
  local deadline=$((SECONDS + 120))
  until answers "$bootstrap"; do
    for n in $(seq "$nodes"); do
      alive "$cluster/$n/pid" || { echo "kafka.sh: node $n ended; its log:" >&2; tail -20 "$cluster/$n/broker.log" >&2; down; exit 1; }
    done
    [ $SECONDS -lt $deadline ] || { echo "kafka.sh: no answer within 120 s; see $cluster" >&2; down; exit 1; }
  done
  echo "$bootstrap" >"$cluster/bootstrap"
  [ -z "$secure" ] || printf '%s\n' "$secured" "$cluster/ca.pem" >>"$cluster/bootstrap"
  [ -z "$parent" ] || follow
  cat "$cluster/bootstrap"
}

# Stops the cluster when the process that wanted it has ended, however it ended.
follow() {
  echo "$parent $(awk '{print $22}' "/proc/$parent/stat")" >"$cluster/parent"
  (
    while alive "$cluster/parent"; do sleep 0.5; done
    [ ! -f "$cluster/parent" ] || down
  ) </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&- &
}

# Takes what an ended cluster of this name left; keeps its logs.
discard() {
  local log port
  for log in "$cluster"/*/broker.log; do
    [ -s "$log" ] || continue
    mkdir -p "$cache/logs"
    mv "$log" "$cache/logs/$name-$(basename "$(dirname "$log")")-$(date +%s).log"
  done
  rm -rf "$cluster"
  for port in "$cache/ports"/*; do
    [ -f "$port" ] && [ "$(cat "$port")" = "$name" ] && rm -f "$port"
  done
  return 0
}

down() {
  local dir
  rm -f "$cluster/bootstrap"
  for dir in "$cluster"/*/; do [ -d "$dir" ] && { stop_node "$dir" & }; done
  wait
  discard
}

# Whoever is named in no rule may do everything, and the listener without passwords is for the script and the tests. With a
# rule a user may do to the topic what the rule says, and that is everything but write.
acl() {
  local operation rule=(--allow-principal "User:$user")
  for operation in Read Describe Create Delete Alter DescribeConfigs AlterConfigs; do rule+=(--operation "$operation"); done
  if [ "$action" = deny ]; then change_acl --add "${rule[@]}"; else change_acl --remove "${rule[@]}"; fi
}

change_acl() {
  java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.level=error -cp "$libs/*" org.apache.kafka.tools.AclCommand \
    --bootstrap-server "$(head -1 "$cluster/bootstrap")" "$@" --force --topic "$topic" >>"$cluster/acl.log" 2>&1 ||
    { cat "$cluster/acl.log" >&2; return 1; }
}

status() {
  local dir
  [ -f "$cluster/bootstrap" ] || { echo "$name: down"; return 1; }
  echo "$name: $(head -1 "$cluster/bootstrap")"
  for dir in "$cluster"/*/; do
    if alive "$dir/pid"; then echo "node $(basename "$dir"): pid $(cut -d' ' -f1 "$dir/pid")"; else echo "node $(basename "$dir"): ended"; fi
  done
}

case $action in
  up) up ;;
  down) down ;;
  status) status ;;
  check) check ;;
  stop-node | restart-node)
    [ -d "$cluster/${node:-none}" ] || { echo "kafka.sh: no node ${node:-} in $name" >&2; exit 2; }
    stop_node "$cluster/$node"
    [ "$action" = stop-node ] || start_node "$node"
    ;;
  deny | allow) acl ;;
  *) sed -n '2,18s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
