# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=clients.sh
. "$(dirname "${BASH_SOURCE[0]}")/clients.sh"

WORK=$PWD
NODE_MODULES=$(dirname "$VENV")/interop-npm/status/node_modules

# everybody ROUND CERTIFICATE: all clients at the same time, each in a folder of its own: ROUND/CLIENT.verdict has its
# one line, ROUND/CLIENT what the tool left behind.
everybody() {
    local round=$1 certificate client
    certificate=$(realpath "$2")
    mkdir "$round"
    for client in "${!CLIENTS[@]}"; do
        mkdir "$round/$client"
        one "$round" "$client" "$certificate" &
    done
    wait
}

one() {
    local status
    set +e
    (
        set -ex
        cd "$1/$2"
        cp "$3" asked.pem
        "$2" asked.pem >verdict
    ) >"$1/$2.log" 2>&1
    status=$?
    set -e
    ((status == 0)) || echo 'no verdict' >"$1/$2/verdict"
    in_words <"$1/$2/verdict" >"$1/$2.verdict"
}

# 'revoked keyCompromise', 'revoked KEY_COMPROMISE', 'revoked key compromise': the reason as 'vitae revoke' writes it.
in_words() {
    sed 's/\([a-z]\)\([A-Z]\)/\1-\2/g; s/ *$//; s/^revoked /revoked, /' | tr 'A-Z_' 'a-z-' |
        sed 's/, \(.*\) /, \1-/'
}

# all_say ROUND REGEX: the verdict of every client, and there is one of each.
all_say() {
    local client
    for client in "${!CLIENTS[@]}"; do
        grep -qxE "$2" "$1/$client.verdict" && continue
        echo "${CLIENTS[$client]} says '$(<"$1/$client.verdict")', not '$2'"
        tail -n 20 "$1/$client.log"
        return 1
    done
}

# table ROUND...: one row for each client, one column for each round.
table() {
    local client round
    printf '%-44s' CLIENT
    printf '%-28s' "${@^^}"
    echo
    for client in "${!CLIENTS[@]}"; do
        printf '%-44s' "${CLIENTS[$client]}"
        for round in "$@"; do printf '%-28s' "$(<"$round/$client.verdict")"; done
        echo
    done | sort
}
