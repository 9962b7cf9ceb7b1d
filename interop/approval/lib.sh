# shellcheck shell=bash
# A server of the step's own, whose policy asks for an approval.

# Below the range from which the system takes ports for outgoing connections, so that none appears in between.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        [[ " $* " == *" $port "* ]] && continue
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

begin() {
    vitae serve >>"$VITAE_DIR.log" 2>&1 &
    server=$!
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        [[ $(curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' "$STATUS/ready") == 200 ]] && return
        kill -0 "$server" || break
        sleep 0.1
    done
    cat "$VITAE_DIR.log"
    return 1
}

# As a power cut ends it.
cut_off() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
}

server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true' EXIT

# own_server NAME: from here on, everything is about this one.
own_server() {
    local est status admin file
    est=$(free_port) && status=$(free_port "$est") && admin=$(free_port "$est" "$status")
    cp -R "$VITAE_CONFIG" "$PWD/$1.config"
    export VITAE_DIR=$PWD/$1.data VITAE_CONFIG=$PWD/$1.config
    file=$VITAE_CONFIG/vitae.toml
    sed -i "s|^est = .*|est = \"127.0.0.1:$est\"|; s|^status = .*|status = \"127.0.0.1:$status\"|
        s|^admin = .*|admin = \"127.0.0.1:$admin\"|; s|^approval-retry = .*|approval-retry = \"1s\"|" "$file"
    sed -i '/^\[matrix.ldev\]/,/^\[/ s|^deployment = .*|deployment = "issue when claimed with approval"|' \
        "$VITAE_CONFIG/lifecycle.toml"
    # shellcheck disable=SC2034  # for the steps, by ../lib.sh
    EST=https://127.0.0.1:$est/.well-known/est STATUS=http://127.0.0.1:$status CHAIN=$VITAE_DIR/ca/chain.pem
    vitae init >"$1.init.log"
    begin
}

# asked OUT: 202 as it has to be; the id of the request is in OUT.approval.
asked() {
    status_is "$1" 202
    [[ $(header "$1" Retry-After) =~ ^[1-9][0-9]*$ ]]
    equal "$(header "$1" Content-Type)" text/plain
    equal "$(header "$1" Content-Length)" "$(stat -c %s "$1.body")"
    equal "$(wc -l <"$1.body")" 1
    grep -oE '\b[0-9a-f]{16}\b' "$1.body" >"$1.approval"
    equal "$(wc -l <"$1.approval")" 1
}

# waiting: how many requests wait for a decision.
waiting() {
    vitae approve list --json | grep -c '"id":' || true
}
