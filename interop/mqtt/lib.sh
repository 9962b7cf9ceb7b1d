# shellcheck shell=bash
# The broker, its clients, and the guard between it and the authority.

ADMIN_ADDRESS=$(sed -n 's/^admin = "\(.*\)"$/\1/p' "$VITAE_CONFIG/vitae.toml")
CRLS=$STATUS/crl/operational

# Debian has the broker where only root looks for commands.
PATH=$PATH:/usr/sbin

# Whatever a step starts ends with it, also what a claim has started, in a shell of its own: the groups are in files.
end_all() {
    local file
    for file in *.group; do
        [[ ! -e $file ]] || end "${file%.group}"
    done
}
trap end_all EXIT

# end NAME: as a crash ends it, all of its group. The next step wants the broker's port.
end() {
    local group tries
    group=$(<"$1.group")
    kill -KILL -- "-$group" 2>/dev/null || true
    for ((tries = 0; tries < 100; tries++)); do kill -0 -- "-$group" 2>/dev/null || break; sleep 0.05; done
    rm "$1.group"
}

# background NAME COMMAND...: what it says is in NAME.log, each line behind the nanosecond it came in; its group in NAME.group.
background() {
    local name=$1
    shift
    set -m
    { "$@" 2>&1 | while IFS= read -r line; do printf '%s %s\n' "$(date +%s%N)" "$line"; done; } >>"$name.log" </dev/null &
    set +m
    echo "$!" >"$name.group"
}

# until_has FILE REGEX: waits for a line.
until_has() {
    local tries
    for ((tries = 0; tries < 400; tries++)); do
        if grep -qE -- "$2" "$1" 2>/dev/null; then return; fi
        sleep 0.05
    done
    echo "$1 does not get '$2':"
    cat "$1"
    return 1
}

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# furnish: devices come to the broker by TLS, with a certificate of the CA 'operational'; its operator by a socket.
furnish() {
    local password
    password=$(openssl rand -hex 24)
    free_port >port
    # The broker's own certificate is of the hospital's, as everything there that is no device.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout broker.key -out broker.pem -days 2 \
        -subj /CN=broker -addext subjectAltName=IP:127.0.0.1
    # It does not start without a list; from here on the guard brings them.
    curl --silent --fail "$CRLS/0.crl" | openssl crl -inform DER -out broker.crl
    mosquitto_ctrl dynsec init "$PWD/dynsec.json" guard "$password"
    mkdir guard.options
    printf '%s\n' "--unix $PWD/control.sock" '-u guard' "-P $password" >guard.options/mosquitto_pub
    cat >mosquitto.conf <<CONF
plugin $(echo /usr/lib/*/mosquitto_dynamic_security.so)
plugin_opt_config_file $PWD/dynsec.json
pid_file $PWD/broker.pid
log_dest stderr
log_type all

listener 0 $PWD/control.sock

listener $(<port) 127.0.0.1
certfile $PWD/broker.pem
keyfile $PWD/broker.key
cafile $CHAIN
crlfile $PWD/broker.crl
require_certificate true
use_identity_as_username true
CONF
    ((EUID != 0)) || echo 'user root' >>mosquitto.conf
}

broker() {
    : >broker.log
    rm -f control.sock
    background broker mosquitto -c mosquitto.conf
    until_has broker.log 'mosquitto version .* running'
    # What a device may do; whoever is no user of the plugin may do nothing.
    control '{"command":"createRole","rolename":"device","acls":[
        {"acltype":"subscribePattern","topic":"ward/#","allow":true},
        {"acltype":"publishClientSend","topic":"ward/#","allow":true},
        {"acltype":"publishClientReceive","topic":"ward/#","allow":true}]}'
}

# control COMMAND: one command of the dynamic security plugin.
control() {
    XDG_CONFIG_HOME=$PWD/guard.options mosquitto_pub -q 1 -t "\$CONTROL/dynamic-security/v1" -m "{\"commands\":[$1]}"
}

guard() {
    cat >guard.json <<JSON
{
  "vitae": "$ADMIN_ADDRESS", "trust": "$CHAIN",
  "cert": "$VITAE_DIR/admin/admin.pem", "key": "$VITAE_DIR/admin/admin.key",
  "ca": "operational", "profile": "ldev", "role": "device",
  "crls": "$CRLS", "crl_file": "$PWD/broker.crl", "broker_pid": "$PWD/broker.pid",
  "state": "$PWD/guard.state",
  "control": ["env", "XDG_CONFIG_HOME=$PWD/guard.options", "mosquitto_pub"]
}
JSON
    background guard python3 "$SUITE_DIR/guard.py" guard.json
}

# in_step: the guard has seen everything that is recorded.
in_step() {
    local tries head
    head=$(vitae events --ca operational --json --type \
        certificate-issued,certificate-revoked,certificate-held,certificate-released,crl-published | tail -n 1)
    head=$(sed -n 's/.*"id":"\([0-9]*\)".*/\1/p' <<<"$head")
    for ((tries = 0; tries < 400; tries++)); do
        if grep -q "^\[\"$head\"" guard.state 2>/dev/null; then return; fi
        sleep 0.05
    done
    echo "the guard is not at event $head:" && cat guard.log guard.state
    return 1
}

# tls NAME: how the device NAME reaches the broker.
tls() {
    echo --cafile broker.pem --cert "$1.pem" --key "$1.key" -h 127.0.0.1 -p "$(<port)" -V 5
}

# connect NAME: the device listens, and comes back whenever its connection is lost.
connect() {
    background "$1" listen "$1"
    until_has "$1.log" 'Subscribed .*: 0$'
}

listen() {
    while :; do
        # shellcheck disable=SC2046
        stdbuf -oL mosquitto_sub $(tls "$1") -i "$1" -t 'ward/#' -d || true
        sleep 0.2
    done
}

# turned_away FILE: mosquitto_sub -d has not come in. What TLS said of it, it does not always hear.
turned_away() {
    has "$1" 'alert certificate revoked|Protocol error'
    lacks "$1" CONNACK
    has broker.log 'certificate verify failed'
}

# hears NAME TEXT: what a third device publishes gets to it.
hears() {
    # shellcheck disable=SC2046
    mosquitto_pub $(tls witness) -q 1 -t ward/1 -m "$2"
    until_has "$1.log" "^[0-9]+ $2\$"
}

# when FILE REGEX: the nanosecond of the first such line.
when() {
    grep -m 1 -E -- "$2" "$1" | cut -d ' ' -f 1
}
