# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# client OUT COMMAND OPTIONS...: what the client prints goes to OUT.txt.
client() {
    "$VENV/bin/python" "$SUITE_DIR/est.py" "${@:2}" >"$1.txt" 2>&1
}

# est COMMAND VERSION OUT OPTIONS...: OUT.pem and, but for cacerts, a new key in OUT.key.
est() {
    client "$3" "$1" --server "$EST_ADDRESS" --trust "$ROOT" --tls "$2" --out "$3.pem" --key "$3.key" "${@:4}"
    has "$3.txt" "^TLS: TLSv$2\$"
}

# refused_by_est OUT STATUS REGEX: the client has the status and the server's reason, and no certificate.
refused_by_est() {
    has "$1.txt" "^HTTP $2: .*$3"
    [[ ! -e $1.pem ]] || { echo "$1.pem exists"; return 1; }
}
