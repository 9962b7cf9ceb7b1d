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
    lists "$certificate" "$round/lists"
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

# partial LIST.PEM: it is not the list of a whole CA.
partial() {
    openssl crl -in "$1" -noout -text >partial.txt
    grep -q 'X509v3 Issuing Distribution Point: critical' partial.txt
}

# cannot_read ROUND CLIENT: see WHOLE_LISTS_ONLY.
cannot_read() {
    [[ $WHOLE_LISTS_ONLY == *" $2 "* ]] && partial "$1/lists/base-1.pem"
}

# all_say ROUND REGEX: the verdict of every client, and there is one of each. One that cannot read the lists may say
# what it likes, but not 'good'.
all_say() {
    local client verdict
    for client in "${!CLIENTS[@]}"; do
        verdict=$(<"$1/$client.verdict")
        if cannot_read "$1" "$client"; then
            [[ $verdict != good ]] && continue
        elif grep -qxE "$2" <<<"$verdict"; then
            continue
        fi
        echo "${CLIENTS[$client]} says '$verdict', not '$2'"
        tail -n 20 "$1/$client.log"
        return 1
    done
}

# table ROUND...: one row for each client, one column for each round.
table() {
    local client round verdict
    printf '%-44s' CLIENT
    printf '%-28s' "${@^^}"
    echo
    for client in "${!CLIENTS[@]}"; do
        printf '%-44s' "${CLIENTS[$client]}"
        for round in "$@"; do
            verdict=$(<"$round/$client.verdict")
            if cannot_read "$round" "$client"; then verdict='cannot read the list'; fi
            printf '%-28s' "$verdict"
        done
        echo
    done | sort
}

# with_deltas ROUND CERTIFICATE OLD: those that know deltas are given complete lists that were fetched before, in the
# folder OLD, and the deltas of now. ROUND/CLIENT.verdict as above.
with_deltas() {
    local round=$1 certificate client
    certificate=$(realpath "$2")
    mkdir "$round"
    lists "$certificate" "$round/given"
    rm "$round"/given/base-*
    cp "$3"/base-* "$round/given"
    # In a shell of its own 'lists' is another.
    (
        given=$(realpath "$round/given")
        lists() { cp -R "$given" "$2"; }
        for client in $KNOW_DELTAS; do
            mkdir "$round/$client"
            one "$round" "$client" "$certificate"
        done
    )
}

# they_say ROUND REGEX: the same as all_say, of a round with_deltas.
they_say() {
    local client
    for client in $KNOW_DELTAS; do
        grep -qxE "$2" "$1/$client.verdict" && continue
        echo "${CLIENTS[$client]} says '$(<"$1/$client.verdict")', not '$2'"
        tail -n 20 "$1/$client.log"
        return 1
    done
}
